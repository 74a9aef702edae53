"""What a label-efficiency study compares, as a JSON file says it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from monai.bundle import ConfigParser
from pydantic import AfterValidator, Field, ValidationInfo

from scripts.cases.values import Text, not_empty
from scripts.files.errors import UserError
from scripts.files.faults import describe_faults
from scripts.files.validation import ErrorCollector, StrictModel, fault, unknown


def _pretraining(name: str | None, info: ValidationInfo) -> str | None:
    known = info.context["pretrainings"]
    if name is not None and name not in known:
        raise fault("unknown pretraining", *unknown(name, known))
    return name


def _fraction(fraction: float) -> float:
    if not 0 < fraction <= 1:
        raise fault("bad fraction", "is not above 0 and at most 1", "give a share of the patients")
    return fraction


def _comparison(row: list, info: ValidationInfo) -> list:
    if len(row) != 4:
        raise fault("bad comparison", "is not of four entries", "give initialisation, fraction, initialisation, fraction")
    initialisations, fractions = info.context["initialisations"], info.context["fractions"]
    for name, fraction in (row[:2], row[2:]):
        if name not in initialisations or fraction not in fractions:
            raise fault(
                "no such cell", f'"{name}" with fraction {fraction} is no cell of the study', "take one that the study runs"
            )
    return row


class Pretraining(StrictModel):
    """Overlays of a command, merged after the study's own, and values for its configs."""

    overlays: list[Text] = Field(default_factory=list)
    arguments: dict[str, Any] = Field(default_factory=dict)


class Initialisation(Pretraining):
    """The same of a screening, and the pretraining that it starts from."""

    pretraining: Annotated[str | None, AfterValidator(_pretraining)] = None


class StudyPlan(StrictModel):
    """A study of initialisations x shares of the labels x seeds.

        {"pretraining_bundle": "bundles/nasal_pretraining", "screening_bundle": "bundles/npc_screening",
         "overlays": ["phantom"], "arguments": {"held_out_sites": ["centre C"]},
         "pretrainings": {"NasVLM": {}, "CLIP": {"overlays": ["per_image_clip"]}},
         "initialisations": {"NasVLM": {"pretraining": "NasVLM", "overlays": ["full_finetuning"]},
                             "random weights": {"overlays": ["from_scratch"]}},
         "fractions": [0.01, 1.0], "seeds": [1, 2, 3], "pretraining_seeds": [1],
         "comparisons": [["NasVLM", 0.01, "random weights", 1.0]]}

    Attributes:
        pretraining_bundle, screening_bundle: folders of the bundles.
        overlays, arguments: config files merged over train and evaluate of both bundles, and values of their ids.
        pretrainings, initialisations: by name.
        fractions: shares of the training patients whose labels are used.
        seeds: of everything that a screening draws, the choice of labelled patients too.
        pretraining_seeds: of the pretrainings, dealt out to the seeds in turn: one serves all of them; as many as there are seeds
            put the pretraining's chance into the intervals too.
        comparisons: initialisation and fraction of one cell, and of the other.
    """

    pretraining_bundle: Text
    screening_bundle: Text
    overlays: list[Text]
    arguments: dict[str, Any]
    pretrainings: dict[str, Pretraining]
    initialisations: dict[str, Initialisation]
    fractions: Annotated[list[Annotated[float, AfterValidator(_fraction)]], not_empty("fractions")]
    seeds: Annotated[list[int], not_empty("seeds")]
    pretraining_seeds: Annotated[list[int], not_empty("seeds")]
    comparisons: list[Annotated[list[Any], AfterValidator(_comparison)]]

    @classmethod
    def read(cls, files: Sequence[str | Path]) -> "StudyPlan":
        """Read a plan; of several files, top-level keys of later ones take the place of those of earlier ones.

        Raises:
            UserError: no such file, keys missing or unknown, or a name that nothing in the plan has; all are listed.
        """
        named = ", ".join(map(str, files))
        absent = [str(file) for file in files if not Path(file).is_file()]
        if absent:
            raise UserError(
                f"{', '.join(absent)} does not exist: give the study's JSON file, such as a bundle's label_efficiency.json"
            )
        content = {key: value for key, value in ConfigParser.load_config_files(list(files)).items() if not key.startswith("_")}
        notes = ErrorCollector(named)
        names = {key: content.get(key, ()) for key in ("pretrainings", "initialisations", "fractions")}
        known = {key: list(value) if isinstance(value, dict | list) else [] for key, value in names.items()}
        plan = notes.check(cls, content, context=known)
        if plan is None:
            raise UserError(describe_faults(notes.faults))
        return plan

    def pretraining_seed(self, seed: int) -> int:
        """The seed of the pretrainings that the screenings of a seed start from."""
        return self.pretraining_seeds[self.seeds.index(seed) % len(self.pretraining_seeds)]
