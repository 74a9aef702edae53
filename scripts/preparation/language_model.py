"""CT reports taken apart by anatomy by a local instruction model, which follows a report's sense where words alone mislead."""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from scripts.reports.by_anatomy.reports import Mention, ReportSentence, anatomy_sentences, anatomy_texts, sentence_anatomies
from scripts.reports.by_anatomy.table import AnatomyTable
from scripts.reports.tokens.text_models import TextModelError

logger = logging.getLogger(__name__)

TOKENS_PER_SENTENCE = 40
"""What the answer on a sentence may take; one on two anatomies is about 20 tokens of JSON."""

_TASK = """You sort the sentences of a chest CT report by anatomy.
The anatomies are: {names}.
For each numbered sentence say which of these anatomies it is about, and whether it says that the anatomy is abnormal.
true: a finding is stated or suspected, or the state after an operation. false: normal, or a finding is denied.
A sentence that goes on about the one before is about the same anatomies. Leave out sentences about none of these anatomies.
Use only the names above. Answer with one JSON object and nothing else, such as
{{"0": {{"{first}": true}}, "2": {{"{first}": false, "{last}": true}}}}

Sentences:
{sentences}
"""


class LanguageModelDecomposer:
    """Does what `decompose_report` does, with a language model as the judge of each sentence.

        decompose = LanguageModelDecomposer("models/instruct")
        texts = decompose(report, AnatomyTable.load("wide", "ct"))

    The model names anatomies by sentence, and is never asked for text: every word of the result is the report's own. Decoding is
    greedy, so that the same report gives the same answer. Where an answer cannot be used, the report is taken apart by words
    instead; `fallbacks` counts those, and each is logged. `name` is the model's folder or hub id.

    Args:
        folder_or_name: folder with a causal language model and its tokenizer (any that transformers reads), or, with a network, a
            hub id. The tokenizer's chat template is used if it has one.

    Raises:
        TextModelError: no such model.
    """

    def __init__(self, folder_or_name: str | Path) -> None:
        self.name = str(Path(folder_or_name).resolve() if Path(folder_or_name).is_dir() else folder_or_name)
        self.tokenizer = _load(AutoTokenizer, folder_or_name)
        if self.tokenizer.pad_token is None:  # never used for one report at a time, but asked for
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = _load(AutoModelForCausalLM, folder_or_name, dtype="auto")
        self.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self.reports = 0
        self.fallbacks = 0

    def __call__(self, report: str, table: AnatomyTable) -> dict[str, str]:
        """A text for every anatomy, see `decompose_report`."""
        sentences = anatomy_sentences(report)
        self.reports += 1
        try:
            mentions = self._mentions(sentences, table.names) if sentences else []
        except UnusableAnswer as reason:
            self.fallbacks += 1
            logger.warning("%s; taken apart by words instead (%d of %d reports so far)", reason, self.fallbacks, self.reports)
            mentions = sentence_anatomies(report, table)
        return anatomy_texts(sentences, mentions, table)

    def _mentions(self, sentences: list[ReportSentence], names: list[str]) -> list[list[Mention]]:
        numbered = "\n".join(f"{number}: {sentence.text}" for number, sentence in enumerate(sentences))
        task = _TASK.format(names=", ".join(names), first=names[0], last=names[-1], sentences=numbered)
        said = parse_answer(self._generate(task, TOKENS_PER_SENTENCE * len(sentences)), len(sentences), names)
        return [
            [Mention(name, said[number][name], sentence.text) for name in names if name in said.get(number, {})]
            for number, sentence in enumerate(sentences)
        ]

    def _generate(self, task: str, max_new_tokens: int) -> str:
        if self.tokenizer.chat_template:
            turns = [{"role": "user", "content": task}]
            task = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            inputs = self.tokenizer(task, return_tensors="pt", add_special_tokens=False)  # the template has written them
        else:
            inputs = self.tokenizer(task, return_tensors="pt")
        length = inputs["input_ids"].shape[1]
        positions = getattr(self.model.config, "max_position_embeddings", None)
        if positions is not None and length + max_new_tokens > positions:
            raise UnusableAnswer(f"report and answer may take {length + max_new_tokens} tokens, the model has {positions}")
        ids = inputs["input_ids"].to(self.model.device)
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        return self.tokenizer.decode(output[0, length:], skip_special_tokens=True)


class UnusableAnswer(Exception):
    """Why a report's answer cannot be used; says nothing of the report."""


def parse_answer(answer: str, sentence_count: int, names: list[str]) -> dict[int, dict[str, bool]]:
    """Read the first JSON object of an answer, whatever is written around it.

    Args:
        sentence_count: numbers below it are sentences.
        names: the anatomies that may be named.

    Returns:
        sentence -> anatomy -> abnormal; sentences on none may be missing.

    Raises:
        UnusableAnswer: no JSON object, or one that is not of this form.
    """
    start = answer.find("{")
    try:
        content, _ = json.JSONDecoder().raw_decode(answer, start) if start >= 0 else (None, 0)
    except ValueError as error:
        raise UnusableAnswer("the answer's JSON is broken or cut off") from error
    if content is None:
        raise UnusableAnswer("the answer holds no JSON object")
    numbers = {str(number): number for number in range(sentence_count)}
    for number, anatomies in content.items():
        if number not in numbers or not _is_verdict(anatomies, names):
            raise UnusableAnswer("the answer has a sentence or an anatomy that is not there, or not true or false on one")
    return {numbers[number]: anatomies for number, anatomies in content.items()}


def _is_verdict(anatomies: Any, names: list[str]) -> bool:
    return isinstance(anatomies, dict) and all(name in names and isinstance(value, bool) for name, value in anatomies.items())


def _load(kind: Any, folder_or_name: str | Path, **options: Any) -> Any:
    is_folder = Path(folder_or_name).is_dir()
    try:
        return kind.from_pretrained(str(folder_or_name), local_files_only=is_folder, **options)
    except (OSError, ValueError) as error:
        what = "no causal language model with its tokenizer here" if is_folder else "no such folder, nor a hub id within reach"
        raise TextModelError(
            f"{folder_or_name}: {what} ({str(error).splitlines()[0]}); download an instruction model's files into a folder and give"
            " its path, or leave the model out: reports are then taken apart by words"
        ) from error
