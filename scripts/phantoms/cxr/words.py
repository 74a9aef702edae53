"""The vocabulary of phantom reports: nouns, places and sizes of each finding, and the prompts that ask for them."""

from dataclasses import dataclass

import numpy as np

from scripts.phantoms.common.words import choice
from scripts.phantoms.cxr.plan import LABELS, Plan

# Nouns of each label. "a": countable; "": no article.
NOUNS: dict[str, list[tuple[str, str]]] = {
    "consolidation": [
        ("", "consolidation"),
        ("", "airspace consolidation"),
        ("an", "airspace opacity"),
        ("a", "patchy infiltrate"),
        ("a", "pneumonic infiltrate"),
        ("", "patchy consolidation"),
    ],
    "pleural effusion": [("a", "pleural effusion"), ("an", "effusion"), ("", "pleural fluid")],
    "pneumothorax": [("a", "pneumothorax")],
    "atelectasis": [("", "atelectasis")],
    "nodule": [("a", "nodule"), ("a", "pulmonary nodule"), ("a", "lung nodule"), ("a", "nodular opacity")],
    "mass": [("a", "mass"), ("a", "lung mass"), ("a", "lobulated mass"), ("a", "pulmonary mass")],
    "cardiomegaly": [
        ("", "cardiomegaly"),
        ("an", "enlarged cardiac silhouette"),
        ("an", "enlarged heart"),
        ("", "cardiac enlargement"),
    ],
    "pulmonary edema": [
        ("", "pulmonary edema"),
        ("", "perihilar pulmonary edema"),
        ("", "alveolar edema"),
        ("", "perihilar haze of pulmonary edema"),
    ],
    "reticular opacity": [
        ("a", "reticular opacity"),
        ("an", "interstitial opacity"),
        ("", "fibrosis"),
        ("", "reticular fibrosis"),
        ("", "interstitial reticulation"),
    ],
    "hilar enlargement": [
        ("", "hilar enlargement"),
        ("", "hilar prominence"),
        ("", "hilar fullness"),
        ("", "hilar lymphadenopathy"),
    ],
}
FORM_NOUNS = {
    "plate": [
        ("", "linear atelectasis"),
        ("", "plate-like atelectasis"),
        ("", "subsegmental atelectasis"),
        ("", "discoid atelectasis"),
    ],
    "wedge": [
        ("", "segmental atelectasis"),
        ("", "atelectasis with volume loss"),
        ("a", "wedge-shaped atelectasis"),
        ("", "partial collapse"),
    ],
}
PLURALS = {
    "pleural effusion": ["pleural effusions", "effusions"],
    "reticular opacity": ["reticular opacities", "interstitial opacities", "reticular markings"],
}
ZONES = {
    "upper": ["upper zone", "upper lobe", "upper lung"],
    "middle": ["mid zone", "middle zone", "mid lung"],
    "lower": ["lower zone", "lower lobe", "lung base"],
}
SIZES = {
    "small": ["small", "minor", "subtle"],
    "medium": ["moderate", "medium-sized", ""],
    "large": ["large", "extensive", ""],
}
SEVERITY = {"small": ["mild", "slight"], "medium": ["moderate", ""], "large": ["marked", "severe"]}
GRADED = {"cardiomegaly", "pulmonary edema", "hilar enlargement", "reticular opacity"}

# Words that name each label when it is denied or looked for, most usual first.
NEGATED = {
    "consolidation": ["consolidation", "focal consolidation", "airspace opacity", "infiltrate"],
    "pleural effusion": ["pleural effusion", "effusion", "pleural fluid"],
    "pneumothorax": ["pneumothorax"],
    "atelectasis": ["atelectasis", "collapse"],
    "nodule": ["nodule", "pulmonary nodule"],
    "mass": ["mass", "lung mass"],
    "cardiomegaly": ["cardiomegaly", "cardiac enlargement"],
    "pulmonary edema": ["pulmonary edema", "edema"],
    "reticular opacity": ["fibrosis", "reticular opacity", "interstitial opacity"],
    "hilar enlargement": ["hilar enlargement", "hilar lymphadenopathy"],
}


