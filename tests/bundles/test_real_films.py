"""The chest X-ray bundle on real films: two epochs on clinical notes, an evaluation on a radiologist's boxes."""

import json

import pandas as pd
import pytest
from mlflow import MlflowClient

from scripts.datalists.datalist import check_datalist, save_datalist
from scripts.datalists.sources import SOURCES
from tests.bundles.commands import Bundle
from tests.real_films import lay_out_case_notes, lay_out_nih

pytestmark = pytest.mark.slow
CXR = Bundle("cxr_localization")


def write_datalist(source, folder):
    splits = SOURCES[source](folder)
    save_datalist(folder / "datalist.json", "cxr", splits, name=source, description="real films")
    assert not check_datalist(folder / "datalist.json")
    return splits


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def tracked(store):
    """The only run of a store."""
    client = MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("cxr_localization").experiment_id])
    return run


def test_two_epochs_on_case_notes(shared_data, tmp_path, store):
    lay_out_case_notes(shared_data, tmp_path / "notes")
    splits = write_datalist("case-notes", tmp_path / "notes")
    output = tmp_path / "train"
    size = ["--max_epochs", "2", "--batch_size", "8", "--widen_factor", "0.25"]
    where = ["--dataset_dir", tmp_path / "notes", "--output_dir", output, "--tracking_uri", store]
    CXR.run(("train", "phantom"), *size, *where)
    done = tracked(store)
    assert done.info.status == "FINISHED"
    steps = 2 * (len(splits["training"]) // 8)
    history = MlflowClient(store).get_metric_history(done.info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, steps + 1))
    assert len(MlflowClient(store).get_metric_history(done.info.run_id, "val/loss")) == 2
    assert not (output / "rejected.jsonl").exists() or not (output / "rejected.jsonl").read_text()


def test_evaluation_on_a_radiologists_boxes(shared_data, tmp_path, store):
    boxes = lay_out_nih(shared_data, tmp_path / "nih")
    splits = write_datalist("nih-chestxray14", tmp_path / "nih")
    output = tmp_path / "evaluate"
    where = ["--dataset_dir", tmp_path / "nih", "--output_dir", output, "--tracking_uri", store]
    weights = ["--checkpoint", f"{CXR.root}/models/phantom/model.pt", "--calibrate", "False", "--prompts", "cxr"]
    CXR.run(("evaluate", "phantom"), *weights, *where)
    metrics = json.loads((output / "metrics.json").read_text())
    rows = pd.read_csv(output / "per_case.csv")
    assert len(splits["test"]) == rows["case_id"].nunique() == 32
    findings = sum(len(record["findings"]) for record in splits["test"])
    assert metrics["localization"]["all"]["cases"] == findings <= boxes
    assert rows.loc[rows["kind"] == "present", ["pointing", "cnr", "miou"]].notna().all(axis=None)
    done = tracked(store)
    assert done.info.status == "FINISHED"
    names = {artifact.path for artifact in MlflowClient(store).list_artifacts(done.info.run_id)}
    assert any("overlays" in name for name in names) or "figures" in names
