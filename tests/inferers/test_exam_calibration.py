"""How much a finding's heat maps are smoothed."""

import pandas as pd

from scripts.inferers.exam_calibration import MIN_LESIONS, ExamCalibration, choose_smoothing


def lesions(label, hits, count=MIN_LESIONS):
    """A row for each lesion and sigma; `hits` of the lesions are hit, by sigma."""
    return [
        {"label": label, "sigma": sigma, "pointing": float(index < hit)} for sigma, hit in hits.items() for index in range(count)
    ]


def test_a_finding_keeps_the_usual_sigma_unless_another_hits_more():
    rows = lesions("spur", {1.0: 6, 2.0: 5, 3.0: 2}) + lesions("polyp", {1.0: 8, 2.0: 8, 3.0: 4})
    rows += lesions("rare", {1.0: 9, 2.0: 0, 3.0: 0}, count=MIN_LESIONS - 1)
    assert choose_smoothing(pd.DataFrame(rows), 2.0) == {"spur": 1.0}
    assert choose_smoothing(pd.DataFrame(rows), 3.0) == {"spur": 1.0, "polyp": 1.0}


def test_smoothing_goes_to_the_file_and_back(tmp_path):
    calibration = ExamCalibration(slopes={"spur": 1.0}, offsets={"spur": 0.0}, thresholds={"spur": 0.4}, smoothing={"spur": 1.5})
    calibration.save(tmp_path / "calibration.pt")
    assert ExamCalibration.load(tmp_path / "calibration.pt") == calibration
