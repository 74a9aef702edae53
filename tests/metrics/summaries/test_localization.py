import math

import pandas as pd
import pytest

from scripts.metrics.summaries.localization import MEASURES, summarize_phrases


def found(patient, label, value, size="small", tags="", probability=0.9, regions=1):
    row = {"patient_id": patient, "kind": "present", "label": label, "probability": probability, "regions": regions}
    return row | {"size": size, "tags": tags} | dict.fromkeys(MEASURES, value)


def asked(patient, kind, probability, regions):
    return {"patient_id": patient, "kind": kind, "label": "A", "probability": probability, "regions": regions}


ROWS = pd.DataFrame(
    [
        found("p1", "A", 0.2, "small", "unseen_pair small", probability=0.9),
        found("p2", "A", 0.4, "large", "", probability=0.8, regions=0),
        found("p2", "B", 0.9, "large", "unseen_pair", probability=0.7, regions=2),
        found("p3", "A", 0.6, "small", None, probability=0.6),
        # There, but without a place: asked and shown, not located.
        {"patient_id": "p4", "kind": "present", "label": "B", "probability": 0.5, "regions": 0},
        asked("p1", "absent", 0.55, 0),
        asked("p2", "absent", 0.65, 1),
        asked("p3", "absent", 0.59, 0),
        asked("p4", "absent", 0.95, 1),
        asked("p1", "negated", 0.1, 0),
        asked("p2", "negated", 0.2, 0),
    ]
)


def estimates(part):
    return {name: value["estimate"] if isinstance(value, dict) else value for name, value in part.items()}


def test_slices_of_a_small_table():
    slices = summarize_phrases(ROWS)["localization"]
    expected = {
        "all": (2.1 / 4, 4),
        "finding A": (0.4, 3),
        "finding B": (0.9, 1),
        "size small": (0.4, 2),
        "size large": (0.65, 2),
        "tag unseen_pair": (0.55, 2),  # "small" is a size, not a slice of its own
        "macro": ((0.4 + 0.9) / 2, 4),
    }
    assert slices.keys() == expected.keys()
    for name, (value, cases) in expected.items():
        assert estimates(slices[name]) == pytest.approx(dict.fromkeys(MEASURES, value) | {"cases": cases})


def test_regions_shown_and_false_regions():
    summary = summarize_phrases(ROWS)
    shown = {kind: (value["estimate"], value["cases"]) for kind, value in summary["shown"].items()}
    assert shown == {"present": (0.6, 5), "absent": (0.5, 4), "negated": (0.0, 2)}
    # Four of the five present phrases reach 0.6, and so do two of the four absent ones.
    assert summary["false_regions_at_80_recall"] == {"rate": 0.5, "threshold": 0.6}


def test_intervals_are_over_patients():
    # Two patients, ten cases each: a resample is all of one, all of the other, or both.
    rows = pd.DataFrame([found(f"p{value}", "A", float(value)) for value in (0, 1) for _ in range(10)])
    interval = summarize_phrases(rows)["localization"]["all"]["cnr"]
    assert interval == {"estimate": 0.5, "lower": 0.0, "upper": 1.0}
    alone = summarize_phrases(rows[rows["patient_id"] == "p1"])["localization"]["finding A"]["cnr"]
    assert alone["estimate"] == 1 and math.isnan(alone["lower"]) and math.isnan(alone["upper"])


def test_films_without_places_or_absent_phrases():
    absent = summarize_phrases(ROWS[ROWS["kind"] != "present"].dropna(axis=1))
    assert absent["localization"] == {} and absent["shown"].keys() == {"absent", "negated"}
    assert "false_regions_at_80_recall" not in absent
    assert "false_regions_at_80_recall" not in summarize_phrases(ROWS[ROWS["kind"] == "present"])
