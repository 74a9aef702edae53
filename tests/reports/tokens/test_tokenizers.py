"""Tokens, units and lengths against published numbers and a slow independent count; making a text model."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoTokenizer, BertModel

from scripts.reports.published import published_prompt
from scripts.reports.tokens.text_models import TextModelError, train_text_model
from scripts.reports.tokens.tokenizers import ReportTokenizer, unit_indices


@pytest.fixture(scope="module")
def set_a(afloc_golden):
    return afloc_golden / "setA"


@pytest.fixture(scope="module")
def values(set_a):
    return json.loads((set_a / "golden.json").read_text())


@pytest.fixture(scope="module")
def aggregation(afloc_golden):
    return json.loads((afloc_golden / "functionsA/golden.json").read_text())


@pytest.fixture(scope="module")
def published(set_a):
    return ReportTokenizer(set_a / "bert", published_lengths=True, pad_to_max=True)


@pytest.fixture(scope="module")
def tokenizer(set_a):
    return ReportTokenizer(set_a / "bert")


def words_of(tokens, word_index):
    """Word strings by index, as the published code names them."""
    words = [""] * (max(word_index) + 1)
    for token, index in zip(tokens, word_index, strict=True):
        if index >= 0:
            words[index] += token.removeprefix("##")
    return words


def padded(units, length):
    return units + ["[PAD]"] * (length - len(units))


def sentence_names(count):
    """Published names of a text's sentence units, `count` being those that count ([CLS] included)."""
    return ["[CLS]", *(f"sent{index}" for index in range(count - 1)), "[SEP]"]


# ---- published numbers


def test_tokens_equal_published(values, set_a, published):
    arrays = np.load(set_a / "golden_slim.npz")
    unsorted, order = published(values["reports"]), values["collate_order"]
    assert np.array_equal(unsorted["tokens"], arrays["in_caption_ids_unsorted"])
    assert np.array_equal(unsorted["tokens"][order], arrays["in_caption_ids"])
    assert np.array_equal(unsorted["attention_mask"][order], arrays["in_attention_mask"])
    assert unsorted["attention_mask"].sum(1)[order].tolist() == values["collate_cap_lens"]


def test_units_and_lengths_equal_published(values, published):
    reports = [values["reports"][index] for index in values["collate_order"]]
    batch = published(reports)
    assert batch["word_lengths"].tolist() == values["cap_lens_word"]
    assert batch["sentence_lengths"].tolist() == values["cap_lens_sent"]
    for row, units in enumerate(published.units(reports)):
        assert padded(units.words, 97) == values["report_words"][row]
        assert padded(sentence_names(int(batch["sentence_lengths"][row])), 97) == values["sent_units_report"][row]
        assert len(units.sentences) == int(batch["sentence_index"][row].max()) + 1
        assert int(batch["word_index"][row].max()) + 1 == len(units.words)


def test_prompts_equal_published(values, published):
    for prompt, expected in values["prompts"].items():
        assert published([published_prompt(prompt)])["tokens"][0].tolist() == expected["ids"], prompt


def test_aggregation_equals_published(aggregation):
    expected = aggregation["agg"]
    for row, text in enumerate(expected["tokens"]):
        tokens = padded(text.split(), expected["pad_to"])
        for published in (True, False):  # no degenerate text here: numbering is the same
            word_index, sentence_index, words, sentences = unit_indices(tokens, published)
            assert padded(words_of(tokens, word_index), expected["pad_to"]) == expected["words"][row]
            assert padded(sentence_names(sentences), expected["pad_to"]) == expected["sents"][row]
            assert max(sentence_index) == sentences
            assert sentences == expected["cap_len_sents"][row]
            unknown = 0 if published else tokens.count("[UNK]")  # we count them
            assert words - unknown == expected["cap_len_words"][row]


def test_degenerate_texts(aggregation):
    for text, expected in aggregation["agg_degenerate"].items():
        if isinstance(expected, str):
            with pytest.raises(ValueError, match="SEP"):
                unit_indices(text.split())
            continue
        tokens = padded(text.split(), 8)
        word_index, sentence_index, _, sentences = unit_indices(tokens, published=True)
        assert padded(words_of(tokens, word_index), 8) == expected["words"]
        assert padded(sentence_names(sentences), 8) == expected["sents"]
        assert (not set(range(sentences + 1)) <= set(sentence_index)) == expected["sent_has_nan"]
        _, sentence_index, _, sentences = unit_indices(tokens)
        assert set(range(sentences + 1)) == set(sentence_index) - {-1}  # ours: no unit without words


