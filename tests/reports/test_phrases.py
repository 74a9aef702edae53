"""Polarity of phrases written for these tests; the accuracy over all, hard ones included, is printed (pytest -s)."""

import json

import pytest

from scripts.cases.domain import DomainError, read_domain
from scripts.reports import judge_phrase
from scripts.reports.phrases import PhraseLexicon, phrase_polarity
from scripts.reports.tables import LexiconError

CXR_LEXICON = read_domain("cxr").lexicon()
CXR = PhraseLexicon.load(CXR_LEXICON)

# The last fifty or so were written after the rules; 44 of 50 came out right at once, then the lexicon was extended.
PHRASES = {
    "present": [
        "small left pleural effusion",
        "patchy opacity in the right lower lobe",
        "there is a new right apical pneumothorax",
        "cardiac silhouette enlarged",
        "heart size is mildly enlarged",
        "stable cardiomegaly",
        "left basilar atelectasis is unchanged",
        "no change in the small right pleural effusion",
        "no interval change in bibasilar opacities",
        "no significant change in left lower lobe consolidation",
        "not only effusion but also consolidation at the left base",
        "no pneumothorax but a small left effusion",
        "no pneumothorax, small left pleural effusion",
        "unremarkable except for a calcified granuloma in the left upper lobe",
        "heart size is normal, mild pulmonary edema",
        "lungs are clear with small right effusion",
        "left base opacity, likely atelectasis",
        "opacity may represent pneumonia",
        "the effusion has not resolved",
        "partially resolved right upper lobe consolidation",
        "Findings suggesting pneumonia.",
        "hyperinflated but clear lungs",
        "no focal consolidation; moderate cardiomegaly",
        "no effusion. Multiple rib fractures",
        "no improvement in the right middle lobe opacity",
        "ill-defined shadow in the retrocardiac region",
        "moderate cardiomegaly without edema",
        "no pneumothorax, although there is a large effusion",
        "no edema and there is a 3.5 cm mass",
        "edema",
        "heart is not normal in size",
        "aside from a left lower lobe nodule the lungs are clear",
        "no pneumothorax however the mediastinum is widened",
        "Large right-sided pleural effusion",
        "Pulmonary edema, slightly worse than on the prior",
        "Known left upper lobe mass with surrounding hemorrhage",
        "right internal jugular line ends in the upper SVC",
        "Mild interstitial abnormality, more pronounced at the bases",
        "Right pleural effusion has decreased, pneumothorax unchanged",
        "effusion has resolved, pneumothorax unchanged",
        "Bibasilar opacities are again noted, not substantially changed",
        "small pneumothorax without mediastinal shift",
        "right lower lobe air space opacification",
        "Elevation of the right hemidiaphragm with no effusion",
        "increased retrocardiac density",
        "Moderate to severe cardiomegaly is re-demonstrated",
        "lingular opacity, rule out pneumonia",
        "Opacification in the left lung base could be atelectasis or pneumonia",
        "Chronic interstitial changes",
        "subsegmental atelectasis rather than pneumonia",
        "Lungs: right upper lobe collapse",
    ],
    "negated": [
        "no pneumothorax",
        "no pleural effusion or pneumothorax",
        "no focal consolidation, pleural effusion, or pneumothorax",
        "no focal consolidation, large effusion, or pneumothorax",
        "there is no evidence of pneumonia",
        "without focal consolidation",
        "lungs are free of consolidation",
        "lungs are clear of consolidation",
        "negative for pneumonia",
        "absence of pleural effusion",
        "the right pneumothorax has resolved",
        "previously seen effusion is no longer seen",
        "resolved left lower lobe pneumonia",
        "interval resolution of the edema",
        "pneumothorax is not seen",
        "no acute cardiopulmonary process",
        "no acute cardiopulmonary abnormality",
        "heart is not enlarged",
        "there isn't any pneumothorax",
        "no new consolidation",
        "lungs are clear without effusion or pneumothorax",
        "pneumonia has been ruled out",
        "No Pneumothorax.",
        "neither lung shows a mass, nor is there effusion",
        "pneumonia is unlikely",
        "No definite focal consolidation is seen",
        "No large pleural effusion is seen",
        "There is neither effusion nor pneumothorax",
        "no rib fractures identified",
        "No free air below the right hemidiaphragm",
        "Left chest tube has been removed",
        "pleural effusions are absent",
        "Previously noted opacity has cleared",
        "no evidence of a left or right effusion",
        "no pneumothorax is appreciated on this supine film",
        "Negative for acute disease",
        "pneumothorax no longer visible",
        "The aorta is not tortuous",
    ],
    "normal": [
        "heart size is normal",
        "the lungs are clear",
        "cardiomediastinal silhouette is unremarkable",
        "heart size within normal limits",
        "cardiomediastinal contours are stable",
        "stable",
        "no change",
        "no significant interval change",
        "hilar contours are normal",
        "osseous structures are intact",
        "trachea is midline",
        "the lungs are well expanded and clear",
        "costophrenic angles are sharp",
        "heart and mediastinum are unchanged",
        "Normal heart",
        "Cardiac and mediastinal silhouettes are grossly stable",
        "Lung volumes are normal",
        "Visualized bony structures are unremarkable",
        "pulmonary vasculature appears normal",
        "both lungs are well aerated",
        "unchanged appearance of the chest",
        "Clear lungs bilaterally",
    ],
    "uncertain": [
        "possible left lower lobe pneumonia",
        "pneumonia cannot be excluded",
        "cannot exclude a small effusion",
        "small effusion is possible",
        "questionable nodule in the right apex",
        "probable right basilar atelectasis",
        "suspicious for malignancy",
        "a small pneumothorax is not excluded",
        "concerning for pneumonia",
        "no pneumothorax, possible small effusion",
        "may represent infection",
        "Possible trace left pleural effusion versus pleural thickening",
        "Underlying consolidation can't be excluded",
        "likely right lower lobe pneumonia",
        "Superimposed infection may be present",
        "Early pneumonia should be considered",
        "difficult to exclude a trace effusion",
        "question small apical pneumothorax",
        "suspected rib fracture",
        "atelectasis or pneumonia at the left base, if any",
    ],
}

