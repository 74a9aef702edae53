"""Agreement: measures against closed forms and scikit-learn, reviews read back, table, plot and runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from integrations.review.agreement import agree, agreement_table
from integrations.review.measures import box_iou, mask_overlap, weighted_kappa, weighted_median
from integrations.review.record import ReviewError, read_reviews
from scripts.files.errors import UserError
from scripts.predictions.masks import write_mask

VERSION = "test_bundle 0.1.0 (aaaaaaaa)"


def line(case: str, label: str, action: str = "accepted", **changes) -> dict:
    """A line of reviews.jsonl of a film."""
    about = {"case_id": case, "patient_id": f"patient of {case}", "domain": "cxr", "reviewer": "ann@hospital", "seconds": 10.0}
    about |= {"time": "2026-01-31T10:20:30Z", "model_version": VERSION, "label": label, "action": action}
    return about | {"before": None, "after": None, "image_index": None, "drawn": "confidence"} | changes


def said(case: str, label: str, before: str | None, after: str | None, **changes) -> dict:
    """What model and expert answer for a case as a whole."""
    nowhere = {"box": None, "mask": None}
    done = "added" if before is None else "accepted" if before == after else "edited" if after else "rejected"
    return line(
        case,
        label,
        before=before and {"label": label, "probability": 0.5, **nowhere, "choice": before},
        after=after and {**nowhere, "choice": after},
        **{"action": done, **changes},
    )


def drawn(case: str, label: str, action: str, before: dict | None, after: dict | None, **changes) -> dict:
    """A region of a film, `before` and `after` with box and mask."""
    return line(
        case,
        label,
        action,
        before=before and {"label": label, "probability": 0.9, **before, "choice": None},
        after=after and {**after, "choice": None},
        **{"image_index": 0, **changes},
    )


def written(folder: Path, lines: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "reviews.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def table_of(folder: Path, lines: list[dict]) -> pd.DataFrame:
    return agreement_table(read_reviews(written(folder, lines)))


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    """A tracking database; making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


def row(table: pd.DataFrame, finding: str, measure: str, comparison: str = "model") -> pd.Series:
    where = (table["comparison"] == comparison) & (table["finding"] == finding) & (table["measure"] == measure)
    (found,) = table[where].to_dict("records")
    return pd.Series(found)


# --- measures -----------------------------------------------------------------------------------------


def test_kappa_is_scikit_learns_in_every_resample():
    random = np.random.default_rng(0)
    answers = random.integers(0, 3, (40, 2))
    weights = random.integers(0, 4, (25, 40)).astype(float)
    found = weighted_kappa(np.column_stack([np.zeros(40), answers]), weights)
    expected = [cohen_kappa_score(*answers.T, sample_weight=counts) for counts in weights]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_kappa_of_several_questions_is_the_mean_of_those_that_have_one():
    random = np.random.default_rng(1)
    first, second = random.integers(0, 2, (30, 2)), random.integers(0, 2, (20, 2))
    constant = np.ones((10, 2))
    values = np.vstack([np.column_stack([np.full(len(part), n), part]) for n, part in enumerate((first, second, constant))])
    found = weighted_kappa(values, np.ones((1, 60)))
    assert found[0] == pytest.approx((cohen_kappa_score(*first.T) + cohen_kappa_score(*second.T)) / 2)
    assert np.isnan(weighted_kappa(np.column_stack([np.zeros(10), constant]), np.ones((2, 10)))).all()


def test_median_is_numpys_of_the_values_repeated():
    random = np.random.default_rng(2)
    values = random.uniform(0, 100, 15)
    weights = random.integers(0, 3, (50, 15))
    expected = [np.median(np.repeat(values, counts)) for counts in weights]
    np.testing.assert_allclose(weighted_median(values, weights.astype(float)), expected)


