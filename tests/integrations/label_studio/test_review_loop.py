"""The loop: infer, push, review, pull, fine-tune on what was reviewed, evaluate, and compare the two models."""

import copy
import subprocess
import sys

import mlflow
import pytest
from sklearn.metrics import cohen_kappa_score

from integrations.label_studio.answers.results import is_region
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from integrations.review.agreement import agree
from scripts.datalists.datalist import load_datalist, save_datalist
from scripts.files.atomic import sha256_of
from scripts.phantoms.nasal import write_phantoms
from scripts.predictions.predictions import read_predictions
from tests.bundles.commands import ROOT, Bundle

SCREENING = Bundle("npc_screening")
SHIPPED = SCREENING.folder / "models" / "phantom" / "model.pt"
CLASSES = ("NOR", "BH", "NPC")
REVIEWED, CORRECTED = 40, 4


def decided(case: dict) -> str:
    """The class that the model has decided on."""
    classes = [finding for finding in case["findings"] if finding.image_index is None]
    return max(classes, key=lambda finding: finding.probability).label


def review(client, task: dict, diagnosis: str | None) -> None:
    """Submit a task as the page does: as suggested, or with another diagnosis and without regions."""
    prediction = task["predictions"][-1]
    items = [item | {"origin": "prediction"} for item in copy.deepcopy(prediction["result"])]
    if diagnosis:
        items = [item for item in items if not is_region(item)]
        next(item for item in items if item["type"] == "choices")["value"]["choices"] = [diagnosis]
    client.annotations.create(id=task["id"], result=items, parent_prediction=prediction["id"], lead_time=20.0)


def submit_all(client, workspace, project: str, corrected: dict[str, str]) -> None:
    """Review all tasks of a project; `corrected` has the diagnoses, by exam, that the expert disagrees with."""
    found = next(one for one in client.projects.list(title=project) if one.title == project)
    tasks = [task.dict() for task in client.tasks.list(project=found.id, fields="all", page_size=100)]
    assert len(tasks) == REVIEWED
    for task in tasks:
        exam = workspace.read_case(project, task["data"]["case_id"])["case_id"]
        review(client, task, corrected.get(exam))


@pytest.mark.slow
def test_reviewed_exams_train_a_model_that_stands_beside_the_first(client, workspace, project, tmp_path):
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    phantoms = tmp_path / "phantoms"
    write_phantoms(phantoms, training=28, validation=12, test=24, seed=9, workers=1)
    cases = load_datalist(phantoms / "datalist.json")
    unread = {
        split: [{key: value for key, value in record.items() if key not in ("label", "findings")} for record in cases.split(split)]
        for split in ("training", "validation")
    }
    save_datalist(tmp_path / "exams.json", "nasal", unread)

    where = ["--exams", tmp_path / "exams.json", "--checkpoint", SHIPPED, "--output_dir", tmp_path / "predicted"]
    SCREENING.run(("inference", "phantom"), *where, "--overlay_exams", 0)
    predicted = {case["case_id"]: decided(case) for case in read_predictions(tmp_path / "predicted")}
    assert len(predicted) == REVIEWED
    corrected = {exam: CLASSES[CLASSES.index(predicted[exam]) - 1] for exam in sorted(predicted)[:: REVIEWED // CORRECTED]}
    push(client, workspace, tmp_path / "predicted", project, datalist=tmp_path / "exams.json")
    submit_all(client, workspace, project, corrected)
    pulled = tmp_path / "pulled"
    done = pull(client, workspace, project, pulled)
    assert (done.cases, done.reviews) == (REVIEWED, REVIEWED)
    reviewed = load_datalist(pulled / "datalist.json")
    labels = {record["exam_id"]: record["label"] for split in unread for record in reviewed.split(split)}
    assert labels == predicted | corrected and len(corrected) == CORRECTED
    assert [len(reviewed.split(split)) for split in unread] == [28, 12]

    table, (agreed,) = agree(pulled, tracking_uri=store)
    diagnosis = table[(table["finding"] == "all") & (table["comparison"] == "model")].set_index("measure")
    exams = sorted(predicted)
    expected = cohen_kappa_score([predicted[exam] for exam in exams], [labels[exam] for exam in exams])
    assert diagnosis.loc["kappa", "estimate"] == pytest.approx(expected) and diagnosis.loc["kappa", "n"] == REVIEWED
    assert diagnosis.loc["seconds", "estimate"] == 20 and diagnosis.loc["acceptance", "estimate"] < 1

    tuned, tracked = tmp_path / "tuned", ["--tracking_uri", store]
    few = ["--max_epochs", 3, "--least_exams_per_epoch", 28, "--batch_size", 7, "--held_out_sites", "[]"]
    signs = ["--head_prompts", "nasal"]
    SCREENING.run(("train", "phantom", "linear_probe"), "--dataset_dir", pulled, *few, *signs, *tracked, "--output_dir", tuned)
    before = ["--checkpoint", SHIPPED, "--calibrate", "False", "--run_name", "shipped", "--output_dir", tmp_path / "before"]
    after = ["--checkpoint", tuned / "checkpoint_best.pt", "--run_name", "reviewed", "--output_dir", tmp_path / "after"]
    after += ["--parent_run", tuned, "--held_out_sites", "[]"]
    for arguments in (before, after):
        SCREENING.run(("evaluate", "phantom"), "--dataset_dir", phantoms, *tracked, *arguments)

    kept = mlflow.MlflowClient(store)
    training = kept.get_run((tuned / "mlflow_run_id").read_text().strip())
    assert training.data.params["datalist.sha256"] == sha256_of(pulled / "datalist.json")
    ids = [(tmp_path / name / "mlflow_evaluation_run_id").read_text().strip() for name in ("before", "after")]
    runs = [kept.get_run(run_id) for run_id in ids]
    assert runs[1].data.tags["mlflow.parentRunId"] == training.info.run_id
    assert len({run.info.experiment_id for run in (training, *runs)}) == 1
    assert all(run.info.status == "FINISHED" and run.data.metrics["test/auc_macro"] > 0.9 for run in runs)
    assert kept.get_run(agreed.run_id).data.metrics["agreement/all/kappa"] == pytest.approx(expected)
    command = [sys.executable, "mlflow/compare.py", *ids, "--tracking_uri", store, "--output", tmp_path / "comparison.html"]
    compared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert compared.returncode == 0, compared.stderr[-2000:]
    assert "shipped" in compared.stdout and "reviewed" in compared.stdout and "accuracy" in compared.stdout
    page = (tmp_path / "comparison.html").read_text()
    assert "per_exam.csv" in page and "shipped" in page and "reviewed" in page
