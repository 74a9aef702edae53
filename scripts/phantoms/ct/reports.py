"""Free-text reports of phantom volumes: findings organ by organ, denials, normal organs, remarks, and an impression.

A report speaks as a radiologist dictates. Organs come in the usual order or in any; normal ones are described alone, several
in one sentence, or not at all; 6.5 % of the findings are left out; the impression repeats most of the others.
"""

from dataclasses import dataclass

import numpy as np

from scripts.phantoms.common.words import capitalized, choice
from scripts.phantoms.ct.plan import ANATOMIES, CHEST, FINDINGS, Plan, VolumePlan
from scripts.phantoms.ct.words import LISTED, NAMED, NORMAL, WORDINGS, slots

OMITTED = 0.065
JOINED = 0.06
_DESCRIBED = 0.6  # share of the normal sentences that are said
_MINOR = frozenset(
    ("Arterial wall calcification", "Coronary artery wall calcification", "Gallstones", "Kidney stone", "Liver cyst", "Renal cyst",
     "Thyroid nodule", "Tracheal secretions", "Hepatic steatosis", "Atelectasis", "Pulmonary fibrotic sequela")
)  # fmt: skip
_LEFT_OUT = {True: 0.45, False: 0.1}  # of the impression: minor findings, and others

_TECHNIQUE = {
    True: ("CT of the chest after intravenous contrast agent.", "Technique: contrast-enhanced CT of the thorax.",
           "Images were obtained after intravenous contrast material."),
    False: ("CT of the chest without contrast agent.", "Technique: non-contrast CT of the thorax.",
            "Evaluation is limited because no contrast material was given."),
}  # fmt: skip
_REMARKS = (
    "No enlarged mediastinal or hilar lymph nodes.", "No axillary lymphadenopathy.", "Small mediastinal lymph nodes below 1 cm.",
    "No pathological lymph nodes.", "Comparison was made with the previous examination.", "No prior examination for comparison.",
    "The ribs are intact.", "The soft tissues of the chest wall are normal.", "No free fluid in the abdomen.", "No pneumothorax.",
)  # fmt: skip
_PARTIAL = ("The scan ends just below the diaphragm.", "The examination was continued to below the diaphragm only.")
_JOINT = (
    ({"Pleural effusion", "Pericardial effusion"},
     ("No pleural or pericardial effusion.", "There is no pericardial or pleural effusion.")),
    ({"Gallstones", "Kidney stone"}, ("No stones in the gallbladder or kidneys.",)),
    ({"Liver cyst", "Hepatic steatosis", "Splenic lesion"}, ("No focal lesion in the liver or spleen.",)),
    ({"Coronary artery wall calcification", "Arterial wall calcification"},
     ("No calcification of the aorta or coronary arteries.",)),
)  # fmt: skip
_DENY = ("No {0}.", "There is no {0}.", "No evidence of {0}.", "There is no sign of {0}.")
_DENY_TWO = ("No {0} or {1}.", "There is no {0} or {1}.", "No evidence of {0} or {1}.")
_CLEAN = ("No significant abnormality.", "Normal CT of the chest.", "No acute finding.", "Unremarkable examination.")


@dataclass(frozen=True)
class Report:
    """A report's text, the sentence that states each planned finding, and the labels left out of the text."""

    text: str
    sentences: list[str]
    omitted: frozenset[str]


def write_report(plan: VolumePlan, enhanced: bool, rng: np.random.Generator) -> Report:
    """Write the report of a volume.

    Args:
        plan: what is on it.
        enhanced: whether contrast agent was given.
        rng: source of every choice.
    """
    omitted = frozenset(finding.label for finding in plan.findings if rng.random() < OMITTED)
    words = [slots(finding, rng) for finding in plan.findings]
    stated = [choice(WORDINGS[f.label].stated, rng).format(**w) for f, w in zip(plan.findings, words, strict=True)]
    told = [i for i, finding in enumerate(plan.findings) if finding.label not in omitted]
    by_organ: dict[str, list[str]] = {anatomy: [] for anatomy in ANATOMIES}
    for i in told:
        by_organ[plan.findings[i].anatomy].append(stated[i])
    _add_normal(by_organ, plan, rng)
    order = ANATOMIES if rng.random() < 0.55 else rng.permutation(ANATOMIES)
    body = _joined([str(sentence) for anatomy in order for sentence in rng.permutation(by_organ[str(anatomy)])], rng)
    for remark in rng.choice(_REMARKS, rng.integers(0, 3), replace=False):
        body.insert(int(rng.integers(len(body) + 1)), str(remark))
    if plan.field == CHEST and rng.random() < 0.6:
        body.append(choice(_PARTIAL, rng))
    if rng.random() < 0.4:
        body.insert(0, choice(_TECHNIQUE[enhanced], rng))
    if not body:
        body = [choice(_REMARKS, rng)]
    impression = _impression([(plan.findings[i], words[i]) for i in told], bool(plan.findings), rng)
    return Report(f"FINDINGS: {' '.join(body)}\nIMPRESSION: {' '.join(impression)}", stated, omitted)


