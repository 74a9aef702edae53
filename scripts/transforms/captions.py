"""From report to caption."""

from typing import Any

from monai.transforms import MapTransform, Randomizable

from scripts.reports.sections import report_sentences, sample_caption


class Captiond(MapTransform, Randomizable):
    """Make a caption of a report: all its sentences, or a random choice of them.

    Args:
        keys: where the report stands; the caption takes its place.
        full_report_chance: how often the whole report is given, in [0, 1]; else a random subset of its sentences in random order
            (see `sample_caption`). 1, for validation, draws nothing.

    Raises:
        ValueError: a report without any sentence that can be used (an empty one, or headings alone), or a chance out of range.
    """

    def __init__(self, keys: str = "report", full_report_chance: float = 1.0) -> None:
        if not 0 <= full_report_chance <= 1:
            raise ValueError(f"full_report_chance must be within 0 and 1, got {full_report_chance}")
        MapTransform.__init__(self, keys)
        self.full_report_chance = full_report_chance

    def randomize(self, data: Any = None) -> None:
        """Nothing to prepare: `sample_caption` draws from the generator itself."""

    def __call__(self, data: dict) -> dict:
        item = dict(data)
        for key in self.keys:
            sentences = report_sentences(item[key])
            if not sentences:
                raise ValueError(f"the {key} holds no sentence: {item[key]!r}")
            if self.full_report_chance == 1:
                item[key] = ". ".join(sentences)
            else:
                item[key] = sample_caption(sentences, self.R, full_report_chance=self.full_report_chance)
        return item
