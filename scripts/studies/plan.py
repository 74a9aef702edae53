"""What a label-efficiency study compares, as a JSON file says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from scripts.files.errors import UserError

KEYS = (
    "pretraining_bundle",
    "screening_bundle",
    "overlays",
    "arguments",
    "pretrainings",
    "initialisations",
    "fractions",
    "seeds",
    "pretraining_seeds",
    "comparisons",
)
STEP_KEYS = {"pretrainings": ("overlays", "arguments"), "initialisations": ("overlays", "arguments", "pretraining")}


@dataclass(frozen=True)
class Step:
    """Overlays of a command, merged after the study's own, values for its configs, and the pretraining that it starts from."""

    overlays: tuple[str, ...]
    arguments: dict[str, Any]
    pretraining: str | None


@dataclass(frozen=True)
class StudyPlan:
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

    pretraining_bundle: str
    screening_bundle: str
    overlays: tuple[str, ...]
    arguments: dict[str, Any]
    pretrainings: dict[str, Step]
    initialisations: dict[str, Step]
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    pretraining_seeds: tuple[int, ...]
    comparisons: tuple[tuple[str, float, str, float], ...]

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
        faults = [f'"{key}" is missing' for key in KEYS if key not in content]
        faults += [f'"{key}" is not among {", ".join(KEYS)}' for key in content if key not in KEYS]
        if faults:
            raise UserError(f"{named}: {'; '.join(faults)}")
        faults = [
            f'"{key}" of {kind} "{name}" is not among {", ".join(known)}'
            for kind, known in STEP_KEYS.items()
            for name, step in content[kind].items()
            for key in step
            if key not in known
        ]
        pretrainings, initialisations = (_steps(content[kind]) for kind in STEP_KEYS)
        faults += [
            f'initialisation "{name}" starts from pretraining "{step.pretraining}", which is not among {", ".join(pretrainings)}'
            for name, step in initialisations.items()
            if step.pretraining is not None and step.pretraining not in pretrainings
        ]
        faults += [
            f"fraction {fraction} is not above 0 and at most 1" for fraction in content["fractions"] if not 0 < fraction <= 1
        ]
        faults += [f'"{key}" is empty' for key in ("fractions", "seeds", "pretraining_seeds") if not content[key]]
        faults += [
            f'comparison {row}: "{name}" with fraction {fraction} is no cell of the study'
            for row in content["comparisons"]
            for name, fraction in (row[:2], row[2:])
            if name not in initialisations or fraction not in content["fractions"]
        ]
        if faults:
            raise UserError(f"{named}: {'; '.join(faults)}")
        lists = {key: tuple(content[key]) for key in ("overlays", "fractions", "seeds", "pretraining_seeds")}
        comparisons = tuple(tuple(row) for row in content["comparisons"])
        steps = {"pretrainings": pretrainings, "initialisations": initialisations}
        return cls(**{**content, **lists, **steps, "comparisons": comparisons})

    def pretraining_seed(self, seed: int) -> int:
        """The seed of the pretrainings that the screenings of a seed start from."""
        return self.pretraining_seeds[self.seeds.index(seed) % len(self.pretraining_seeds)]


def _steps(content: dict[str, dict]) -> dict[str, Step]:
    return {
        name: Step(tuple(step.get("overlays", ())), step.get("arguments", {}), step.get("pretraining"))
        for name, step in content.items()
    }
