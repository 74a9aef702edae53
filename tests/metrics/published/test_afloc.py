"""The published evaluation held to the numbers that the published code gave."""

import json

import numpy as np
import pandas as pd
import pytest

from scripts.metrics.localization import iou_at_thresholds, min_max
from scripts.metrics.published.afloc import (
    THRESHOLDS,
    evaluate_as_published,
    published_box_transfer,
    published_cnr,
    published_iou,
    published_truth,
    results_as_published,
)


@pytest.fixture(scope="module")
def published(afloc_golden):
    return json.loads((afloc_golden / "functionsA" / "golden.json").read_text())


def arrays(folder):
    with np.load(folder / "functionsA" / "golden.npz") as stored:
        return dict(stored)


def check_case(case, heat, truth):
    for margin, numbers in ((0, case["plain"]), (14, case["margin"])):
        normalised = min_max(heat, margin)
        assert np.count_nonzero(~np.isnan(normalised)) == numbers["valid"]
        assert published_cnr(normalised, truth) == pytest.approx(numbers["cnr"], abs=1e-6)
        for threshold, iou in (numbers["iou"] | numbers["iou_neg"]).items():
            assert published_iou(normalised, truth, float(threshold)) == pytest.approx(iou, abs=1e-12)
            assert iou_at_thresholds(normalised, truth, [float(threshold)]) == pytest.approx(iou, abs=1e-12)


def test_iou_and_cnr_of_one_map(published, afloc_golden):
    stored = arrays(afloc_golden)
    check_case(published["metric"][0], stored["met_heat_0"], stored["met_gt_0"])


def test_iou_and_cnr_of_all_maps(published, golden):
    stored = arrays(golden / "afloc")
    for i, case in enumerate(published["metric"]):
        check_case(case, stored[f"met_heat_{i}"], stored[f"met_gt_{i}"])


def test_edges(published):
    edge = published["metric_edge"]
    heat, empty, full = np.array([[-1.0, 1.0]]), np.array([[0, 0]]), np.array([[1, 1]])
    assert edge["iou_empty_gt"] == "nan" and np.isnan(published_iou(heat, empty, 0.1))
    assert edge["iou_empty_pred"] == "nan" and np.isnan(published_iou(heat, full, 1.0))
    assert edge["cnr_all_gt"] == "nan" and np.isnan(published_cnr(heat, full))
    # The rule that the published code offers and does not use is the one of our own metric.
    assert edge["iou_both_empty_notpos"] == "nan" and np.isnan(iou_at_thresholds(heat, empty, [1.0]))
    assert edge["iou_empty_gt_notpos"] == 0.0 and iou_at_thresholds(heat, empty, [0.1]) == 0
    # The published code stops here with an IndexError; its rule for maps without variance is 0.
    assert edge["cnr_const_heat"].startswith("IndexError") and published_cnr(np.ones((1, 2)), heat > 0) == 0


def test_box_transfer(published):
    for case in [*published["box_transfer"], published["box_transfer_int_input"]]:
        box = published_box_transfer(case["box"], case["w"], case["h"])
        assert box.tolist() == case["out"] and box.dtype == np.int32


def test_overlapping_boxes_fall_out_of_cnr_but_not_of_iou():
    truth = published_truth([[0, 0, 2, 4], [1, 0, 2, 4]], width=4, height=4, size=4)
    np.testing.assert_array_equal(truth, [[1, 2, 1, 0]] * 4)
    heat = np.array([[0.0, 100.0, 2.0, 0.5]] * 4)
    heat[0, 3] = 0
    inside, outside = heat[:, [0, 2]], heat[:, 3]
    expected = (inside.mean() - outside.mean()) / np.sqrt(inside.var() + outside.var())
    assert published_cnr(heat, truth) == pytest.approx(expected)
    assert published_iou(heat, truth, 1.0) == pytest.approx(8 / 12)


def check_tables(results, published, folder, tmp_path):
    results.write(tmp_path)
    for name, text in published["pipeline"]["files"].items():
        assert (tmp_path / name).read_text() == text, name
    for name in sorted(folder.glob("*_bootstrap_results.csv")):
        ours, theirs = pd.read_csv(tmp_path / name.name), pd.read_csv(name)
        # CNR comes from float32 maps, whose sums differ between versions of NumPy in the last bits.
        pd.testing.assert_frame_equal(ours, theirs, rtol=0, atol=2e-7 if name.name.startswith("cnr") else 1e-12)


def test_tables_from_the_values_of_each_case(published, afloc_golden, tmp_path):
    stored = arrays(afloc_golden)
    results = results_as_published(stored["pipe_ious"], stored["pipe_cnrs"], published["pipeline"]["cats"])
    check_tables(results, published, afloc_golden / "functionsA" / "pipeline", tmp_path)


def test_tables_from_heat_maps(published, golden, afloc_golden, tmp_path):
    stored, slim = arrays(golden / "afloc"), arrays(afloc_golden)
    heats = [stored[f"pipe_heat_{i}"].astype(np.float32) for i in range(14)]
    truths = [stored[f"pipe_gt_{i}"] for i in range(14)]
    results = evaluate_as_published(heats, truths, published["pipeline"]["cats"])
    folder = golden / "afloc" / "functionsA" / "pipeline"
    assert len(list(folder.glob("*_bootstrap_results.csv"))) == len(results.resamples) == 7
    check_tables(results, published, folder, tmp_path)
    ious = [[published_iou(min_max(h, 14), t, x) for x in THRESHOLDS] for h, t in zip(heats, truths, strict=True)]
    np.testing.assert_allclose(slim["pipe_ious"], ious, atol=1e-12)


def test_a_threshold_without_prediction_counts_as_zero_in_the_mean_over_thresholds():
    ious = np.full((2, 5), 0.5)
    ious[0, 4] = np.nan
    results = results_as_published(ious, [1.0, 1.0], ["a", "b"])
    assert set(results.resamples["iou"]["a"].dropna().round(12)) == {0.4}
    assert results.metrics.loc[5, "iou_a"] == 0.5


def test_numbers_of_maps_and_truths_must_agree():
    with pytest.raises(ValueError, match="got 1, 2, 1"):
        evaluate_as_published([np.eye(30)], [np.eye(30)] * 2, ["a"])