# ---- our own rules


@pytest.mark.parametrize(
    ("tokens", "sentence_index", "words", "sentences"),
    [
        ("[CLS] a . . b [SEP]", [0, 1, -1, -1, 2, 3], 5, 3),
        ("[CLS] . a [SEP]", [0, -1, 1, 2], 3, 2),
        ("[CLS] a . [SEP]", [0, 1, 1, 2], 3, 2),
        ("[CLS] a . . [SEP]", [0, 1, -1, -1, 2], 4, 2),
        ("[CLS] . [SEP]", [0, -1, 1], 2, 1),
        ("[CLS] [SEP]", [0, 1], 1, 1),
        ("[CLS] [UNK] . [UNK] [SEP]", [0, 1, -1, 2, 3], 4, 3),
        ("[CLS] . ##x b [SEP] [PAD]", [0, 1, 1, 2, -1, -1], 3, 2),
    ],
)
def test_units_of_ours(tokens, sentence_index, words, sentences):
    assert unit_indices(tokens.split())[1:] == (sentence_index, words, sentences)


def slow_units(tokens, published):
    """The rules of reference texts, word by word."""
    words = []
    for token in tokens:
        if token == "[PAD]":
            break
        if token.startswith("##") and words:
            words[-1] += token[2:]
        else:
            words.append(token)
    body = words[1:-1]
    groups, group = [], []
    for position, word in enumerate(body, start=1):
        if word == "." and position != len(body):
            groups.append(group)
            group = []
        else:
            group.append(position)
    groups.append(group)
    if not published:
        groups = [group for group in groups if any(body[position - 1] != "." for position in group)]
    index = [-1] * len(tokens)
    index[0], index[len(words) - 1] = 0, len(groups) + 1
    for number, group in enumerate(groups, start=1):
        for position in group:
            index[position] = number
    count = 1 + sum(not word.startswith("[") for word in words) if published else len(words) - 1
    return index, count, len(groups) + 1


@pytest.mark.parametrize("published", [True, False])
def test_units_equal_a_slow_count(published):
    draw = random.Random(0)
    for _ in range(500):
        body = draw.choices(["a", "b", ".", "##c", "##.", "[UNK]", "["], weights=[4, 2, 4, 3, 1, 1, 1], k=draw.randrange(12))
        tokens = ["[CLS]", *body, "[SEP]", *["[PAD]"] * draw.randrange(3)]
        assert unit_indices(tokens, published)[1:] == slow_units(tokens, published), tokens


def test_a_batch_equals_its_rows(tokenizer, values):
    batch = tokenizer(values["reports"])
    length = int(batch["attention_mask"].sum(1).max())
    assert all(batch[name].shape == (4, length) for name in ("tokens", "attention_mask", "word_index", "sentence_index"))
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())
    for row, text in enumerate(values["reports"]):
        alone = tokenizer([text])
        count = alone["tokens"].shape[1]
        for name, pad in (("tokens", 0), ("attention_mask", 0), ("word_index", -1), ("sentence_index", -1)):
            assert torch.equal(batch[name][row, :count], alone[name][0])
            assert (batch[name][row, count:] == pad).all()
        assert batch["word_lengths"][row] == alone["word_lengths"][0]
        assert batch["sentence_lengths"][row] == alone["sentence_lengths"][0]


def test_unknown_words_count_unless_published(values, tokenizer, published):
    text = next(text for text in values["reports"] if "xqzw" in text)
    assert tokenizer([text])["word_lengths"] - 1 == published([text])["word_lengths"]


def test_single_words_stay_apart(tokenizer):
    batch = tokenizer(["edema", "effusion", "pneumothorax"])
    assert len({tuple(row.tolist()) for row in batch["tokens"]}) == 3
    assert batch["word_lengths"].tolist() == batch["sentence_lengths"].tolist() == [2, 2, 2]


def test_long_texts_are_cut_and_keep_their_end(set_a):
    tokenizer = ReportTokenizer(set_a / "bert", max_tokens=10)
    batch = tokenizer(["no effusion. " * 30, "edema"])
    assert batch["tokens"].shape == (2, 10)
    assert batch["tokens"][0, -1] == batch["tokens"][1, 2] == tokenizer.tokenizer.sep_token_id
    assert tokenizer.units(["no effusion. " * 30])[0].words[-1] == "[SEP]"


def test_special_tokens_in_a_report_are_text(tokenizer):
    batch = tokenizer(["left [SEP] base [PAD] clear"])
    ids = batch["tokens"][0].tolist()
    assert ids.count(tokenizer.tokenizer.sep_token_id) == 1 and ids.count(tokenizer.tokenizer.pad_token_id) == 0


