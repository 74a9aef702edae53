"""The vocabulary of phantom exam reports: sentences for every finding and for normal regions, and prompts that ask for them.

In a sentence, {side} stands for "right" or "left", {region} for a name of the region.
"""

import numpy as np

from scripts.phantoms.common.words import capitalized, choice
from scripts.phantoms.nasal.plan import (
    ADENOID_OBSTRUCTION,
    CLASSES,
    FINDINGS,
    HYPERPLASIA,
    IRRADIATED,
    MASS,
    OBLITERATED,
    SWOLLEN_TORUS,
    Plan,
)

NAMES: dict[str, tuple[str, ...]] = {
    "septum": ("nasal septum", "septum"),
    "inferior turbinate": ("inferior turbinate", "inferior concha"),
    "middle turbinate": ("middle turbinate", "middle concha"),
    "middle meatus": ("middle meatus",),
    "olfactory cleft": ("olfactory cleft", "olfactory fissure"),
    "inferior meatus": ("inferior meatus", "nasal floor"),
    "choana": ("choana", "posterior naris"),
    "nasopharynx": ("nasopharynx", "postnasal space"),
    "torus tubarius": ("torus tubarius", "Eustachian cushion"),
    "fossa of rosenmueller": ("fossa of Rosenmueller", "pharyngeal recess", "fossa of Rosenmuller"),
}

_FILLED = (
    "The {side} {region} is obliterated.",
    "Obliteration of the {side} {region} by tumour-like tissue.",
    "The {side} {region} is filled by soft tissue.",
    "Loss of the {side} {region}, which is full.",
)
_MASSES = {
    "nodular": (
        "A nodular mass occupies the {side} wall of the {region}.",
        "Uneven nodular neoplasm on the {side} side of the {region}.",
        "Irregular mass of the {side} {region} with a nodular surface.",
        "New growth in the {side} {region}, nodular, with engorged vessels.",
    ),
    "ulcerated": (
        "An ulcerated mass is seen in the {side} {region}.",
        "Ulcer with grey-yellow slough and a raised red rim in the {side} {region}.",
        "Necrotic ulcerating tumour of the {side} {region}.",
        "The {side} {region} bears a mass with a central ulcer.",
    ),
    "fungating": (
        "A cauliflower-like mass fills the {side} {region}.",
        "Fungating growth on the {side} wall of the {region}.",
        "Exophytic tumour of the {side} {region}, friable, bleeding on contact.",
        "Fungating neoplasm in the {side} {region}.",
    ),
    "submucosal": (
        "A smooth submucosal bulge of the {side} wall of the {region}.",
        "Asymmetric smooth swelling of the {side} {region} under intact mucosa.",
        "The {side} wall of the {region} bulges under intact mucosa.",
        "Submucosal mass of the {side} {region}, surface smooth.",
    ),
}
_MOUNDS = {
    "furrowed": (
        "Adenoid hyperplasia with longitudinal furrows in the midline of the {region}.",
        "Symmetric lobulated lymphoid tissue in the {region}.",
        "The {region} shows adenoid tissue with furrows, mucosa intact.",
        "Lobulated adenoid hypertrophy in the roof of the {region}.",
    ),
    "furrowless": (
        "Smooth midline mound of lymphoid tissue in the {region}, mucosa intact.",
        "Symmetric smooth adenoid hyperplasia of the {region}.",
        "Adenoid tissue without furrows bulges in the midline of the {region}.",
        "Smooth symmetric lymphoid hyperplasia in the {region}.",
    ),
    "unilateral": (
        "Adenoid hyperplasia of the {region}, more on the {side}, with longitudinal furrows.",
        "Lobulated furrowed lymphoid tissue on the {side} side of the {region}.",
        "One-sided adenoid hypertrophy of the {side} {region}, furrows preserved.",
    ),
}

