"""Reports of exams: sentences, regions, findings, normality; lexicons."""

# ruff: noqa: RUF001 - Chinese has marks of its own

import json

import numpy as np
import pytest

from scripts.cases.domain import read_domain
from scripts.phantoms.nasal.plan import FINDINGS
from scripts.phantoms.nasal.plan import REGIONS as PHANTOM_REGIONS
from scripts.phantoms.nasal.words import NAMES, NORMAL, STATED
from scripts.reports.exams.lexicon import ExamLexicon
from scripts.reports.exams.reports import exam_sentences
from scripts.reports.tables import LexiconError


@pytest.fixture(scope="module")
def english():
    return ExamLexicon.load("en", "nasal")


@pytest.fixture(scope="module")
def both():
    return ExamLexicon.load(["en", "zh"], "nasal")


def told(report, lexicon, **options):
    """Region, and findings or "normal", of each sentence."""
    return [
        (unit.region, " ".join(unit.findings) or ("normal" if unit.normal else None))
        for unit in exam_sentences(report, lexicon, **options)
    ]


def wordings(texts, region):
    for text in texts:
        for name in NAMES[region]:
            sentence = text.format(region=name, side="left").replace("conchas", "conchae")
            yield sentence[0].upper() + sentence[1:]


def test_phantom_sentences_are_on_their_region_and_their_wordings_are_one_statement(english):
    assert read_domain("nasal").regions == PHANTOM_REGIONS
    wrong, right, statements = [], 0, {}
    for label, regions in FINDINGS.items():
        options = STATED[label]
        texts = [text for form in options.values() for text in form] if isinstance(options, dict) else options
        for region in regions:
            for sentence in wordings(texts, region):
                units = exam_sentences(sentence, english)
                good = [unit.text for unit in units] == [sentence] and units[0].region == region and bool(units[0].findings)
                right += good
                wrong += [] if good else [(label, sentence, units)]
                statements.setdefault((label, region), set()).update(unit.statement_id for unit in units)
    for region, texts in NORMAL.items():
        for sentence in wordings(texts, region):
            good = told(sentence, english) == [(region, "normal")]
            right += good
            wrong += [] if good else [("normal", sentence, told(sentence, english))]
    assert not wrong, f"accuracy {right / (right + len(wrong)):.3f}"
    assert all(len(numbers) == 1 for numbers in statements.values())
    numbers = [number for (number,) in statements.values()]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("Septum midline, inferior turbinates not enlarged.", [("septum", "normal"), ("inferior turbinate", "normal")]),
        ("A spur of the septum touches the inferior turbinate.", [("septum", "spur")]),
        ("No polyp, pus or mass in the middle meatus.", [("middle meatus", "normal")]),
        ("No mass in the nasopharynx, the left fossa of Rosenmüller is obliterated.", None),
        ("No mass of the middle meatus, mucosa swollen, polyp or cyst.", [("middle meatus", "cyst polyp")]),
        ("No polyp, swelling of the mucosa, or pus in the middle meatus.", [("middle meatus", "normal")]),
        ("No polyp of the middle meatus, oedema of the mucosa, or pus.", [("middle meatus", "normal")]),
        ("中鼻道未见新生物，黏膜肿胀，息肉或囊肿。", [("middle meatus", "cyst polyp")]),
        ("The nasopharynx is not smooth.", [("nasopharynx", "abnormality")]),
        ("Polyps were not seen in the choana.", [("choana", "normal")]),
        ("Examined after decongestion.", [(None, None)]),
        ("Adenoid hypertrophy.", [("nasopharynx", "adenoid hyperplasia")]),
        (
            "鼻中隔左偏，双侧下鼻甲肥大，鼻咽部光滑。",
            [("septum", "deviation"), ("inferior turbinate", "hypertrophy"), ("nasopharynx", "normal")],
        ),
        ("双侧咽隐窝对称，未见新生物。", [("fossa of rosenmueller", "normal")]),
        ("左右不对称，右侧咽隐窝变浅", [("fossa of rosenmueller", "obliterated")]),
        ("鼻咽顶后壁腺样体增生，表面光滑\n左侧中鼻道见息肉", [("nasopharynx", "adenoid hyperplasia"), ("middle meatus", "polyp")]),
        ("鼻咽部未见明显异常。", [("nasopharynx", "normal")]),
    ],
)
def test_what_sentences_say(report, expected, both):
    expected = expected or [("nasopharynx", "normal"), ("fossa of rosenmueller", "obliterated")]
    assert told(report, both) == expected


def test_the_same_statement_has_the_same_number_in_both_languages_and_every_run(both):
    first, second = (exam_sentences(text, both)[0] for text in ("Polyp in the left middle meatus.", "右侧中鼻道见息肉。"))
    assert first.statement_id == second.statement_id > 0
    assert exam_sentences("Examined after decongestion.", both)[0].statement_id == -1
    assert np.int64(first.statement_id) == first.statement_id


@pytest.mark.parametrize(
    "report",
    [
        "Smooth nasopharynx. Impression: Suspected NPC.",
        "Smooth nasopharynx.\nEndoscopic diagnosis: Suspected NPC.",
        "Smooth nasopharynx.\nDIAGNOSIS: NPC",
        "鼻咽部光滑。诊断：鼻咽癌",
        "所见：鼻咽部光滑\n印象：鼻咽癌？",
    ],
)
def test_the_impression_is_dropped_or_kept(report, both):
    assert told(report, both) == [("nasopharynx", "normal")]
    assert told(report, both, keep_impression=True) == [("nasopharynx", "normal"), ("nasopharynx", "mass")]


def test_a_users_words_come_on_top(tmp_path, english):
    path = tmp_path / "ours.json"
    path.write_text(
        json.dumps({"regions": {"nasopharynx": ["cavum"]}, "findings": {"thornwaldt cyst": {"words": ["thornwaldt*"]}}})
    )
    assert told("Thornwaldt cyst of the cavum.", english) == [(None, "cyst")]
    assert told("Thornwaldt of the cavum.", ExamLexicon.load(["en", path], "nasal")) == [("nasopharynx", "thornwaldt cyst")]


def test_bad_lexicons_are_refused_with_all_faults(tmp_path):
    path = tmp_path / "ours.json"
    path.write_text(json.dumps({"regions": {"nose": ["nose"]}, "normal": "fine", "findings": {"x": {"word": ["x"]}}, "more": 1}))
    with pytest.raises(LexiconError) as error:
        ExamLexicon.load(path, "nasal")
    for part in (
        'regions = "nose": is not among septum, ',
        'normal = "fine": is text, not a list',
        'findings[x].word = ["x"]: is not among words, ',
        "more = 1: is not among regions, ",
        "4 faults",
    ):
        assert part in str(error.value)
    with pytest.raises(LexiconError, match=r"fr: cannot be opened .* give a language of domain nasal \(en, zh\)"):
        ExamLexicon.load("fr", "nasal")