def test_boxes_overlap_as_their_pixels_do():
    random = np.random.default_rng(3)
    for _ in range(20):
        sides = [[[*random.integers(0, 20, 2), *random.integers(1, 20, 2)] for _ in range(count)] for count in (2, 3)]
        canvases = np.zeros((2, 40, 40), bool)
        for canvas, boxes in zip(canvases, sides, strict=True):
            for x, y, width, height in boxes:
                canvas[y : y + height, x : x + width] = True
        dice, iou = mask_overlap(*canvases)
        assert box_iou(*sides) == pytest.approx(iou) and dice == pytest.approx(2 * iou / (1 + iou))
    assert box_iou([[0, 0, 2, 2]], [[0.5, 0, 2, 2]]) == pytest.approx(0.6)


# --- model against expert -----------------------------------------------------------------------------


def test_answers_of_films_give_kappa_and_acceptance_of_each_finding(tmp_path):
    answers = [("present", "present")] * 5 + [("present", "absent")] * 2 + [("absent", "present")] + [("absent", "absent")] * 4
    lines = [said(f"film {n}", "Mass", *pair) for n, pair in enumerate(answers)]
    lines += [said(f"film {n}", "Effusion", "absent", "absent") for n in range(12)]
    table = table_of(tmp_path, lines)
    kappa = row(table, "Mass", "kappa")
    assert kappa["estimate"] == pytest.approx(cohen_kappa_score(*zip(*answers, strict=True)))
    assert kappa["lower"] < kappa["estimate"] < kappa["upper"] and (kappa["n"], kappa["cases"], kappa["patients"]) == (12, 12, 12)
    # Absent in all films by both: chance alone agrees.
    assert np.isnan(row(table, "Effusion", "kappa")["estimate"])
    assert row(table, "all", "kappa")["estimate"] == kappa["estimate"]
    # Only what the model saw can be accepted.
    assert row(table, "Mass", "acceptance")["estimate"] == pytest.approx(5 / 7) and row(table, "all", "acceptance")["n"] == 7
    assert row(table, "all", "seconds")["n"] == 12


def test_places_overlap_whole_and_what_one_side_marks_alone_counts_as_nothing(tmp_path):
    (tmp_path / "masks").mkdir()
    upper, left = np.zeros((2, 20, 30), bool)
    upper[:10], left[:, :15] = True, True
    write_mask(tmp_path / "masks" / "upper.png", upper)
    write_mask(tmp_path / "masks" / "left.png", left)
    places = {
        "upper": {"box": [0, 0, 30, 10], "mask": "masks/upper.png"},
        "left": {"box": [0, 0, 15, 20], "mask": "masks/left.png"},
    }
    lines = [
        drawn("film 1", "Mass", "edited", places["upper"], places["left"]),
        drawn("film 2", "Mass", "rejected", places["upper"], None),
        drawn("film 3", "Mass", "added", None, places["left"]),
        drawn("film 4", "Mass", "accepted", places["left"], places["left"]),
    ]
    # Deleted and drawn anew: another region, the same place.
    lines += [drawn("film 5", "Mass", "rejected", places["upper"], None), drawn("film 5", "Mass", "added", None, places["upper"])]
    # A box drawn by hand has no mask to compare.
    lines += [drawn("film 6", "Mass", "edited", places["left"], {"box": [0, 0, 15, 10], "mask": None})]
    table = table_of(tmp_path, lines)
    iou, dice, boxes = (row(table, "Mass", measure) for measure in ("iou", "dice", "box_iou"))
    assert iou["estimate"] == pytest.approx((1 / 3 + 0 + 0 + 1 + 1) / 5) and iou["n"] == 5
    assert dice["estimate"] == pytest.approx((1 / 2 + 0 + 0 + 1 + 1) / 5)
    assert boxes["estimate"] == pytest.approx((1 / 3 + 0 + 0 + 1 + 1 + 1 / 2) / 6) and boxes["n"] == 6
    assert row(table, "Mass", "acceptance")["estimate"] == pytest.approx(1 / 5)


def test_a_region_given_another_label_agrees_with_neither(tmp_path):
    place = {"box": [0, 0, 15, 20], "mask": None}
    lines = [drawn("film 1", "Nodule", "edited", place, place), drawn("film 2", "Mass", "accepted", place, place)]
    lines[0]["before"]["label"] = "Mass"
    table = table_of(tmp_path, lines)
    assert row(table, "Nodule", "box_iou")["estimate"] == 0 and row(table, "Mass", "box_iou")["estimate"] == 0.5
    assert row(table, "Mass", "acceptance")["estimate"] == 0.5