# Sentences of a finding by form, or for every form.
STATED: dict[str, dict[str, tuple[str, ...]] | tuple[str, ...]] = {
    HYPERPLASIA: _MOUNDS,
    ADENOID_OBSTRUCTION: (
        "Adenoid tissue blocks the upper {region}.",
        "The {region} is partly obstructed by adenoid tissue.",
        "Enlarged adenoids protrude into the {region}.",
    ),
    MASS: _MASSES,
    OBLITERATED: {
        "blunted": (
            "The {side} {region} is blunted.",
            "Shallow and blunted {side} {region}.",
            "The {side} {region} is fuller than the other side.",
            "Asymmetry, the {side} {region} has become shallow.",
        ),
    }
    | dict.fromkeys(_MASSES, _FILLED),
    SWOLLEN_TORUS: (
        "The {side} {region} is swollen.",
        "Swelling of the {side} {region} with a compressed tubal orifice.",
        "The {side} {region} is thickened and pushed forward.",
    ),
    "septal deviation": (
        "The {region} is deviated to the {side}.",
        "Deviation of the {region} to the {side}.",
        "The {region} bows towards the {side}.",
        "Marked {side} deviation of the {region}.",
    ),
    "septal spur": (
        "A spur of the {region} on the {side} touches the lateral wall.",
        "Bony spur on the {side} side of the {region}.",
        "Sharp ridge of the {region} on the {side}.",
    ),
    "septal perforation": (
        "The {region} is perforated.",
        "Perforation in the anterior part of the {region}.",
        "A hole is seen in the {region}.",
    ),
    "bleeding point": (
        "Bleeding point on the {side} side of the {region}.",
        "Fresh blood on the {side} side of the {region}.",
        "A bleeding vessel is seen on the {region} on the {side}.",
    ),
    "turbinate hypertrophy": (
        "Both {region}s are hypertrophied.",
        "Enlarged {region}s on both sides.",
        "Hypertrophy of the {region}s.",
    ),
    "allergic rhinitis": (
        "The {region}s are pale and boggy with watery mucus.",
        "Pale bluish swelling of the {region}s.",
        "Boggy oedematous {region}s, pale, with clear secretion.",
    ),
    "rhinitis": ("The {region}s are congested and red.", "Red swollen {region}s on both sides.", "Congestion of the {region}s."),
    "mulberry turbinate": (
        "Mulberry-like surface of the {side} {region}.",
        "The {side} {region} is mulberry-like.",
        "Mulberry hypertrophy of the {side} {region}.",
    ),
    "polypoid middle turbinate": (
        "Polypoid change of the {side} {region}.",
        "The {side} {region} is oedematous and polypoid.",
        "Polypoid degeneration of the {side} {region}.",
    ),
    "paradoxical middle turbinate": (
        "The {side} {region} is paradoxically curved.",
        "Paradoxical {side} {region}.",
        "Reversed curvature of the {side} {region}.",
    ),
    "concha bullosa": (
        "Concha bullosa, the {side} {region} is ballooned.",
        "The {side} {region} is widened as a concha bullosa.",
        "Ballooned {side} {region}.",
    ),
    "nasal polyp": (
        "A grey translucent polyp is seen in the {side} {region}.",
        "Smooth polyp in the {side} {region}.",
        "Polyps arise from the {side} {region}.",
        "The {side} {region} contains a polyp.",
    ),
    "sinusitis": (
        "Yellow-green pus flows from the {side} {region}.",
        "Purulent discharge in the {side} {region}.",
        "The {side} {region} contains pus.",
        "Mucopurulent stream from the {side} {region}.",
    ),
    "mucosal oedema": (
        "The mucosa of the {side} {region} is oedematous.",
        "Oedema of the {side} {region}.",
        "The {side} {region} is narrowed by swollen mucosa.",
    ),
    "secretions": ("Mucus in the {region}.", "The {region} contains mucoid secretions.", "Sticky secretions cover the {region}."),
    "crusts": ("Crusts in the {side} {region}.", "Dry crusts lie in the {side} {region}.", "The {side} {region} is crusted."),
    "choanal polyp": (
        "A polyp hangs in the {side} {region}.",
        "Smooth grey polyp in the {side} {region}.",
        "The {side} {region} is blocked by a polyp.",
    ),
    IRRADIATED: (
        "Dry pale mucosa with crusts in the {region} after radiotherapy.",
        "Post-radiotherapy change of the {region} with crusting.",
        "The {region} is dry, pale and crusted, irradiated in the past.",
    ),
}