# Known to go wrong: phrase, what it says, what the rules answer. Who mends one moves it up.
HARD = [
    ("no pleural effusion, atelectasis is present at the left base", "present", "negated"),
    ("no left and right effusion", "negated", "present"),
    ("heart size is normal, septal lines at the bases", "present", "normal"),
    ("the edema has normalized", "negated", "present"),
    ("endotracheal tube in normal position", "present", "normal"),
    ("mediastinal clips without complication", "present", "negated"),
    ("pneumonia was considered and dismissed", "negated", "present"),
    ("azygos fissure", "normal", "present"),
]


@pytest.mark.parametrize(("polarity", "phrase"), [(key, phrase) for key, phrases in PHRASES.items() for phrase in phrases])
def test_polarity(polarity, phrase):
    assert phrase_polarity(phrase, CXR) == polarity
    assert phrase_polarity(phrase.upper() + ".", CXR) == polarity
    assert judge_phrase(phrase, "cxr").groundable == (polarity in ("present", "uncertain"))


def test_accuracy_with_the_hard_ones():
    cases = [(phrase, key) for key, phrases in PHRASES.items() for phrase in phrases] + [case[:2] for case in HARD]
    right = sum(phrase_polarity(phrase, CXR) == polarity for phrase, polarity in cases)
    print(f"\nphrase polarity: {right} of {len(cases)} right ({right / len(cases):.1%}); {len(HARD)} known to be hard")
    assert right >= len(cases) - len(HARD)
    assert len(cases) - len(HARD) >= 60


@pytest.mark.parametrize(("phrase", "truth", "answer"), HARD)
def test_hard_phrases_are_listed_as_they_are(phrase, truth, answer):
    assert truth != answer
    assert phrase_polarity(phrase, CXR) == answer


def test_negation_reaches_to_the_end_of_its_clause_only():
    for separator in (" but ", " except ", ". ", "; ", " however ", ", small "):
        assert phrase_polarity(f"no effusion{separator}nodule", CXR) == "present", separator
    for separator in (" or ", ", ", " and ", " nor ", "/"):
        assert phrase_polarity(f"no effusion{separator}nodule", CXR) == "negated", separator


@pytest.mark.parametrize("phrase", ["", " ", ".,;"])
def test_a_phrase_without_words_is_refused(phrase):
    with pytest.raises(ValueError, match="without a word"):
        phrase_polarity(phrase, CXR)


