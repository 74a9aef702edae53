"""Runs side by side, from a store to the page and the terminal."""

import re

import pytest
from matplotlib.figure import Figure

from scripts.tracking.compare.page import number, p_value, page_of
from scripts.tracking.compare.report import compare_runs
from scripts.tracking.compare.terminal import text_of
from tests.tracking.compare.tables import interval, label_table, phrase_table


def evaluation(shift: float) -> dict:
    """Files of an evaluation."""
    cnr = float(phrase_table(shift)["cnr"].mean())
    return {
        "per_case.csv": phrase_table(shift),
        "tables/per_label.csv": label_table(noise=1.0 - shift),
        "metrics.json": {"localization": {"all": {"cnr": interval(cnr)}}},
        "figures/overlays_00000000.png": Figure(figsize=(2, 1)),
        "images/heat_00000001.png": Figure(figsize=(2, 1)),
        "images/heat_00000002.png": Figure(figsize=(3, 1)),
    }


@pytest.fixture
def pair(runs):
    ids = [
        runs.add(
            name,
            metrics={"test/cnr": float(phrase_table(shift)["cnr"].mean()), "test/ece": shift, "test/samples_per_second": 5.0},
            params={"seed": 1, "sigma": sigma},
            tags={"git.revision": revision, "version.torch": "2.13.0", "kind": "evaluation"},
            files=evaluation(shift),
        )
        for name, shift, sigma, revision in (("plain <b>", 0.0, 0.6, "aaa"), ("smooth", 0.2, 2.5, "bbb"))
    ]
    return runs.read(*ids), runs.address


def test_all_parts(pair):
    found = compare_runs(*pair)
    assert set(found.metrics) == {"test/cnr", "test/ece"}
    assert found.best == {"test/cnr": {1}, "test/ece": {0}}
    assert found.bounds[1]["test/cnr"].lower == pytest.approx(found.metrics["test/cnr"][1] - 0.05)
    assert found.comparisons[0] == [] and {row.table for row in found.comparisons[1]} == {"per_case.csv", "per_label.csv"}
    assert next(row for row in found.comparisons[1] if row.measure == "cnr").difference == pytest.approx(0.2)
    assert found.settings == {"sigma": ["0.6", "2.5"]} and found.origins == {"git.revision": ["aaa", "bbb"]}
    assert [set(pictures) for pictures in found.pictures] == [{"figures/overlays", "images/heat"}] * 2
    assert found.notes == []


def test_the_last_step_of_a_picture_is_shown(pair):
    found = compare_runs(*pair)
    assert found.pictures[0]["images/heat"][16:20] == (300).to_bytes(4, "big")  # width in a PNG's header


def test_the_page_stands_alone_and_escapes_names(pair):
    page = page_of(compare_runs(*pair), pair[1])
    assert "#1 plain &lt;b&gt;" in page and "plain <b>" not in page
    assert page.count("data:image/jpeg;base64,") == 4
    assert not re.search(r"(src|href)=[\"'](?!data:)", page) and "<script" not in page
    for part in ("test/cnr", "sigma", "git.revision", "per_label.csv", "auc_macro"):
        assert part in page
    assert "patient-1" not in page and "film-1" not in page


def test_runs_on_a_server_are_linked_without_a_login(pair):
    runs, _ = pair
    page = page_of(compare_runs(*pair), "http://me:secret@team:5000/")
    assert f"http://team:5000/#/experiments/{runs[0].experiment_id}/runs/{runs[0].id}" in page and "secret" not in page


def test_the_terminal_table(pair):
    text = text_of(compare_runs(*pair))
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "#1 plain <b>" in text and "#2 smooth" in text
    assert lines["test/ece"].split()[1:] == ["0.000", "*", "0.200"]
    assert re.search(r"cnr \(30 lines\)\s+#2 smooth\s+\+0\.200 \(\+0\.200 to \+0\.200\)\s+p 0\.002", text)
    assert "differ: sigma, git.revision" in text


def test_what_is_missing_is_said_and_the_rest_compared(runs):
    whole = runs.add("whole", metrics={"test/cnr": 1.0}, files=evaluation(0.0))
    bare = runs.add("bare", metrics={"test/cnr": 2.0}, status="KILLED", tags={"git.dirty": "true"})
    broken = runs.add("broken", metrics={"test/cnr": 3.0}, files={"metrics.json": "{", "per_case.csv": ""})
    found = compare_runs(runs.read(whole, bare, broken), runs.address)
    assert found.metrics == {"test/cnr": [1.0, 2.0, 3.0]} and found.comparisons == [[], [], []]
    told = "\n".join(found.notes)
    assert "#2 bare: no table of single cases in common" in told
    assert "#3 broken: metrics.json cannot be read: JSONDecodeError" in told
    assert "#3 broken: per_case.csv cannot be read: EmptyDataError" in told
    assert "no metrics.json, so no intervals: #2 bare" in told
    assert "KILLED: #2 bare" in told and "files differed from the revision: #2 bare" in told
    assert "No cases could be compared" in page_of(found, runs.address)


def test_many_runs(runs, monkeypatch):
    """Tables of the first alone are compared, and runs become lines."""
    monkeypatch.setattr("scripts.tracking.compare.report.PAIRED_RUNS", 3)
    monkeypatch.setattr("scripts.tracking.compare.report.PICTURED_RUNS", 2)
    files = {"per_case.csv": phrase_table(), "images/heat.png": Figure(figsize=(1, 1))}
    ids = [runs.add(f"run {n}", metrics={"test/cnr": n}, params={"seed": n}, files=files) for n in range(12)]
    found = compare_runs(runs.read(*ids), runs.address)
    assert [len(rows) > 0 for rows in found.comparisons] == [False, True, True] + [False] * 9
    assert [len(pictures) for pictures in found.pictures] == [1, 1] + [0] * 10
    assert "single cases are compared for the first 3 of 12 runs" in found.notes
    assert "no metrics.json, so no intervals: " + ", ".join(f"#{n + 1} run {n}" for n in range(10)) + " and 2 more" in found.notes
    page = page_of(found, runs.address)
    assert re.search(r"<th>\s*</th><th>test/cnr</th></tr>", page) and "#12 run 11" in page
    assert "8 more runs are on the page" in text_of(found)


def test_numbers_are_readable():
    assert [number(value) for value in (None, 0.0, 0.12345, 12.5, 123456.0, 0.00001234, float("nan"))] == [
        "-", "0.000", "0.123", "12.500", "1.23e+05", "1.23e-05", "nan"
    ]  # fmt: skip
    assert [p_value(value) for value in (float("nan"), 0.0004, 0.04)] == ["-", "<0.001", "0.040"]