def _add_normal(by_organ: dict[str, list[str]], plan: VolumePlan, rng: np.random.Generator) -> None:
    """Add normal sentences and denials to the organs that the field of view holds."""
    present = {finding.label for finding in plan.findings}
    ill = {finding.anatomy for finding in plan.findings}
    for anatomy, excluded, options in NORMAL:
        fits = not excluded & present if excluded else anatomy not in ill
        if anatomy not in plan.missing and fits and rng.random() < _DESCRIBED * (0.7 if excluded else 0.5):
            by_organ[anatomy].append(choice(options, rng))
    listed = [a for a in NAMED if a not in ill | plan.missing and not by_organ[a]]
    for group in (listed[:5], listed[5:]):
        some = [str(a) for a in rng.permutation(group)][: int(rng.integers(2, 5))]
        if len(some) > 1 and rng.random() < _DESCRIBED:
            names = [choice(NAMED[a], rng) for a in some]
            by_organ[some[0]].append(choice(LISTED, rng).format(f"{', '.join(names[:-1])} and {names[-1]}"))
    absent = [label for label, finding in FINDINGS.items() if label not in present and finding.anatomy not in plan.missing]
    for labels, options in _JOINT:
        if labels <= set(absent) and rng.random() < 0.2:
            by_organ[FINDINGS[min(labels)].anatomy].append(choice(options, rng))
    for _ in range(rng.integers(1, 4)):
        first = str(rng.choice(absent))
        others = [label for label in absent if FINDINGS[label].anatomy == FINDINGS[first].anatomy and label != first]
        if others and rng.random() < 0.5:
            # The short noun: "No atelectasis in the lungs or emphysema" would be odd.
            denial = choice(_DENY_TWO, rng).format(WORDINGS[first].denied[0], choice(WORDINGS[choice(others, rng)].denied, rng))
        else:
            denial = choice(_DENY, rng).format(choice(WORDINGS[first].denied, rng))
        by_organ[FINDINGS[first].anatomy].append(denial)


def _joined(sentences: list[str], rng: np.random.Generator) -> list[str]:
    """The sentences, now and then two neighbours made one ("A cyst is seen in the liver, and the spleen is normal.")."""
    out: list[str] = []
    for sentence in sentences:
        begins = sentence.split()[0] in ("The", "No", "There", "Both")
        if out and begins and "," not in out[-1] and rng.random() < JOINED:
            out[-1] = f"{out[-1][:-1]}{choice((', and ', '; '), rng)}{sentence[0].lower()}{sentence[1:]}"
        else:
            out.append(sentence)
    return out


def _impression(told: list[tuple[Plan, dict[str, str]]], ill: bool, rng: np.random.Generator) -> list[str]:
    """Closing sentences: the findings told, most of them, each alone or two in one sentence."""
    if not ill:
        return [choice(_CLEAN, rng)]
    kept = [item for item in told if rng.random() >= _LEFT_OUT[item[0].label in _MINOR]] or told[:1]
    if not kept:
        return ["As described above."]
    phrases = [choice(WORDINGS[plan.label].brief, rng).format(**words) for plan, words in kept]
    phrases = [str(phrase) for phrase in rng.permutation(phrases)]
    sentences = []
    while phrases:
        count = 2 if len(phrases) > 1 and rng.random() < 0.3 else 1
        some, phrases = phrases[:count], phrases[count:]
        sentences.append(capitalized(f"{' and '.join(some)}."))
    return sentences