def test_a_diagnosis_is_judged_whole_and_class_by_class(tmp_path):
    pairs = [("NOR", "NOR"), ("NOR", "BH"), ("BH", "BH"), ("NPC", "NPC"), ("NPC", "BH"), ("NPC", "NPC"), ("BH", "NOR")]
    table = table_of(tmp_path, [said(f"exam {n}", pair[0], *pair, domain="nasal") for n, pair in enumerate(pairs)])
    models, experts = zip(*pairs, strict=True)
    assert row(table, "all", "kappa")["estimate"] == pytest.approx(cohen_kappa_score(models, experts))
    assert row(table, "all", "kappa")["n"] == len(pairs)
    for name in ("NOR", "BH", "NPC"):
        expected = cohen_kappa_score([one == name for one in models], [one == name for one in experts])
        assert row(table, name, "kappa")["estimate"] == pytest.approx(expected)
    assert row(table, "NPC", "acceptance")["estimate"] == pytest.approx(2 / 3)


def test_volumes_answer_and_mark_in_one_line(tmp_path):
    (tmp_path / "masks").mkdir()
    masks = np.zeros((2, 6, 5, 4), np.uint8)
    masks[0, :4], masks[1, 2:] = 1, 1
    for name, mask in zip(("before", "after"), masks, strict=True):
        nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / "masks" / f"{name}.nii.gz")
    lines = [
        said(f"scan {n}", "Nodule", *pair, domain="ct") for n, pair in enumerate([("present", "absent"), ("absent", "uncertain")])
    ]
    lines.append(said("scan 3", "Nodule", "present", "present", domain="ct", action="edited"))
    for side in ("before", "after"):
        lines[-1][side]["mask"] = f"masks/{side}.nii.gz"
    table = table_of(tmp_path, lines)
    assert row(table, "Nodule", "iou")["estimate"] == pytest.approx(1 / 3) and row(table, "Nodule", "iou")["n"] == 1
    assert row(table, "Nodule", "kappa")["estimate"] == pytest.approx(cohen_kappa_score([1, 0, 1], [0, 2, 1]))
    assert row(table, "Nodule", "acceptance")["estimate"] == 0 and row(table, "Nodule", "acceptance")["n"] == 2
    assert "box_iou" not in set(table["measure"])


def test_each_model_version_has_its_own_rows_and_repeated_reviews_count_once(tmp_path):
    lines = [said(f"film {n}", "Mass", "present", "present") for n in range(3)]
    lines += [said(f"film {n}", "Mass", "present", None, model_version="other", time="2026-02-01T00:00:00Z") for n in range(3)]
    lines += [said("film 0", "Mass", "present", "present", model_version="other", time="2026-02-02T00:00:00Z")]
    table = table_of(tmp_path, lines)
    rates = table[table["measure"] == "acceptance"].set_index(["model_version", "finding"])
    assert rates.loc[(VERSION, "all"), "estimate"] == 1
    assert rates.loc[("other", "all"), "estimate"] == pytest.approx(1 / 3) and rates.loc[("other", "all"), "n"] == 3
    assert "experts" not in set(table["comparison"])


def test_intervals_resample_patients_not_findings(tmp_path):
    random = np.random.default_rng(5)
    lines = []
    for patient in range(20):
        after = "present" if random.integers(2) else "absent"
        lines += [said(f"film {patient} {n}", "Mass", "present", after, patient_id=f"p{patient}") for n in range(10)]
    together = row(table_of(tmp_path / "a", lines), "all", "acceptance")
    each = [one | {"patient_id": one["case_id"]} for one in lines]
    apart = row(table_of(tmp_path / "b", each), "all", "acceptance")
    assert (together["n"], together["patients"]) == (200, 20) and apart["patients"] == 200
    assert together["upper"] - together["lower"] > 2 * (apart["upper"] - apart["lower"])


# --- expert against expert ----------------------------------------------------------------------------


