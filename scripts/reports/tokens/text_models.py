"""Small text models made from a data set's own reports, and tokenizers read from wherever a text model stands."""

import json
import string
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tokenizers import BertWordPieceTokenizer
from transformers import AutoTokenizer, BertConfig, BertTokenizer, PreTrainedTokenizerBase

from scripts.datalists.datalist import Datalist
from scripts.files.errors import UserError

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class TextModelError(UserError):
    """A text model's folder or hub id cannot be used; names it and the way out."""


def load_bert_tokenizer(folder_or_name: str | Path, max_tokens: int) -> PreTrainedTokenizerBase:
    """A BERT tokenizer from a folder or, with a network, from a hub.

    Raises:
        TextModelError: no BERT tokenizer there, a vocabulary without ".", or a model with fewer positions than `max_tokens`.
    """
    hint = (
        "give a folder that holds vocab.txt or tokenizer.json (scripts.reports.tokens.text_models.train_text_model makes one "
        "from your reports), or, with a network, a hub id such as emilyalsentzer/Bio_ClinicalBERT"
    )
    folder = Path(folder_or_name)
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("vocab.txt", "tokenizer.json")):
            raise TextModelError(f"{folder}: no vocab.txt or tokenizer.json in this folder; {hint}")
        config = folder / "config.json"
        positions = json.loads(config.read_text()).get("max_position_embeddings") if config.is_file() else None
        if positions is not None and positions < max_tokens:
            raise TextModelError(
                f"{config}: max_position_embeddings is {positions}, less than max_tokens {max_tokens}; lower the latter"
            )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder_or_name))
    except (OSError, ValueError) as error:
        what = "the tokenizer cannot be read" if folder.is_dir() else "no such folder, nor a hub id within reach"
        raise TextModelError(f"{folder_or_name}: {what} ({str(error).splitlines()[0]}); {hint}") from error
    if (tokenizer.cls_token, tokenizer.sep_token) != ("[CLS]", "[SEP]"):
        raise TextModelError(f"{folder_or_name}: not a BERT tokenizer (no [CLS] and [SEP]); {hint}")
    if tokenizer.convert_tokens_to_ids(".") in (None, tokenizer.unk_token_id):
        raise TextModelError(f"{folder_or_name}: the vocabulary has no '.', so sentences cannot be told apart; {hint}")
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write a tokenizer's files to a folder; nothing to do where they came from, as another process may be reading them there."""
    if Path(folder).resolve() != Path(tokenizer.name_or_path).resolve():
        tokenizer.save_pretrained(folder)


def train_text_model(
    texts: Iterable[str],
    folder: str | Path,
    vocab_size: int = 2000,
    hidden_size: int = 128,
    layers: int = 3,
    heads: int = 4,
    max_positions: int = 128,
    dropout: float = 0.1,
) -> Path:
    """Make a small BERT's folder from texts: a lower-case WordPiece vocabulary and a configuration, no weights.

    Every ASCII letter, digit and sign is in the vocabulary, so that any ASCII word can be spelt. The same texts give
    the same bytes. Files are written beside and renamed, config.json last; others in the folder stay.

    Args:
        texts: what the vocabulary is learned from, such as the training split's reports.
        folder: made if absent.
        vocab_size: most entries the vocabulary may have.
        hidden_size: width of the network, a multiple of `heads`; feed-forward layers are four times as wide.
        layers, heads: depth, and attention heads of each layer.
        max_positions: longest text in tokens.
        dropout: probability in [0, 1), for hidden values and attention.

    Returns:
        the folder, with vocab.txt, tokenizer.json, tokenizer_config.json, config.json; `ReportTokenizer` and
        transformers' `AutoConfig` read it.

    Raises:
        ValueError: no word in the texts, a vocabulary too small for the characters, a width that the heads do not
            divide.
    """
    if hidden_size % heads:
        raise ValueError(f"hidden_size {hidden_size} is not a multiple of heads {heads}")
    vocabulary = _learn_vocabulary([text for text in texts if text.strip()], vocab_size)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".text_model_") as beside:
        Path(beside, "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        numbered = {token: index for index, token in enumerate(vocabulary)}
        BertTokenizer(vocab=numbered, do_lower_case=True, model_max_length=max_positions).save_pretrained(beside)
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=hidden_size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * hidden_size,
            max_position_embeddings=max_positions,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            architectures=["BertModel"],
        ).save_pretrained(beside)
        for path in sorted(Path(beside).iterdir(), key=lambda path: (path.name == "config.json", path.name)):
            path.replace(folder / path.name)
    return folder


def text_model_of(datalist: Datalist, folder: str | Path, **sizes: int) -> str:
    """Folder of a small BERT for a datalist's training reports: made by `train_text_model`, or what already stands there.

    Args:
        datalist: its training split must hold reports, whole or by anatomy.
        folder: where the text model stands, or will.
        sizes: arguments of `train_text_model`.
    """
    if not (Path(folder) / "config.json").is_file():
        records = datalist.split("training")
        texts = [text for record in records for text in (record.get("report", ""), *record.get("reports", {}).values())]
        train_text_model(texts, folder, **sizes)
    return str(folder)


def _learn_vocabulary(texts: list[str], vocab_size: int) -> list[str]:
    learner = BertWordPieceTokenizer(lowercase=True)
    # Iterating over a set of words would give an order that changes from run to run: sorted, everywhere.
    seen = {character for text in texts for character in learner.normalize(text) if not character.isspace()}
    if not seen:
        raise ValueError("the texts hold no word to make a vocabulary from")
    signs = sorted(seen | set(string.ascii_lowercase + string.digits + string.punctuation))
    pieces = [f"##{character}" for character in signs if character.isalnum()]
    smallest = len(_SPECIAL) + len(signs) + len(pieces)
    if vocab_size < smallest:
        raise ValueError(f"vocab_size must be at least {smallest} to hold every character of the texts, got {vocab_size}")
    # The trainer numbers "##x" pieces in the order of a hash map, which differs between processes, and breaks ties of
    # merges by those numbers; handed over as special tokens they are numbered first, in our order.
    learner.train_from_iterator(
        texts,
        vocab_size=vocab_size,
        min_frequency=2,
        limit_alphabet=len(signs),
        initial_alphabet=signs,
        special_tokens=_SPECIAL + pieces,
        show_progress=False,
    )
    numbers = learner.get_vocab()
    return sorted(numbers, key=numbers.__getitem__)
