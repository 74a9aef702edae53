"""Reports of phantom films as a radiologist writes them: synonyms, denials, doubts, sentences beside the point.

A finding is left out of its report now and then (`OMITTED`), as happens in practice; it is then never denied either.
Places are named only with findings that are there, so that the pairs of finding and place kept for the test split
cannot leak through a denial or a hedge.
"""

from dataclasses import dataclass

import numpy as np

from scripts.phantoms.common.words import capitalized, choice
from scripts.phantoms.cxr.exposure import Technique
from scripts.phantoms.cxr.plan import LABELS, Plan
from scripts.phantoms.cxr.words import NEGATED, Phrase, phrase_of

OMITTED = 0.07
HEDGED = 0.12
DOUBTED = 0.05
MAX_SENTENCES = 8

_LUNG = {"consolidation", "atelectasis", "nodule", "mass", "pulmonary edema", "reticular opacity"}
# Normal sentences and the labels that each rules out.
_NORMAL: list[tuple[set[str], list[str]]] = [
    (
        {"cardiomegaly"},
        ["The heart size is normal.", "The cardiac silhouette is within normal limits.", "Heart is not enlarged."],
    ),
    (
        _LUNG,
        ["The lungs are clear.", "The lungs are well aerated and clear.", "Lungs are clear without focal abnormality."],
    ),
    (
        {"hilar enlargement", "mass", "cardiomegaly"},
        ["The mediastinal and hilar contours are unremarkable.", "Cardiomediastinal contours are normal."],
    ),
    ({"pleural effusion"}, ["The costophrenic angles are sharp.", "The pleural spaces are clear at both bases."]),
    ({"pulmonary edema"}, ["Pulmonary vascularity is normal.", "The pulmonary vasculature is not congested."]),
]
_BESIDE = [
    "Comparison is made with the prior study.",
    "No prior film is available for comparison.",
    "Mild degenerative changes of the thoracic spine.",
    "The bony structures are unremarkable.",
    "The visualized upper abdomen is unremarkable.",
    "The aorta is mildly tortuous.",
    "Lung volumes are slightly low.",
    "The patient is slightly rotated.",
    "Soft tissues are unremarkable.",
    "Old healed rib deformity is unchanged.",
]
_VIEW = {
    "AP": ["Single portable AP view of the chest.", "AP supine film.", "Portable chest radiograph."],
    "PA": ["Frontal view of the chest.", "PA view of the chest.", "Upright frontal radiograph of the chest."],
}
_DEVICE = {
    "endotracheal tube": [
        "The endotracheal tube is in satisfactory position.",
        "Endotracheal tube tip projects over the trachea.",
    ],
    "central line": ["A central venous catheter ends in the superior vena cava.", "Central line in place."],
    "enteric tube": ["An enteric tube courses below the diaphragm.", "The nasogastric tube is in the stomach."],
    "pacemaker": ["A pacemaker is in place with intact leads.", "Cardiac pacing device is noted."],
    "electrodes": ["Monitoring electrodes overlie the chest.", "External leads project over the thorax."],
    "sternal wires": ["Median sternotomy wires are intact.", "The patient has had a sternotomy."],
}
_DENY_ONE = ["No {0}.", "There is no {0}.", "No evidence of {0}.", "There is no evidence of {0}.", "No {0} is seen."]
_DENY_TWO = ["No {0} or {1}.", "There is no {0} or {1}.", "No evidence of {0} or {1}.", "Neither {0} nor {1} is seen."]
_DENY_THREE = ["No {0}, {1} or {2}.", "There is no {0}, {1} or {2}.", "No evidence of {0}, {1} or {2}."]
_DOUBT = [
    "Early {0} cannot be excluded.",
    "A small amount of {0} cannot be excluded.",
    "{0} cannot be entirely excluded.",
]
_CLEAN = [
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary process.",
    "Normal chest radiograph.",
    "No acute disease.",
]


@dataclass(frozen=True)
class Report:
    """A report's text, the phrase that names each planned finding, and the labels left out of the text."""

    text: str
    phrases: list[str]
    omitted: frozenset[str]


