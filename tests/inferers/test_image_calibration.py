"""What validation teaches about phrases: how unusual a similarity is, and how probable a phrase."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from scripts.inferers.image_calibration import fit_probability, similarity_zscore


def test_a_similarity_is_measured_among_the_reference_films_of_its_own_phrase():
    """Cosines of the reference films with the first phrase: 1, 0, -1; with the second, twice as long: 0, 1, 0."""
    reference = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    phrases = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    found = similarity_zscore(torch.tensor([[0.5, 1.0], [-1.0, 0.0]]), reference, phrases)
    # Means 0 and 1/3, deviations 1 and sqrt(1/3).
    expected = torch.tensor([[0.5, 2 / 3 * 3**0.5], [-1.0, -1 / 3 * 3**0.5]])
    torch.testing.assert_close(found, expected)


def test_a_probability_does_not_depend_on_how_rare_phrases_that_fit_are():
    """Nine absent phrases to a present one, mirrored about 0: balanced, the two classes meet there at one half."""
    present = np.array([True, *[False] * 9])
    features = np.zeros((10, 3))
    features[:, 0] = np.where(present, 1.0, -1.0)
    weights, bias = fit_probability(features, present)
    assert bias == pytest.approx(0, abs=1e-3) and weights[0] > 0.5
    plain = LogisticRegression().fit(features, present)  # what the shares alone make of the same films
    assert plain.intercept_[0] < -0.5


def test_one_answer_alone_teaches_nothing():
    with pytest.raises(ValueError, match="phrases that fit and phrases that do not"):
        fit_probability(np.zeros((4, 3)), np.ones(4, bool))
