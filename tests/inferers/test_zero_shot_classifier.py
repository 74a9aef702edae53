"""Zero-shot classification of films by hand: sentences of different length, and the scale."""

import math

import pytest
import torch

from scripts.inferers import ZeroShotClassifier

# What stands for the report embedding of each sentence; lengths differ, as those of texts do.
PHRASES = {"effusion": (3.0, 0.0), "fluid": (0.0, 1.0), "no effusion": (0.0, -2.0), "no fluid": (-1.0, 0.0)}
PROMPTS = {"Effusion": {"positive": ["effusion", "fluid"], "negative": ["no effusion", "no fluid"]}}
FILMS = torch.tensor([[0.0, 5.0], [2.0, 0.0]])


class Localizer:
    """In the place of a `PhraseLocalizer`: knows its phrases' embeddings."""

    def encode_phrases(self, phrases):
        return torch.tensor([PHRASES[phrase] for phrase in phrases])


def test_with_a_scale_every_wording_weighs_the_same():
    """At length 1 the wordings are (1, 0) and (0, 1), their mean points to (1, 1) / sqrt(2), that of the denials to the opposite. A
    film along an axis has cosine +-1 / sqrt(2) with them, whichever axis: a probability of sigmoid(scale * sqrt(2)).
    """
    classifier = ZeroShotClassifier(Localizer(), PROMPTS, scale=0.5)
    found = classifier.compare(FILMS, classifier.prompt_embeddings())
    assert found[:, 0].tolist() == pytest.approx([1 / (1 + math.exp(-0.5 * 2**0.5))] * 2)


def test_as_published_the_dot_products_of_plain_means_are_compared():
    """The means are (1.5, .5) and (-.5, -1): dot products 2.5 and -5 with the first film, 3 and -1 with the second."""
    classifier = ZeroShotClassifier(Localizer(), PROMPTS, scale=None)
    found = classifier.compare(FILMS, classifier.prompt_embeddings())
    torch.testing.assert_close(found[:, 0], torch.sigmoid(torch.tensor([7.5, 4.0])))
