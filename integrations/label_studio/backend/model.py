"""A bundle's inference kept ready: what inference.json builds is built once and asked about single cases."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monai.bundle import ConfigParser

from integrations.label_studio.cases import version_of
from integrations.label_studio.errors import LabelStudioError
from scripts.cases.domain import Domain
from scripts.cases.kind import kind_of
from scripts.engines import ExamInference, ImageInference
from scripts.loading.dataset import CaseDataset
from scripts.predictions.predictions import PredictionWriter, read_predictions

TAKES_PHRASES = (ImageInference, ExamInference)
"""Engines that look for a record's own `phrases`."""


class BundleModel:
    """A bundle's network, transforms and inference engine, in this process.

        model = BundleModel("bundles/cxr_localization", [], {"checkpoint": "models/model.pt"})
        (drawn,) = model.answer([(model.read({"image": "film.png"}), draw)])

    Args:
        bundle: its folder.
        overlays: names of the bundle's configs, merged over inference.json in this order.
        settings: ids and values, as on the command line of `monai.bundle run`.

    Raises:
        LabelStudioError: files that are not there, or settings that the config does not know (all are named).
        UserError: what the bundle itself raises, for a checkpoint that does not fit, say.
    """

    def __init__(self, bundle: str | Path, overlays: Sequence[str], settings: Mapping[str, Any]) -> None:
        files = [str(Path(bundle) / "configs" / f"{name}.json") for name in ("inference", *overlays)]
        missing = [file for file in files if not Path(file).is_file()]
        if missing:
            raise LabelStudioError(f"{', '.join(missing)}: not there; give a bundle's folder and its configs by name")
        parser = ConfigParser()
        parser.read_config(files)
        unknown = [key for key in settings if key not in parser]
        if unknown:
            raise LabelStudioError(f"inference.json has no {', '.join(unknown)}; its ids: {', '.join(map(str, parser.config))}")
        # Cases come one by one: no data set of the config's own, and nothing that reports on a run.
        parser.update({"bundle_root": str(bundle), **settings, "dataset": [], "handlers": []})
        self._engine = parser.get_parsed_content("evaluator")
        self._transform = parser.get_parsed_content("preprocessing")
        self._writer: PredictionWriter = parser.get_parsed_content("writer")
        loader = parser.get_parsed_content("dataloader")
        self._collate = loader.collate_fn
        self.batch_size: int = loader.batch_size

    @property
    def domain(self) -> Domain:
        """Of the cases that it answers."""
        return self._writer.domain

    @property
    def version(self) -> str:
        """What Label Studio calls this model: what `push` calls it too."""
        return version_of(self._writer.model)

    @property
    def takes_phrases(self) -> bool:
        """Whether it can look for words that a user types."""
        return isinstance(self._engine, TAKES_PHRASES)

    def read(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Make a case ready for the network.

        Args:
            record: `image` or `images` (and `anatomy_mask`) as in a datalist; `phrases`, if these alone are to be looked for.

        Raises:
            LabelStudioError: a file that cannot be read or used.
        """
        item = CaseDataset([record | {"patient_id": "", self._id_key: "case"}], self._transform)[0]
        if item["rejected"]:
            raise LabelStudioError(item["rejected"][0][1])
        return item

    def answer(self, entries: Sequence[tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]]) -> list[Any]:
        """Ask the network about cases, all in one batch; not for several threads at a time.

        Args:
            entries: what `read` gives, and a function that makes the answer of the case as `read_predictions` gives
                it; masks and saliency volumes are there while it runs.
        """
        # Two users may have opened the same case.
        names = [str(number) for number in range(len(entries))]
        items = [
            item | {"case_id": name, "record": item["record"] | {self._id_key: name}}
            for name, (item, _) in zip(names, entries, strict=True)
        ]
        with TemporaryDirectory() as folder:
            engine = self._engine
            engine.writer = PredictionWriter(folder, self.domain, self._writer.model)
            engine.data_loader, engine.state.epoch_length = [self._collate(items)], 1
            engine.run()
            cases = {case["case_id"]: case for case in read_predictions(folder)}
            return [draw(cases[name]) for name, (_, draw) in zip(names, entries, strict=True)]

    @property
    def _id_key(self) -> str:
        return kind_of(self.domain).id_key
