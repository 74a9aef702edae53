import pytest
import torch
import torch.nn.functional as F

from scripts.inferers import PhraseLocalizer
from scripts.inferers.phrase_localizer import FilmEmbeddings
from scripts.reports.tokens.tokenizers import ReportTokenizer
from tests.small_afloc import new_network, report, write_text_model


@pytest.fixture
def make(tmp_path):
    torch.manual_seed(1)
    folder = write_text_model(tmp_path / "text")
    network = new_network(folder)
    return lambda *levels, sigma=0.0: PhraseLocalizer(network, ReportTokenizer(folder), 40, sigma, levels)


@pytest.fixture
def films():
    return torch.randn(3, 1, 40, 40)


PHRASES = ["left effusion", "right nodule"]


def test_the_report_level_map_averages_to_the_report_embedding(make, films):
    embedded = make("report").encode_films(films)
    torch.testing.assert_close(embedded.maps[0].mean((2, 3)), embedded.report)


def test_several_levels_are_standardised_and_added(make, films):
    def heat(*levels):
        localizer = make(*levels, sigma=0.5)
        return localizer.heat_maps(localizer.encode_films(films), localizer.encode_phrases(PHRASES))

    alone = [heat(level) for level in ("sentences", "words")]
    standard = [(one - one.mean((2, 3), True)) / one.std((2, 3), keepdim=True) for one in alone]
    torch.testing.assert_close(heat("sentences", "words"), sum(standard))
    assert heat("words").shape == (3, 2, 40, 40) and heat("words").mean((2, 3)).abs().max() > 1e-3


def test_one_film_of_a_batch_gives_its_own_map(make, films):
    localizer = make("sentences", "words")
    embedded, phrases = localizer.encode_films(films), localizer.encode_phrases(PHRASES)
    torch.testing.assert_close(localizer.heat_maps(embedded.film(1), phrases), localizer.heat_maps(embedded, phrases)[1:2])


def test_smoothing_is_as_wide_on_every_map(make):
    """A point on the fine map spreads over as many pixels as one on the coarse map."""

    def spread(level, cells):
        localizer = make(level, sigma=1.0)
        localizer.size = 320
        point = torch.zeros(1, 1, cells, cells)
        point[..., cells // 2, cells // 2] = 1
        column = localizer._heat(level, point, torch.ones(1, 1))[0, 0].sum(0)
        places = torch.arange(320) + 0.5
        middle = (column * places).sum() / column.sum()
        return float((column * (places - middle) ** 2).sum() / column.sum()) ** 0.5

    assert spread("words", 40) == pytest.approx(16, rel=0.1)
    assert spread("sentences", 20) == pytest.approx(16, rel=0.1)


@pytest.mark.parametrize("levels", [[], ["letters"], ["words", "letters"], "words"])
def test_unknown_levels(make, levels, tmp_path):
    localizer = make("words")
    with pytest.raises(ValueError, match="map_levels must be a list of sentences, words, report"):
        PhraseLocalizer(localizer.network, localizer.tokenizer, map_levels=levels)


def test_phrases_are_encoded_once(make, monkeypatch):
    localizer = make("words")
    first = localizer.encode_phrases([report(0), *PHRASES])
    monkeypatch.setattr(localizer.network.text_encoder, "forward", lambda **texts: pytest.fail("encoded again"))
    torch.testing.assert_close(F.normalize(localizer.encode_phrases(PHRASES)), F.normalize(first[1:]))


def test_similarity_is_a_cosine_however_long_the_embeddings_are(make):
    films = FilmEmbeddings(torch.tensor([[3.0, 4.0], [0.0, -2.0]]), ())
    phrases = torch.tensor([[10.0, 0.0], [0.0, 0.5], [4.0, 3.0]])
    expected = torch.tensor([[0.6, 0.8, 0.96], [0.0, -1.0, -0.6]])
    torch.testing.assert_close(make("words").similarity(films, phrases), expected)
