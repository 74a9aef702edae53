"""A study of bundles that train nothing: which commands it gives, what it makes of their results, and how it goes on."""

import json

import mlflow
import pandas as pd
import pytest

from scripts.studies import LabelEfficiency, StudyPlan, describe

PRETRAIN = {
    "imports": ["$from pathlib import Path"],
    "save": "$Path(@output_dir, 'checkpoint_last.pt').write_text(str(@seed))",
    "run": ["$@save"],
}
TRAIN = {
    "imports": ["$from pathlib import Path"],
    "pretrained_checkpoint": None,
    "known": "$Path(@pretrained_checkpoint).read_text() if @pretrained_checkpoint else 'nothing'",
    "save": "$Path(@output_dir, 'checkpoint_best.pt').write_text(@known)",
    "run": ["$@save"],
}
# Right about every exam with a pretraining, about every second one without.
EVALUATE = {
    "imports": ["$from pathlib import Path", "$import pandas as pd"],
    "lucky": "$Path(@checkpoint).read_text() == 'nothing'",
    "table": "$pd.DataFrame([{'case_id': n, 'patient_id': n, 'site': 'AB'[n // 10], 'truth': 1, 'decision': n % 2 if @lucky else 1} for n in range(20)])",  # noqa: E501
    "run": ["$@table.to_csv(Path(@output_dir, 'per_exam.csv'), index=False)"],
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    for name, configs in {"pretraining": {"train": PRETRAIN}, "screening": {"train": TRAIN, "evaluate": EVALUATE}}.items():
        (folder / name / "configs").mkdir(parents=True)
        for config, content in configs.items():
            (folder / name / "configs" / f"{config}.json").write_text(json.dumps(content))
    plan = {
        "pretraining_bundle": str(folder / "pretraining"),
        "screening_bundle": str(folder / "screening"),
        "overlays": [],
        "arguments": {"held_out_sites": ["B"]},
        "pretrainings": {"words": {}},
        "initialisations": {"random": {}, "from words": {"pretraining": "words"}},
        "fractions": [0.5],
        "seeds": [2],
        "pretraining_seeds": [7],
        "comparisons": [["from words", 0.5, "random", 0.5]],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    return StudyPlan.read([folder / "plan.json"])


def test_a_study_trains_evaluates_compares_and_is_not_run_twice(plan, tmp_path):
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    study = tmp_path / "study"
    figures, differences = LabelEfficiency(plan, study, {"tracking_uri": store}, jobs=2, threads=1).run()
    accuracy = figures[figures["slice"] == "all"].set_index("initialisation")["estimate"]
    assert accuracy.to_dict() == {"random": 0.5, "from words": 1.0}
    assert set(figures["slice"]) == {"all", "held-out centres", "other centres"}
    assert (differences["estimate"] == 0.5).all() and (differences["lower"] > 0).all()
    assert "from words with 50% minus random with 50%, all: 0.500" in describe(figures, differences)
    assert (study / "from_words" / "0.5" / "seed_2" / "checkpoint_best.pt").read_text() == "7"
    assert (study / "label_efficiency.png").stat().st_size > 5000

    logs = {path: path.stat().st_mtime_ns for path in study.rglob("log.txt")}
    assert len(logs) == 1 + 2 + 2
    again, _ = LabelEfficiency(plan, study, {"tracking_uri": store}).run()
    pd.testing.assert_frame_equal(again, figures)
    assert {path: path.stat().st_mtime_ns for path in study.rglob("log.txt")} == logs

    mlflow.set_tracking_uri(store)
    (run,) = mlflow.search_runs(experiment_names=["screening"], output_format="list")
    assert run.data.tags["kind"] == "study" and run.info.status == "FINISHED"
    files = {file.path for file in mlflow.MlflowClient(store).list_artifacts(run.info.run_id, "tables")}
    assert files == {"tables/label_efficiency.csv", "tables/comparisons.csv"}