def test_another_lexicon(tmp_path):
    words = json.loads(CXR_LEXICON.read_text()) | {"findings": ["polyp*"], "normal": ["rosy"]}
    path = tmp_path / "larynx.json"
    path.write_text(json.dumps(words))
    larynx = PhraseLexicon.load(path)
    assert phrase_polarity("Polyps on the left vocal fold", larynx) == "present"
    assert phrase_polarity("the mucosa is rosy", larynx) == "normal"
    assert phrase_polarity("the mucosa is rosy", CXR) == "present"  # the chest lexicon does not know the word
    assert phrase_polarity("no polyp", larynx) == "negated"


def test_lexicon_faults_are_all_named(tmp_path):
    words = json.loads(CXR_LEXICON.read_text())
    del words["normal"]
    words |= {"findings": "edema", "colour": ["red"], "unchanged": ["same", ""]}
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(words))
    with pytest.raises(LexiconError, match="normal: is required and not there") as error:
        PhraseLexicon.load(path)
    faults = (
        'findings = "edema": is text, not a list',
        'colour = ["red"]: is not among',
        'unchanged[1] = "": is empty',
        "4 faults",
    )
    for fault in faults:
        assert fault in str(error.value)


def test_lexicon_words_are_lower_case_and_listed_once():
    for key, words in json.loads(CXR_LEXICON.read_text()).items():
        assert len(set(words)) == len(words), key
        assert all(word == word.lower().strip() for word in words), key


def test_a_phrase_is_judged_by_the_lexicons_of_its_domain_in_all_languages():
    smooth = judge_phrase("Smooth nasopharynx.", "nasal")
    assert (smooth.groundable, smooth.polarity, smooth.reason) == (False, "normal", "describes a normal or unchanged state")
    assert judge_phrase("鼻咽部光滑", "nasal") == smooth
    assert judge_phrase("未见息肉", "nasal") == judge_phrase("No polyp.", "nasal")
    assert judge_phrase("No polyp.", "nasal").polarity == "negated"
    assert judge_phrase("左侧中鼻道息肉", "nasal") == judge_phrase("Polyp in the left middle meatus.", "nasal")
    assert judge_phrase("Polyp in the left middle meatus.", "nasal").groundable
    assert judge_phrase("Smooth nasopharynx. Polyp in the left middle meatus.", "nasal").groundable
    assert judge_phrase("possible effusion", "ct").polarity == "uncertain"


@pytest.mark.parametrize(
    ("phrase", "domain"), [("鼻咽部光滑", "cxr"), ("Гладкая носоглотка", "nasal"), ("", "nasal"), ("...", "ct")]
)
def test_a_phrase_that_no_lexicon_can_read_is_not_pointed_at(phrase, domain):
    judged = judge_phrase(phrase, domain)
    assert not judged.groundable and judged.polarity is None
    assert judged.reason.startswith("not understood") and f"domain {domain} (en" in judged.reason


@pytest.mark.parametrize("domain", ["cxr", "nasal"])
def test_a_finding_that_the_lexicon_does_not_list_is_pointed_at_and_the_reason_says_so(domain):
    judged = judge_phrase("Thornwaldt remnant", domain)
    assert judged.groundable and judged.polarity == "present" and "no word that the lexicon knows" in judged.reason


def own_domain(folder, **lexicons):
    """A domain outside the package."""
    files = {language: f"lexicon_{language}.json" for language in lexicons}
    for language, words in lexicons.items():
        (folder / files[language]).write_text(json.dumps(words))
    (folder / "prompts.json").write_text("{}")
    own = {"title": "fundus photographs", "kind": "image", "colour": "rgb", "lexicons": files, "prompts": {"all": "prompts.json"}}
    (folder / "domain.json").write_text(json.dumps(own))
    return folder


def test_a_domain_of_ones_own_may_have_lexicons_of_either_form(tmp_path):
    lists = json.loads(CXR_LEXICON.read_text()) | {"findings": ["exudat*"], "normal": ["flat"]}
    named = {"findings": {"exudate": {"words": ["渗出"]}}, "normal": ["平坦"], "negations": ["无"]}
    domain = own_domain(tmp_path, en=lists, zh=named)
    said = {
        phrase: judge_phrase(phrase, domain).polarity
        for phrase in ("hard exudates", "the macula is flat", "渗出", "无渗出", "平坦")
    }
    assert list(said.values()) == ["present", "normal", "present", "negated", "normal"]
    with pytest.raises(DomainError, match="cxr"):
        judge_phrase("exudates", tmp_path / "none")
