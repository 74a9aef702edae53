"""Calibration of findings: what it learns, what it leaves alone, and its file."""

import logging

import numpy as np
import pandas as pd
import pytest

from scripts.files.errors import UserError
from scripts.inferers import VolumeCalibration


def rows(label, scores, truth):
    return pd.DataFrame({"label": label, "score": scores, "truth": truth})


def drawn(label, slope, offset, count=4000, seed=0):
    """Scores whose finding is present with probability sigmoid(slope * score + offset)."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(0, 2, count)
    present = generator.random(count) < 1 / (1 + np.exp(-(slope * scores + offset)))
    return rows(label, scores, present.astype(int))


def test_each_finding_gets_the_logistic_curve_that_it_was_drawn_from():
    calibration = VolumeCalibration.fit(pd.concat([drawn("Nodule", 1.5, -1.0), drawn("Effusion", 0.5, 0.4, seed=1)]))
    assert calibration.slopes == {"Nodule": pytest.approx(1.5, abs=0.15), "Effusion": pytest.approx(0.5, abs=0.1)}
    assert calibration.offsets == {"Nodule": pytest.approx(-1.0, abs=0.15), "Effusion": pytest.approx(0.4, abs=0.15)}
    found = calibration.probability(["Effusion", "Nodule", "Nodule"], [1.0, 1.0, -2.0])
    expected = 1 / (1 + np.exp(-np.array([0.5 * 1 + 0.4, 1.5 * 1 - 1.0, 1.5 * -2 - 1.0])))
    np.testing.assert_allclose(found, expected, atol=0.04)


def test_the_threshold_is_of_the_networks_own_probability():
    """Scores of 2 and more mean present: the cut is sigmoid(2), however the probability is calibrated."""
    calibration = VolumeCalibration.fit(rows("Nodule", [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1, 1, 1]))
    assert calibration.thresholds["Nodule"] == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_a_score_that_points_the_wrong_way_tells_only_how_common_the_finding_is():
    data = pd.concat([drawn("Nodule", 1.0, 0.0), drawn("Opacity", -1.0, -1.0, seed=2)])
    calibration = VolumeCalibration.fit(data)
    share = data.loc[data["label"] == "Opacity", "truth"].mean()
    assert calibration.slopes["Opacity"] == 0 and calibration.slopes["Nodule"] > 0.8
    np.testing.assert_allclose(calibration.probability(["Opacity"] * 3, [-5.0, 0.0, 5.0]), share)
    assert 0.2 < share < 0.45


def test_a_finding_with_one_answer_keeps_the_networks_probability(caplog):
    data = pd.concat([drawn("Nodule", 1.0, 0.0), rows("Cyst", [0.0, 3.0], [1, 1]), rows("Scar", [1.0, np.nan], [0, 1])])
    with caplog.at_level(logging.WARNING):
        calibration = VolumeCalibration.fit(data)
    assert set(calibration.slopes) == set(calibration.offsets) == set(calibration.thresholds) == {"Nodule"}
    assert "no Cyst cases with and without" in caplog.text and "no Scar cases" in caplog.text  # Scar's positive has no score
    scores = [-1.0, 0.0, 2.0]
    np.testing.assert_allclose(calibration.probability(["Cyst"] * 3, scores), 1 / (1 + np.exp(-np.array(scores))))


def test_scores_of_missing_anatomies_are_left_out_and_stay_without_probability():
    data = drawn("Nodule", 1.0, 0.0)
    bare = rows("Nodule", [np.nan] * 500, [1] * 500)
    calibration, alone = VolumeCalibration.fit(pd.concat([data, bare])), VolumeCalibration.fit(data)
    assert calibration == alone
    assert np.isnan(calibration.probability(["Nodule"], [np.nan])).all()


def test_nothing_to_learn_from_is_an_error():
    for data in (rows("Cyst", [0.0, 1.0], [1, 1]), rows("Cyst", [np.nan, 1.0], [1, 0]), rows("Cyst", [], [])):
        with pytest.raises(UserError, match="validation cases with and without a finding"):
            VolumeCalibration.fit(data)


def test_a_threshold_is_always_a_number_that_json_has():
    """Where the scores point the wrong way, calling every case absent is best."""
    calibration = VolumeCalibration.fit(rows("Nodule", [3.0, 2.0, -2.0, -3.0], [0, 0, 1, 1]))
    assert calibration.thresholds["Nodule"] == 1.0


def test_the_file_gives_back_what_was_saved(tmp_path):
    calibration = VolumeCalibration.fit(pd.concat([drawn("Nodule", 1.0, 0.0), drawn("Opacity", -1.0, 0.0, seed=3)]))
    calibration.save(tmp_path / "folder" / "calibration.pt")
    assert VolumeCalibration.load(tmp_path / "folder" / "calibration.pt") == calibration
    with pytest.raises(UserError, match=r"no calibration at .*gone\.pt: run the bundle's evaluate\.json"):
        VolumeCalibration.load(tmp_path / "gone.pt")


def test_without_validation_everything_is_the_networks():
    np.testing.assert_allclose(VolumeCalibration().probability(["Nodule"], [0.0]), [0.5])


def test_present_is_decided_on_the_networks_own_probability():
    """Calibrated probabilities of a rare finding stay below a threshold that is of the network's own."""
    calibration = VolumeCalibration(slopes={"rare": 0.5}, offsets={"rare": -4.0}, thresholds={"rare": 0.6})
    scores = [1.0, 0.1, float("nan"), 0.1]
    assert calibration.present(["rare", "rare", "rare", "unknown"], scores).tolist() == [True, False, False, True]
    assert calibration.probability(["rare"], [1.0])[0] < 0.05


def test_a_finding_at_its_threshold_is_present():
    """sigmoid(0) is one half exactly; below and above it by a hair."""
    calibration = VolumeCalibration(thresholds={"Nodule": 0.5})
    scores = [-1e-9, 0.0, 1e-9, np.nan]
    for label in ("Nodule", "Cyst"):  # its own threshold, and the one of a finding that has none
        assert calibration.present([label] * 4, scores).tolist() == [False, True, True, False]
