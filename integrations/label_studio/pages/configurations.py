"""What the expert sees: the labeling configuration of each task, as Label Studio's XML.

Names of controls are those of `integrations.label_studio.answers.results`. Labels are the predictions' own, and
those that a project has had before stay: Label Studio refuses to lose a label that a review uses.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from integrations.label_studio.answers.results import BOXES, IMAGE, MASKS, POLYGONS, REPORT, SENTENCES
from integrations.label_studio.errors import LabelStudioError

FINDINGS = "findings"
"""Control of what is to be seen on a film."""
DIAGNOSIS = "diagnosis"
"""Control of an exam's class."""
PHRASE = "phrase"
"""Control for words that the backend finds a region for."""

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000", "#f032e6", "#000075")
SEES_ALL = {"zoom": "true", "zoomControl": "true", "brightnessControl": "true", "contrastControl": "true", "width": "100%"}
"""Without a width the page crops about 2% of each side."""


@dataclass(frozen=True)
class Labels:
    """What can be said in a project: of places, and of cases as a whole."""

    regions: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()

    def __or__(self, other: "Labels") -> "Labels":
        """Both, in order of first appearance."""
        return Labels(_united(self.regions, other.regions), _united(self.cases, other.cases))


def configuration(task: str, labels: Labels) -> str:
    """Labeling configuration of a task ("cxr", "nasal" or "ct").

    Raises:
        LabelStudioError: a task that has none, or no label at all.
    """
    if task == "ct":
        # Imported here: only this task needs what reads volumes.
        from integrations.label_studio.pages import volume as ct

        return ct.configuration(labels)
    if task not in _VIEWS:
        raise LabelStudioError(f"task {task!r} has no labeling configuration, only {', '.join((*_VIEWS, 'ct'))}")
    if not labels.regions and not labels.cases:
        raise LabelStudioError(
            "there is no label to choose from: no prediction names a finding; run the inference with other prompts"
        )
    view = _VIEWS[task](labels)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode")


def labels_in(xml: str) -> Labels:
    """Labels of a configuration made here; empty for another's."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return Labels()
    regions = [label.get("value", "") for label in root.iterfind(f".//*[@name='{MASKS}']/Label")]
    cases = [choice.get("value", "") for name in (FINDINGS, DIAGNOSIS) for choice in root.iterfind(f".//*[@name='{name}']/Choice")]
    return Labels(tuple(regions), tuple(cases))


def _film(labels: Labels) -> Element:
    root, picture, words = _page()
    SubElement(picture, "Image", name=IMAGE, value="$image", **SEES_ALL)
    _report(words, labels.regions)
    _choices(words, FINDINGS, "To be seen on this film", labels.cases, "multiple")
    _tools(words, labels.regions)
    return root


def _exam(labels: Labels) -> Element:
    root, picture, words = _page()
    SubElement(picture, "Header", value="$attention", size="5")
    SubElement(picture, "Image", name=IMAGE, valueList="$images", **SEES_ALL)
    _choices(words, DIAGNOSIS, "Diagnosis of the exam", labels.cases, "single")
    _report(words, labels.regions)
    _tools(words, labels.regions)
    return root


_VIEWS: dict[str, Callable[[Labels], Element]] = {"cxr": _film, "nasal": _exam}


def _page() -> tuple[Element, Element, Element]:
    """The page, its part for pictures on the left, its part for words on the right."""
    root = Element("View", style="display: flex; gap: 1em")
    return root, SubElement(root, "View", style="flex: 65%"), SubElement(root, "View", style="flex: 35%")


def _tools(parent: Element, labels: Iterable[str]) -> None:
    """Words to find; brush, rectangle and polygon with the same labels and colours."""
    labels = tuple(labels)
    if not labels:
        return
    SubElement(parent, "Header", value="Find the region of these words", size="5")
    SubElement(parent, "TextArea", name=PHRASE, toName=IMAGE, rows="1", editable="true", showSubmitButton="true")
    for tag, name, title in (
        ("BrushLabels", MASKS, "Brush"),
        ("RectangleLabels", BOXES, "Box"),
        ("PolygonLabels", POLYGONS, "Polygon"),
    ):
        SubElement(parent, "Header", value=title, size="5")
        _labels(SubElement(parent, tag, name=name, toName=IMAGE), labels)


def _choices(parent: Element, name: str, title: str, choices: Iterable[str], kind: str) -> None:
    choices = tuple(choices)
    if not choices:
        return
    SubElement(parent, "Header", value=title, size="5")
    control = SubElement(parent, "Choices", name=name, toName=IMAGE, choice=kind)
    for choice in choices:
        SubElement(control, "Choice", value=choice)


def _report(parent: Element, labels: Iterable[str]) -> None:
    SubElement(parent, "Header", value="Report", size="5")
    SubElement(parent, "Text", name=REPORT, value="$report")
    labels = tuple(labels)
    if labels:
        _labels(SubElement(parent, "Labels", name=SENTENCES, toName=REPORT), labels)


def _labels(control: Element, labels: Iterable[str]) -> None:
    for number, label in enumerate(labels):
        SubElement(control, "Label", value=label, background=COLOURS[number % len(COLOURS)])


def _united(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
