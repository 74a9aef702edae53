import numpy as np
import pytest
from scipy.special import softmax

from scripts.metrics.probability_calibration import expected_calibration_error, fit_temperature, reliability, scaled_probabilities


def test_a_diagram_by_hand():
    diagram = reliability([0.1, 0.2, 0.25, 0.9, 1.0], [0, 1, 0, 1, 1], bins=4)
    np.testing.assert_allclose(diagram.edges, [0, 0.25, 0.5, 0.75, 1])
    assert diagram.counts.tolist() == [2, 1, 0, 2]  # an edge belongs to the bin above it, 1 to the last
    np.testing.assert_allclose(diagram.confidence, [0.15, 0.25, np.nan, 0.95])
    np.testing.assert_allclose(diagram.accuracy, [0.5, 0, np.nan, 1])
    assert expected_calibration_error(diagram) == pytest.approx((2 * 0.35 + 1 * 0.25 + 2 * 0.05) / 5)


def drawn(sharpness, cases=20000):
    """Logits, and classes drawn with the probabilities that the logits over `sharpness` mean."""
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2.0, size=(cases, 3)) * sharpness
    chances = softmax(logits / sharpness, axis=1)
    return logits, (generator.random((cases, 1)) > chances.cumsum(1)).sum(1).clip(0, 2)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_classes_is_found(sharpness):
    logits, truth = drawn(sharpness)
    assert fit_temperature(logits, truth) == pytest.approx(sharpness, rel=0.04)


def test_scaling_mends_overconfidence():
    logits, truth = drawn(4.0)

    def error(temperature):
        probabilities = scaled_probabilities(logits, temperature)
        np.testing.assert_allclose(probabilities.sum(1), 1)
        best = probabilities.argmax(1)
        return expected_calibration_error(reliability(probabilities.max(1), best == truth))

    assert error(fit_temperature(logits, truth)) < 0.02 < 0.1 < error(1.0)


def test_temperatures_stay_in_range_without_an_error_and_without_a_right_answer():
    assert 0.05 <= fit_temperature([[3.0, 0.0], [0.0, 2.0]], [0, 1]) < 0.1
    assert fit_temperature([[3.0, 0.0], [0.0, 2.0]], [1, 0]) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        ([], [], "expected probabilities"),
        ([0.5], [1, 0], "expected probabilities"),
        ([1.2], [1], "must lie in"),
        ([np.nan], [1], "lie in"),
    ],
)
def test_answers_that_are_no_probabilities(confidence, right, message):
    with pytest.raises(ValueError, match=message):
        reliability(confidence, right)


@pytest.mark.parametrize(("logits", "truth"), [(np.zeros((0, 2)), []), ([[np.inf, 0.0]], [0]), ([[0.0, 1.0]], [0, 1])])
def test_logits_that_do_not_fit(logits, truth):
    with pytest.raises(ValueError, match="expected finite logits"):
        fit_temperature(logits, truth)
