import json

import pytest

from scripts.datalists.sources.ct_rate import LABELS
from scripts.files.errors import UserError
from scripts.reports.by_anatomy.prompts import FindingPrompts, PromptTableError, read_anatomy_prompts

CT_RATE_ANATOMIES = ("lung", "heart", "esophagus", "aorta")
WIDE_ANATOMIES = (
    "lung",
    "trachea",
    "heart",
    "aorta",
    "esophagus",
    "thyroid",
    "liver",
    "gallbladder",
    "spleen",
    "pancreas",
    "adrenal gland",
    "kidney",
    "stomach",
    "bowel",
    "spine",
)


def finding(label="Emphysema", anatomy="lung", positive=("Emphysema.",), negative=("No emphysema.",), **others):
    return {"label": label, "anatomy": anatomy, "positive": list(positive), "negative": list(negative), **others}


@pytest.fixture
def write(tmp_path):
    def write_json(content):
        path = tmp_path / "prompts.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_json


def told(path, anatomies=None):
    with pytest.raises(PromptTableError) as raised:
        read_anatomy_prompts(path, "ct", anatomies)
    return str(raised.value)


def test_a_table_of_ones_own(write):
    path = write({"about": "mine", "findings": [finding(), finding("Cyst", "liver", ["Cyst.", "A cyst."], ["No cyst."])]})
    assert read_anatomy_prompts(path, "ct", ("lung", "liver")) == [
        FindingPrompts("Emphysema", "lung", ("Emphysema.",), ("No emphysema.",)),
        FindingPrompts("Cyst", "liver", ("Cyst.", "A cyst."), ("No cyst.",)),
    ]
    assert read_anatomy_prompts(str(path), "ct")[0].anatomy == "lung"


def test_all_faults_at_once(write):
    path = write(
        {
            "about": "",
            "finding": [],
            "findings": [
                finding(),
                finding(positive=["Bulla."], negative=["No bulla."]),
                finding("Nodule", "lungs", [" "], [], weight=2),
                {"label": 7, "anatomie": "liver", "positive": "Cyst.", "negative": ["No cyst.", 3]},
                "Mass",
            ],
        }
    )
    text = told(path, CT_RATE_ANATOMIES)
    for fault in (
        'about = "": is empty',
        "finding = []: is not among findings, about",
        'Emphysema, label = "Emphysema": stands in the table already',
        'Nodule, anatomy = "lungs": is not among lung, heart, esophagus, aorta; perhaps "lung" is meant',
        'Nodule, positive[0] = " ": is empty',
        "Nodule, negative = []: holds no wordings",
        "Nodule, weight = 2: is not among",
        "[3], label = 7: is a number, not text",
        '[3], anatomy: is required and not there; rename "anatomie"',
        '[3], positive = "Cyst.": is text, not a list',
        "[3], negative[1] = 3: is a number, not text",
        '[4] = "Mass": is text, not an object',
    ):
        assert fault in text
    assert "13 faults" in text  # the unknown key "anatomie" is the thirteenth
    assert issubclass(PromptTableError, UserError)


def test_wordings_that_tell_nothing_apart(write):
    twice = finding(positive=["Emphysema.", "emphysema. "])
    both = finding("Bulla", positive=["Bulla."], negative=["Bulla."])
    shared = finding("Cyst", positive=["NO emphysema."], negative=["No cyst."])
    elsewhere = finding("Liver mass", "liver", ["Emphysema."], ["No emphysema."])
    text = told(write({"findings": [finding(), both, shared, elsewhere]}))
    assert "2 faults in 2 records" in text
    assert 'Bulla, negative[0] = "Bulla.": is the same wording as Bulla, positive[0]' in text
    assert 'Cyst, positive[0] = "NO emphysema.": is the same wording as Emphysema, negative[0]' in text
    assert 'positive[1] = "emphysema. ": is the same wording as Emphysema, positive[0]' in told(write({"findings": [twice]}))


def test_files_that_are_no_table(write, tmp_path):
    absent = told(tmp_path / "none.json")
    assert "cannot be opened (No such file or directory); give the name of a prompt table of domain ct (ct_rate, ct_wide" in absent
    assert "is not JSON: Expecting value, line 1, column 1" in told(write("findings"))
    assert "is a list, not an object" in told(write([finding()]))
    assert "findings: is required and not there" in told(write({"about": "x"}))
    assert "holds no findings" in told(write({"findings": []}))
    (tmp_path / "latin.json").write_bytes('{"about": "ü"}'.encode("latin-1"))
    assert "is not UTF-8 text" in told(tmp_path / "latin.json")


def test_ct_rate_is_the_published_table():
    prompts = read_anatomy_prompts("ct_rate", "ct", CT_RATE_ANATOMIES)
    assert {prompt.label for prompt in prompts} == set(LABELS) - {"Medical material", "Lymphadenopathy"}
    for prompt in prompts:
        assert prompt.negative == ("Not " + prompt.positive[0],)
    words = {prompt.label: prompt.positive[0] for prompt in prompts}
    assert {label: word for label, word in words.items() if word != f"{label}."} == {
        "Atelectasis": "Atelectatic.",
        "Lung nodule": "Nodule.",
        "Lung opacity": "Opacity.",
        "Pulmonary fibrotic sequela": "Pulmonary fibrotic.",
    }


def test_ct_rate_in_the_published_order(fvlm_golden):
    items = json.loads((fvlm_golden / "infer_expected.json").read_text())["test_items"]
    asked = [[p.anatomy, p.label, *p.negative, *p.positive] for p in read_anatomy_prompts("ct_rate", "ct")]
    assert asked == items


def test_rad_chestct_asks_in_the_words_of_ct_rate():
    published = read_anatomy_prompts("ct_rate", "ct")
    prompts = read_anatomy_prompts("rad_chestct", "ct", CT_RATE_ANATOMIES)
    assert prompts[:15] == [prompt for prompt in published if prompt.label != "Mosaic attenuation pattern"]
    assert all(prompt.negative == ("Not " + prompt.positive[0],) for prompt in prompts)


def test_the_wide_table():
    prompts = read_anatomy_prompts("ct_wide", "ct", WIDE_ANATOMIES)
    assert len(prompts) >= 54
    assert {prompt.anatomy for prompt in prompts} == set(WIDE_ANATOMIES)
    assert all(len(prompt.positive) >= 3 and len(prompt.negative) >= 3 for prompt in prompts)
    texts = [text for prompt in prompts for text in prompt.positive + prompt.negative]
    assert all(text[0].isupper() and text.endswith(".") and text == text.strip() for text in texts)
    anatomy_of = {prompt.label: prompt.anatomy for prompt in prompts}
    assert all(anatomy_of[prompt.label] == prompt.anatomy for prompt in read_anatomy_prompts("ct_rate", "ct"))
