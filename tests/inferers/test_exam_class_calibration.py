"""Temperature, threshold and confidence of a screening, against closed forms."""

import numpy as np
import pytest

from scripts.files.errors import UserError
from scripts.inferers import ExamCalibration, ExamClassCalibration


def test_two_classes_get_a_threshold_from_validation(tmp_path):
    """Calling all from .5 up gives 4/4 and 3/4, from 2 up 3/4 and 4/4: equally good, the higher cut is kept, midway to 1."""
    differences = np.array([-3.0, -2.0, -1.0, 1.0, 0.5, 2.0, 3.0, 4.0])
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    fitted = ExamClassCalibration.fit(np.stack([0 * differences, differences], axis=1), truth)
    probabilities = fitted.probabilities(np.stack([0 * differences, differences], axis=1))
    assert probabilities[:, 1] == pytest.approx(1 / (1 + np.exp(-differences / fitted.temperature)))
    decisions = fitted.decisions(probabilities)
    assert decisions.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert fitted.threshold == pytest.approx(1 / (1 + np.exp(-1.5 / fitted.temperature)))
    fitted.save(tmp_path / "c.pt")
    assert ExamClassCalibration.load(tmp_path / "c.pt") == fitted
    with pytest.raises(UserError, match="no calibration of this task"):
        ExamCalibration.load(tmp_path / "c.pt")


def two_classes(differences):
    return np.stack([np.zeros(len(differences)), np.asarray(differences)], axis=1)


def test_classes_that_fall_apart_are_cut_in_their_middle():
    """At the coldest temperature the surest probabilities all round to 1; an exam between the classes is called by its side."""
    fitted = ExamClassCalibration.fit(two_classes([-9.0, -4.0, -3.0, 4.0, 60.0, 90.0]), np.array([0, 0, 0, 1, 1, 1]))
    assert fitted.temperature == pytest.approx(0.05, rel=0.01) and 0.5 < fitted.threshold < 1
    unseen = fitted.probabilities(two_classes([-3.0, 0.4, 0.6, 2.0]))
    assert fitted.decisions(unseen).tolist() == [0, 0, 1, 1]
    assert np.isfinite(fitted.confidence(unseen)).all()


def test_logits_that_mislead_call_nobody():
    logits = two_classes([2.0, 3.0, -1.0, -2.0])
    fitted = ExamClassCalibration.fit(logits, np.array([0, 0, 1, 1]))
    assert fitted.threshold == 1 and not fitted.decisions(fitted.probabilities(logits)).any()


def test_three_classes_go_by_the_most_probable():
    logits = np.log([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]])
    fitted = ExamClassCalibration.fit(logits, np.array([0, 1, 2, 1]))
    assert fitted.threshold is None
    probabilities = ExamClassCalibration().probabilities(logits)
    assert ExamClassCalibration().decisions(probabilities).tolist() == [0, 1, 2, 0]
    assert ExamClassCalibration().confidence(probabilities) == pytest.approx([0.5, 0.1, 0.4, 0.2])


def test_confidence_is_nothing_at_the_threshold_and_all_at_the_ends():
    positive = np.array([0.0, 0.1, 0.2, 0.6, 1.0])
    confidence = ExamClassCalibration(threshold=0.2).confidence(np.stack([1 - positive, positive], axis=1))
    assert confidence == pytest.approx([1, 0.5, 0, 0.5, 1])
    ends = ExamClassCalibration(threshold=1.0).confidence(np.array([[0.0, 1.0], [0.5, 0.5]]))
    assert ends == pytest.approx([1, 0.5])
