import numpy as np
import pytest

from scripts.metrics.exam_assignment import assignment_hits, selection_hits

WEIGHTS = [[0.7, 0.2, 0.1], [0.1, 0.4, 0.5], [0.4, 0.4, 0.2], [0.2, 0.5, 0.3]]


def test_sentences_and_the_regions_of_their_images():
    hits = assignment_hits(WEIGHTS, ["septum", "choana", "choana", None], ["septum", "choana", "septum"])
    np.testing.assert_allclose(hits[:3], [[1, 2 / 3], [0, 1 / 3], [0.5, 1 / 3]])  # a tie is worth its chance
    assert np.isnan(hits[3]).all()


def test_regions_that_tell_nothing():
    hits = assignment_hits(WEIGHTS[:2], ["choana", "septum"], ["septum", "septum", "septum"])
    assert np.isnan(hits).all()  # one was not imaged, every image shows the other
    assert np.isnan(assignment_hits(WEIGHTS[:1], ["septum"], [None, None, None])).all()


def test_findings_and_their_images():
    hits = selection_hits(WEIGHTS, [[0], [0, 1], [], [0, 1, 2]])
    np.testing.assert_allclose(hits[:2], [[1, 1 / 3], [0, 2 / 3]])
    assert np.isnan(hits[2:]).all()


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"expected weights \[1, 3\] without NaN, got shape \(4, 3\)"):
        assignment_hits(WEIGHTS, ["septum"], ["septum", None, None])
    with pytest.raises(ValueError, match="without NaN"):
        selection_hits([[np.nan, 1.0]], [[0]])
    with pytest.raises(ValueError, match=r"finding 1 lies on images \[3\], but the exam has 3"):
        selection_hits(WEIGHTS[:2], [[0], [3]])
