"""Zero-shot heat maps and probabilities against the published implementation."""

import numpy as np
import pytest
import torch

from scripts.inferers import PhraseLocalizer, ZeroShotClassifier
from scripts.inferers.phrase_localizer import smoothing
from scripts.networks import AFLoc, ImageEncoder, TextEncoder
from scripts.reports.published import published_prompt
from scripts.reports.tokens.tokenizers import ReportTokenizer
from scripts.transforms import Letterboxd, LoadDomainImaged, NormalizeHalfd
from tests.golden.arrays import fill


@pytest.fixture(scope="module")
def localizer(afloc_golden):
    bert = str(afloc_golden / "setA" / "bert")
    network = AFLoc(ImageEncoder("resnet50", 64), TextEncoder(bert, pretrained=False, report_length=97))
    fill(network)
    tokenizer = ReportTokenizer(bert, max_tokens=97, published_lengths=True, pad_to_max=True)
    return PhraseLocalizer(network, tokenizer, size=224, clean=published_prompt)


def film(folder, name):
    item = {"image": str(folder / name)}
    for transform in (LoadDomainImaged("image", "cxr"), Letterboxd("image", 224), NormalizeHalfd("image")):
        item = transform(item)
    return item["image"][None]


def films_at_hand(request, afloc_golden, afloc_facts):
    """Number and folder of each film: the slim copy holds two of the four."""
    slim = afloc_golden / "setA" / "images"
    return [(index, slim) for index, name in enumerate(afloc_facts["image_files"]) if (slim / name).is_file()]


def test_prompts(afloc_numbers, afloc_facts, localizer):
    embeddings = localizer.encode_phrases(list(afloc_facts["prompts"]))
    for index, embedding in enumerate(embeddings):
        afloc_numbers.near(f"inf_teg_{index}", embedding[None], atol=1e-5)


def test_heat_maps(request, afloc_numbers, afloc_facts, localizer, afloc_golden):
    phrases = localizer.encode_phrases(list(afloc_facts["prompts"]))
    for index, folder in films_at_hand(request, afloc_golden, afloc_facts):
        image = film(folder, afloc_facts["image_files"][index])
        afloc_numbers.near(f"inf_img_{index}", image[0, 0])
        films = localizer.encode_films(image)
        afloc_numbers.near(f"inf_ieg_{index}", films.report, atol=1e-5)
        heat = localizer.heat_maps(films, phrases)[0]
        for prompt in range(len(phrases)):
            afloc_numbers.near(f"inf_heat_{index}_{prompt}", heat[prompt], atol=1e-5)


def test_zero_shot_probabilities(afloc_numbers, afloc_facts, localizer):
    pairs = afloc_facts["prompt_pairs"]
    prompts = {positive: {"positive": [positive], "negative": [negative]} for positive, negative in pairs}
    classifier = ZeroShotClassifier(localizer, prompts, scale=None)
    prompt_embeddings = classifier.prompt_embeddings()
    afloc_numbers.near("zs_pos", prompt_embeddings[0], atol=1e-5)
    afloc_numbers.near("zs_neg", prompt_embeddings[1], atol=1e-5)
    films = torch.from_numpy(np.concatenate([afloc_numbers[f"inf_ieg_{index}"] for index in range(4)]))
    both = torch.stack([classifier.compare(films, prompt_embeddings), classifier.compare(films, prompt_embeddings.flip(0))], -1)
    afloc_numbers.near("zs_multi", both, atol=1e-5)
    afloc_numbers.near("zs_single", (films @ prompt_embeddings[0].T).softmax(-1), atol=1e-5)


def smoothed_similarity():
    patches = np.random.RandomState(5000).standard_normal((19, 19, 32)).astype(np.float32)
    text = np.random.RandomState(5001).standard_normal((1, 32)).astype(np.float32)
    matrix = smoothing(19, 1.5)
    return matrix @ torch.from_numpy(patches @ text[0]) @ matrix.T


def test_smoothed_similarity_is_the_published_one(afloc_golden):
    numbers = np.load(afloc_golden / "functionsA" / "golden.npz")
    np.testing.assert_allclose(smoothed_similarity(), numbers["sim_raw19"], atol=2e-6)


def test_enlarged_similarity_is_the_published_one(golden):
    numbers = np.load(golden / "afloc" / "functionsA" / "golden.npz")
    heat = smoothed_similarity()
    large = torch.nn.functional.interpolate(heat[None, None], (224, 224), mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(large, numbers["sim_224"], atol=2e-6)


def test_single_words_stay_apart(afloc_golden, localizer):
    """The published cleaning empties "pneumothorax" and "opacity"; ours must not."""
    tokenizer = ReportTokenizer(afloc_golden / "setA" / "bert")
    ours = PhraseLocalizer(localizer.network, tokenizer)
    first, second, with_stop = ours.encode_phrases(["pneumothorax", "opacity", "Pneumothorax."])
    assert not torch.allclose(first, second)
    torch.testing.assert_close(first, with_stop)
    published = localizer.encode_phrases(["pneumothorax", "opacity"])
    torch.testing.assert_close(published[0], published[1])


def test_each_phrase_is_encoded_once(afloc_golden, localizer, monkeypatch):
    ours = PhraseLocalizer(localizer.network, ReportTokenizer(afloc_golden / "setA" / "bert"), batch_size=2)
    seen = []
    tokenizer = ours.tokenizer
    monkeypatch.setattr(ours, "tokenizer", lambda texts: seen.extend(texts) or tokenizer(texts))
    twice = ours.encode_phrases(["clear lungs", "small effusion", "clear lungs", "edema"])
    torch.testing.assert_close(twice[0], twice[2])
    ours.encode_phrases(["edema", "clear lungs"])
    assert sorted(seen) == ["clear lungs", "edema", "small effusion"]