@dataclass(frozen=True)
class Phrase:
    """A noun phrase without its article: "small right pleural effusion", article "a", plural or not."""

    text: str
    article: str
    plural: bool

    def with_article(self) -> str:
        if not self.article:
            return self.text
        return f"{'an' if self.text[0] in 'aeiou' else 'a'} {self.text}"


def size_of(share: float) -> str:
    """Size word of a box area over film area: below 1.5 % small, above 6 % large."""
    return "small" if share < 0.015 else "large" if share > 0.06 else "medium"


def phrase_of(plan: Plan, share: float, rng: np.random.Generator, with_size: bool = True) -> Phrase:
    """One of many ways to name a finding with its place and size; never a negation."""
    article, noun = choice(FORM_NOUNS.get(plan.form, NOUNS[plan.label]), rng)
    if plan.label == "atelectasis" and rng.random() < 0.35:
        article, noun = "", "atelectasis"
    plural = plan.side == "bilateral" and plan.label in PLURALS
    if plural:
        article, noun = "", choice(PLURALS[plan.label], rng)
    size = ""
    if with_size and rng.random() < 0.75:
        size = choice((SEVERITY if plan.label in GRADED else SIZES)[_grade(plan, share)], rng)
    before, after = _place_words(plan, rng)
    words = [size, before, noun, after]
    return Phrase(" ".join(word for word in words if word), article, plural)


def _grade(plan: Plan, share: float) -> str:
    if plan.label == "pulmonary edema":
        return "small" if share < 0.08 else "large" if share > 0.12 else "medium"
    if plan.label == "cardiomegaly":
        return "medium"
    return size_of(share)


def _place_words(plan: Plan, rng: np.random.Generator) -> tuple[str, str]:
    """Words of place before and after the noun."""
    side = plan.side
    if plan.label == "cardiomegaly":
        return "", ""
    if plan.label == "pulmonary edema":
        return choice(["bilateral", ""], rng), ""
    if plan.label == "hilar enlargement":
        return side, ""
    if plan.label == "pleural effusion":
        return choice([side, f"{side} basal" if side != "bilateral" else side, side], rng), ""
    if plan.label == "pneumothorax":
        return choice([side, f"{side} apical", f"{side}-sided"], rng), ""
    zone = choice(ZONES[plan.zone], rng)
    if side == "bilateral":
        both = choice(ZONES[plan.zone][:1], rng)
        return (f"bilateral {both}", "") if rng.random() < 0.6 else ("", f"in both {both}s")
    if rng.random() < 0.55:
        return f"{side} {'basal' if zone == 'lung base' else zone}", ""
    return "", f"{'at' if zone == 'lung base' else 'in'} the {side} {zone}"


def prompt_table() -> dict[str, dict[str, list[str]]]:
    """Texts that ask for each finding and deny it, for zero-shot classification, in the reports' words.

    Returns:
        {label: {"positive": [...], "negative": [...]}} for every label.
    """
    table = {}
    for label in LABELS:
        nouns = [noun for _, noun in NOUNS[label]]
        if label == "atelectasis":
            nouns = ["atelectasis", *(noun for form in FORM_NOUNS.values() for _, noun in form[:2])]
        positive = [" ".join(word for word in (place, noun) if word) for place in _grid(label) for noun in nouns]
        positive += [f"bilateral {plural}" for plural in PLURALS.get(label, [])]
        negative = [f"{start} {noun}" for noun in NEGATED[label] for start in ("no", "there is no", "no evidence of")]
        if label == "cardiomegaly":
            negative += ["heart size is normal", "normal cardiac silhouette"]
        table[label] = {"positive": positive, "negative": negative}
    return table


def _grid(label: str) -> list[str]:
    """Places to ask for."""
    if label == "cardiomegaly":
        return ["", "moderate"]
    if label == "pulmonary edema":
        return ["", "bilateral", "mild", "moderate"]
    sides = ["right", "left"]
    if label in ("pleural effusion", "pneumothorax", "hilar enlargement"):
        more = {
            "pleural effusion": ("small {}", "{} basal"),
            "pneumothorax": ("moderate {}", "{} apical"),
            "hilar enlargement": ("mild {}",),
        }
        return sides + [form.format(side) for form in more[label] for side in sides]
    return [f"{side} {zone}" for side in sides for zone in ("upper zone", "mid zone", "lower zone")]