def test_display_units(tokenizer):
    (units,) = tokenizer.units(["Small cardiomegaly. . no pneumothorax seen."])
    assert units.words == ["[CLS]", "small", "cardiomegaly", ".", ".", "no", "pneumothorax", "seen", ".", "[SEP]"]
    assert units.sentences == ["[CLS]", "small cardiomegaly", "no pneumothorax seen .", "[SEP]"]


@pytest.mark.parametrize("text", ["", "  ", ".", ". . ."])
def test_a_text_without_words_is_named(tokenizer, text):
    with pytest.raises(ValueError, match="text 1 of the batch holds no word"):
        tokenizer(["edema", text])


def test_misuse_is_named(tokenizer, set_a):
    with pytest.raises(TypeError, match="list of texts"):
        tokenizer("edema")
    with pytest.raises(ValueError, match="no text"):
        tokenizer([])
    with pytest.raises(ValueError, match="max_tokens"):
        ReportTokenizer(set_a / "bert", max_tokens=2)
    with pytest.raises(TextModelError, match="max_position_embeddings is 128"):
        ReportTokenizer(set_a / "bert", max_tokens=129)


def test_folders_that_hold_no_tokenizer(tmp_path, monkeypatch):
    with pytest.raises(TextModelError, match=r"no vocab\.txt.*train_text_model"):
        ReportTokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(TextModelError, match=r"no '\.'"):
        ReportTokenizer(tmp_path)

    def unreachable(name):
        raise OSError(f"cannot reach {name}")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", unreachable)
    with pytest.raises(TextModelError, match=r"someone/model: no such folder.*hub id"):
        ReportTokenizer("someone/model")


# ---- making a text model

TEXTS = [
    "Small left pleural effusion. Heart size is normal.",
    "No pneumothorax. Café-like opacity of 3.5 cm; bilateral opacities.",
    "Moderate pleural effusions, opacification of the left base.",
] * 3


def test_text_model_serves_tokenizer_and_network(tmp_path):
    folder = train_text_model(TEXTS, tmp_path / "text", vocab_size=180, hidden_size=32, layers=2, heads=2, max_positions=40)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    vocabulary = (folder / "vocab.txt").read_text().splitlines()
    assert len(vocabulary) == len(set(vocabulary)) <= 180
    config = AutoConfig.from_pretrained(folder)
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (len(vocabulary), 32, 2)
    tokenizer = ReportTokenizer(folder, max_tokens=40)
    batch = tokenizer(["PLEURAL effusion. zq9", "Café"])
    assert tokenizer.units(["PLEURAL effusion. zq9", "Café"])[0].sentences == [
        "[CLS]",
        "pleural effusion",
        "zq9",
        "[SEP]",
    ]
    assert (batch["tokens"] != tokenizer.tokenizer.unk_token_id).all()
    states = BertModel(config)(batch["tokens"], attention_mask=batch["attention_mask"]).last_hidden_state
    assert states.shape == (*batch["tokens"].shape, 32) and states.isfinite().all()


def test_text_model_is_the_same_in_every_process(tmp_path):
    source = (
        "import json, sys; from scripts.reports.tokens.text_models import train_text_model; "
        "train_text_model(json.load(sys.stdin), sys.argv[1], vocab_size=200)"
    )
    subprocess.run(
        [sys.executable, "-c", source, str(tmp_path / "other")],
        input=json.dumps(TEXTS),
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    train_text_model(TEXTS, tmp_path / "own", vocab_size=200)
    other, own = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("other", "own"))
    assert other == own


def test_text_model_leaves_other_files_alone(tmp_path):
    (tmp_path / "model.pt").write_text("weights")
    train_text_model(TEXTS, tmp_path, vocab_size=200)
    first = (tmp_path / "vocab.txt").read_bytes()
    train_text_model(reversed(TEXTS), tmp_path, vocab_size=200)
    assert (tmp_path / "vocab.txt").read_bytes() == first
    assert (tmp_path / "model.pt").read_text() == "weights"
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["", " "], {}, "no word"),
        (TEXTS, {"vocab_size": 50}, "vocab_size must be at least"),
        (TEXTS, {"heads": 3}, "multiple of heads"),
    ],
)
def test_text_model_refuses(tmp_path, texts, options, message):
    with pytest.raises(ValueError, match=message):
        train_text_model(texts, tmp_path / "text", **options)
    assert not (tmp_path / "text").exists()