def write_report(plans: list[Plan], technique: Technique, shares: list[float], rng: np.random.Generator) -> Report:
    """Write the report of a film.

    Args:
        plans: findings on the film.
        technique: projection and devices.
        shares: box area over film area of each finding; sets the size words.
        rng: source of every choice.
    """
    omitted = frozenset(plan.label for plan in plans if rng.random() < OMITTED)
    phrases = [phrase_of(plan, share, rng) for plan, share in zip(plans, shares, strict=True)]
    told = [i for i, plan in enumerate(plans) if plan.label not in omitted]
    present = {plan.label for plan in plans}
    stated = [_state(phrases[i], rng) for i in told]
    impression = _impression([phrase_of(plans[i], shares[i], rng, with_size=False) for i in told], present, rng)
    room = MAX_SENTENCES - len(stated) - len(impression)
    filler = _filler(present, technique, rng)[: max(2, min(room, int(rng.integers(2, 6))))]
    body = [*stated, *filler]
    rng.shuffle(body)
    if len(body) + len(impression) < 3 or (rng.random() < 0.35 and len(body) + len(impression) < MAX_SENTENCES):
        body.insert(0, choice(_VIEW[technique.projection], rng))
    return Report(f"FINDINGS: {' '.join(body)} IMPRESSION: {' '.join(impression)}", [p.text for p in phrases], omitted)


def _state(phrase: Phrase, rng: np.random.Generator) -> str:
    """A sentence that states a finding, now and then with doubt."""
    verb = "are" if phrase.plural else "is"
    if rng.random() < HEDGED:
        options = [
            f"Possible {phrase.text}.",
            f"Appearances may represent {phrase.text}.",
            f"Findings are suspicious for {phrase.text}.",
        ]
    else:
        whole = phrase.with_article()
        options = [
            f"There {verb} {whole}.",
            f"{capitalized(whole)} {verb} present.",
            f"{capitalized(whole)} {verb} seen.",
            f"{capitalized(phrase.text)}.",
        ]
    return choice(options, rng)


def _filler(present: set[str], technique: Technique, rng: np.random.Generator) -> list[str]:
    """Denials, normal sentences, devices and sentences beside the point, in random order after one denial."""
    absent = [label for label in LABELS if label not in present]
    usual = [label for label in absent if label in ("consolidation", "pleural effusion", "pneumothorax", "pulmonary edema")]
    denied = list(rng.permutation(usual)) + list(rng.permutation([label for label in absent if label not in usual]))
    sentences = []
    for _ in range(rng.integers(1, 4)):
        count = int(rng.integers(1, 4))
        some, denied = denied[:count], denied[count:]
        if some:
            words = [choice(NEGATED[label], rng) for label in some]
            sentences.append(capitalized(choice((_DENY_ONE, _DENY_TWO, _DENY_THREE)[len(some) - 1], rng).format(*words)))
    doubtful = list(denied)
    normal = [choice(options, rng) for excluded, options in _NORMAL if not excluded & present and rng.random() < 0.4]
    beside = [choice(_BESIDE, rng)] if rng.random() < 0.5 else []
    devices = [choice(_DEVICE[device], rng) for device in technique.devices if rng.random() < 0.5]
    if doubtful and rng.random() < DOUBTED:
        beside.append(capitalized(choice(_DOUBT, rng).format(NEGATED[choice(doubtful, rng)][0])))
    rest = sentences[1:] + normal + beside + devices
    rng.shuffle(rest)
    return sentences[:1] + rest


def _impression(phrases: list[Phrase], present: set[str], rng: np.random.Generator) -> list[str]:
    """One or two closing sentences."""
    if not present:
        return [choice(_CLEAN, rng)]
    if not phrases:
        return ["As described above."]
    if rng.random() < 0.12:
        return ["As above."]
    texts = [capitalized(phrase.text) for phrase in phrases]
    if len(texts) > 1 and rng.random() < 0.5:
        joined = ", ".join(p.text for p in phrases[:-1]) + f" and {phrases[-1].text}."
        return [capitalized(joined)]
    kept = texts[:2] if rng.random() < 0.3 else texts
    return [f"{text}." for text in kept]