NORMAL: dict[str, tuple[str, ...]] = {
    "septum": (
        "The {region} is in the midline.",
        "{region} straight and smooth.",
        "No deviation of the {region}.",
        "The {region} is midline and smooth.",
    ),
    "inferior turbinate": (
        "The {region}s are not enlarged.",
        "{region}s pink and moist.",
        "Both {region}s are of normal size.",
        "No swelling of the {region}s.",
    ),
    "middle turbinate": (
        "The {region}s are smooth and pink.",
        "Normal {region}s.",
        "{region} without abnormality on either side.",
        "Both {region}s are unremarkable.",
    ),
    "middle meatus": (
        "The {region} is clear on both sides.",
        "No polyp or pus in the {region}.",
        "{region} free of discharge.",
        "Clean {region} on either side.",
    ),
    "olfactory cleft": ("The {region} is patent.", "{region} open on both sides.", "No polyp in the {region}."),
    "inferior meatus": ("The {region} is clean.", "The {region} is free of secretion.", "{region} without mucus or crusts."),
    "choana": ("The {region} is patent.", "{region} open on both sides.", "No obstruction of the {region}."),
    "nasopharynx": (
        "The {region} is smooth.",
        "Smooth symmetric mucosa of the {region}.",
        "No mass in the {region}.",
        "{region} unremarkable.",
        "The roof and posterior wall of the {region} are normal.",
    ),
    "torus tubarius": (
        "The {region} is symmetric.",
        "{region} normal on both sides, tubal orifice open.",
        "No swelling of the {region}.",
    ),
    "fossa of rosenmueller": (
        "The {region} is clear on both sides.",
        "Both sides of the {region} are deep and symmetric.",
        "{region} open and symmetric.",
        "No fullness of the {region}.",
    ),
}
OTHER_SIDE = {
    "fossa of rosenmueller": ("The {side} {region} is clear.", "{side} {region} deep and open."),
    "torus tubarius": ("The {side} {region} is normal.", "{side} {region} not swollen."),
    "nasopharynx": (),
}
JOINED = {
    ("inferior turbinate", "middle turbinate"): (
        "Inferior and middle turbinates are pink and not swollen.",
        "Turbinates normal, inferior and middle.",
    ),
    ("torus tubarius", "fossa of rosenmueller"): ("Torus tubarius and fossa of Rosenmueller are symmetric.",),
    ("septum", "inferior turbinate"): ("Septum midline, inferior turbinates not enlarged.",),
}
BESIDE = (
    "Examined after decongestion.",
    "Local anaesthesia was applied.",
    "The patient tolerated the examination well.",
    "Video was recorded.",
    "Flexible endoscopy of both sides.",
    "Rigid 0 degree endoscope.",
)
# Of a nasopharynx that is not normal either, after radiotherapy or full of mucus.
UNSUSPICIOUS = ("Nasopharynx without suspicious lesion.", "No suspicious lesion of the nasopharynx.")
IMPRESSIONS: dict[str, tuple[str, ...]] = {
    "NOR": ("Normal nasopharynx.", "No abnormality of the nasopharynx.", *UNSUSPICIOUS),
    "BH": ("Adenoid hypertrophy.", "Benign lymphoid hyperplasia of the nasopharynx.", "Adenoid hyperplasia, benign."),
    "NPC": (
        "Nasopharyngeal carcinoma suspected, biopsy advised.",
        "Suspected NPC.",
        "Nasopharyngeal malignancy, pathology to confirm.",
    ),
}

_CLASS_PROMPTS: dict[str, tuple[str, ...]] = {
    "NOR": (
        "The nasopharynx is smooth.",
        "Smooth symmetric mucosa of the nasopharynx.",
        "No mass in the nasopharynx.",
        "Normal nasopharynx.",
    ),
    "BH": (
        "Adenoid hyperplasia with longitudinal furrows in the midline of the nasopharynx.",
        "Symmetric lobulated lymphoid tissue in the nasopharynx.",
        "Smooth symmetric adenoid hyperplasia of the nasopharynx.",
        "Adenoid hypertrophy.",
    ),
    "NPC": (
        "A nodular mass occupies the left wall of the nasopharynx.",
        "An ulcerated mass is seen in the right nasopharynx.",
        "A cauliflower-like mass fills the left nasopharynx.",
        "Asymmetric smooth swelling of the right nasopharynx under intact mucosa.",
        "The left fossa of Rosenmueller is obliterated.",
    ),
}


def state(plan: Plan, rng: np.random.Generator) -> str:
    """One of many sentences that state a finding."""
    options = STATED[plan.label]
    return _filled(choice(options[plan.form] if isinstance(options, dict) else options, rng), plan.region, plan.side, rng)


def describe_normal(region: str, rng: np.random.Generator) -> str:
    """One of many sentences that call a region normal on both sides."""
    return _filled(choice(NORMAL[region], rng), region, "", rng)


def describe_other_side(plan: Plan, rng: np.random.Generator) -> str | None:
    """A sentence that calls the side opposite a finding normal, where reports say such a thing."""
    options = OTHER_SIDE.get(plan.region, ())
    return _filled(choice(options, rng), plan.region, {"right": "left", "left": "right"}[plan.side], rng) if options else None


def prompt_table() -> dict[str, dict[str, list[str]]]:
    """Texts that ask for each class and finding and deny it, for zero-shot classification, in the reports' words.

    Returns:
        {name: {"positive": [...], "negative": [...]}} for NOR, BH, NPC and every finding, as `scripts.reports.read_prompts`
        reads it. A class's negatives are the other classes' positives; a finding's are normal sentences of its region.
    """
    table = {}
    for name in CLASSES:
        others = [text for other in CLASSES if other != name for text in _CLASS_PROMPTS[other]]
        table[name] = {"positive": list(_CLASS_PROMPTS[name]), "negative": others}
    for label, regions in FINDINGS.items():
        table[label] = {
            "positive": list(dict.fromkeys(text for region in regions for text in _asked(label, region))),
            "negative": [capitalized(text.format(region=NAMES[region][0])) for region in regions for text in NORMAL[region]],
        }
    return table


def _asked(label: str, region: str) -> list[str]:
    """Every sentence of a finding in one region, by its first name, of both sides."""
    options = STATED[label]
    texts = list(dict.fromkeys(text for form in options.values() for text in form)) if isinstance(options, dict) else options
    return [capitalized(text.format(region=NAMES[region][0], side=side)) for text in texts for side in ("right", "left")]


def _filled(text: str, region: str, side: str, rng: np.random.Generator) -> str:
    return capitalized(text.format(region=choice(NAMES[region], rng), side=side).replace("conchas", "conchae"))