def test_two_experts_are_compared_on_the_cases_that_both_saw(tmp_path):
    answers = [("present", "present"), ("present", "absent"), ("absent", "absent"), ("absent", "absent")]
    lines = []
    for number, pair in enumerate(answers):
        for who, choice in zip(("ann@hospital", "bob@hospital"), pair, strict=True):
            lines.append(said(f"film {number}", "Mass", "present", choice, reviewer=who))
    lines.append(said("film 9", "Mass", "present", "present"))
    table = table_of(tmp_path, lines)
    kappa = row(table, "Mass", "kappa", "experts")
    assert kappa["estimate"] == pytest.approx(cohen_kappa_score(*zip(*answers, strict=True))) and kappa["n"] == 4
    assert set(table[table["comparison"] == "experts"]["measure"]) == {"kappa"}


def test_what_an_expert_does_not_tick_on_an_empty_page_is_absent(tmp_path):
    lines = []
    for number in range(6):
        lines.append(said(f"film {number}", "Mass", "absent", "present" if number < 3 else "absent"))
        ticked = number < 3 or number == 5
        name = "Mass" if ticked else "Effusion"
        lines.append(said(f"film {number}", name, None, "present", reviewer="bob@hospital", model_version=None))
    table = table_of(tmp_path, lines)
    kappa = row(table, "Mass", "kappa", "experts")
    assert kappa["estimate"] == pytest.approx(cohen_kappa_score([1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 1])) and kappa["n"] == 6
    # Neither has a line about effusions of the first films.
    effusion = row(table, "Effusion", "kappa", "experts")
    assert (effusion["estimate"], effusion["n"]) == (0, 6)


def test_more_than_two_experts_give_the_mean_of_all_pairs(tmp_path):
    random = np.random.default_rng(6)
    answers = random.choice(["NOR", "BH", "NPC"], (15, 3))
    lines = [
        said(f"exam {n}", "NOR", "NOR", str(answer), reviewer=f"expert {who}", domain="nasal")
        for n, given in enumerate(answers)
        for who, answer in enumerate(given)
    ]
    pairs = [cohen_kappa_score(answers[:, a], answers[:, b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    kappa = row(table_of(tmp_path, lines), "all", "kappa", "experts")
    assert kappa["estimate"] == pytest.approx(np.mean(pairs)) and (kappa["n"], kappa["cases"]) == (45, 15)


# --- files, command, runs -----------------------------------------------------------------------------


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    good = said("film 1", "Mass", "present", "present")
    old = {key: value for key, value in good.items() if key != "patient_id"}
    lost = drawn("film 2", "Mass", "rejected", {"box": [0, 0, 5, 5], "mask": "masks/gone.png"}, None)
    path = written(tmp_path, [good, old, lost, good | {"action": "acepted", "seconds": -3}])
    with path.open("a") as file:
        file.write('{"case_id": \n')
    with pytest.raises(ReviewError) as error:
        read_reviews(path)
    said_so = str(error.value)
    for words in (
        "line 2, patient_id",
        "masks/gone.png",
        '"accepted" is meant',
        "line 4, seconds",
        "line 5: is no JSON",
        "pull again",
    ):
        assert words in said_so, words


def test_the_old_word_and_unknown_domains_are_told(tmp_path):
    good = said("film 1", "Mass", "present", "present")
    old = {"task" if key == "domain" else key: value for key, value in good.items()}
    with pytest.raises(ReviewError, match=r'line 1, task = "cxr": is called "domain" now; pull again') as error:
        read_reviews(written(tmp_path, [old]))
    assert str(error.value).count("line 1") == 1, "one fault, not a missing key and an unknown one"
    with pytest.raises(ReviewError, match=r'line 1, domain = "mri": is not known .*known: ct, cxr, nasal'):
        read_reviews(written(tmp_path, [good | {"domain": "mri"}]))


def test_masks_of_different_shapes_are_refused(tmp_path):
    (tmp_path / "masks").mkdir()
    for name, shape in (("a", (20, 30)), ("b", (30, 20))):
        write_mask(tmp_path / "masks" / f"{name}.png", np.ones(shape, bool))
    places = [{"box": [0, 0, 5, 5], "mask": f"masks/{name}.png"} for name in "ab"]
    with pytest.raises(ReviewError, match=r"film 1: masks/a.png has shape \(20, 30\), masks/b.png \(30, 20\)"):
        table_of(tmp_path, [drawn("film 1", "Mass", "edited", *places)])


def test_runs_stand_beneath_the_training_whose_checkpoint_predicted(store, tmp_path):
    client = mlflow.MlflowClient(store)
    experiment = client.create_experiment("films", artifact_location=(tmp_path / "artifacts").as_uri())
    training = client.create_run(experiment, tags={"checkpoint_best.sha256": "aaaaaaaa" + "0" * 56}).info.run_id
    lines = [said(f"film {n}", "Mass", "present", "present" if n else "absent") for n in range(5)]
    lines += [said(f"film {n}", "Mass", "absent", "present", reviewer="bob@hospital", model_version="mine") for n in range(5)]
    table, tracked = agree(written(tmp_path / "pulled", lines), tmp_path / "out", tracking_uri=store)
    named = {one.model_version: one for one in tracked}
    run = client.get_run(named[VERSION].run_id)
    assert named[VERSION].parent_run == training == run.data.tags["mlflow.parentRunId"] and named["mine"].parent_run is None
    assert run.info.experiment_id == experiment and run.info.status == "FINISHED"
    assert run.data.tags["kind"] == "agreement" and run.data.tags["model_version"] == VERSION
    metrics = run.data.metrics
    assert metrics["agreement/all/acceptance"] == 0.8 and metrics["agreement/Mass/acceptance_upper"] == 1
    assert metrics["experts/Mass/kappa"] == row(table, "Mass", "kappa", "experts")["estimate"]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"figures", "tables"}
    kept = pd.read_csv(tmp_path / "out" / "agreement.csv", keep_default_na=False)
    assert list(kept.columns) == list(table.columns) and len(kept) == len(table)
    assert (tmp_path / "out" / "agreement.png").read_bytes()[:4] == b"\x89PNG"
    # The store's runs name no reviewer.
    assert "hospital" not in json.dumps({**run.data.params, **run.data.tags}) + (tmp_path / "out" / "agreement.csv").read_text()


def test_what_cannot_be_compared_says_what_to_do(store, tmp_path):
    alone = said("film 1", "Mass", None, "present", model_version=None)
    with pytest.raises(ReviewError, match="nothing to compare"):
        agree(written(tmp_path, [alone]), tracking_uri=store)
    both = [said("film 1", "Mass", "present", "present"), said("film 1", "Mass", "present", "present", model_version="other")]
    path = written(tmp_path, both)
    with pytest.raises(ReviewError, match="--run_id is for one alone"):
        agree(path, run_id="1" * 32, tracking_uri=store)
    with pytest.raises(ReviewError, match="no reviewed case was drawn at random"):
        agree(path, only_random=True, tracking_uri=store)
    with pytest.raises(UserError, match="no run 1111"):
        agree(written(tmp_path, both[:1]), run_id="1" * 32, tracking_uri=store)
    with pytest.raises(ReviewError, match="which MLflow no longer takes"):
        agree(path, tracking_uri=str(tmp_path))


def test_the_command_measures_what_was_drawn_at_random(store, tmp_path):
    version = "other_bundle 0.1.0 (bbbbbbbb)"
    about = {"model_version": version}
    lines = [said(f"film {n}", "Mass", "present", "present", **about, drawn="random" if n < 4 else "confidence") for n in range(8)]
    path = written(tmp_path, lines)
    command = [sys.executable, "-m", "integrations.label_studio", "agreement", "--only_random", "--tracking_uri", store]
    done = subprocess.run([*command, "--reviews", path], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"acceptance +1\.000 \(1\.000-1\.000\) +n = 4, 4 patients", done.stdout), done.stdout
    assert re.search(r"kappa +- +n = 4", done.stdout) and f"{version}: run " in done.stdout
    assert "no training in this store ended with its checkpoint" in done.stderr
    assert pd.read_csv(tmp_path / "agreement.csv")["cases"].max() == 4
