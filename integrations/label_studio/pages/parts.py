"""Parts of labeling configurations, as Label Studio's XML.

Names of controls are those of `integrations.label_studio.answers.results`. Labels are the predictions' own, and
those that a project has had before stay: Label Studio refuses to lose a label that a review uses.
"""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from integrations.label_studio.answers.answer import Labels
from integrations.label_studio.answers.results import (
    BOXES,
    DIAGNOSIS,
    FINDINGS,
    IMAGE,
    MASKS,
    PHRASE,
    POLYGONS,
    REPORT,
    SENTENCES,
)
from integrations.label_studio.errors import LabelStudioError

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000", "#f032e6", "#000075")
SEES_ALL = {"zoom": "true", "zoomControl": "true", "brightnessControl": "true", "contrastControl": "true", "width": "100%"}
"""Without a width the page crops about 2% of each side."""
BRUSH, BOX, POLYGON = ("BrushLabels", MASKS, "Brush"), ("RectangleLabels", BOXES, "Box"), ("PolygonLabels", POLYGONS, "Polygon")


def labels_in(xml: str) -> Labels:
    """Labels of a configuration made here; empty for another's."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return Labels()
    regions = [label.get("value", "") for label in root.iterfind(f".//*[@name='{MASKS}']/Label")]
    cases = [choice.get("value", "") for name in (FINDINGS, DIAGNOSIS) for choice in root.iterfind(f".//*[@name='{name}']/Choice")]
    return Labels(tuple(regions), tuple(cases))


def check_labels(labels: Labels) -> None:
    """Refuse a configuration without a label.

    Raises:
        LabelStudioError: there is none.
    """
    if not labels.regions and not labels.cases:
        raise LabelStudioError(
            "there is no label to choose from: no prediction names a finding; run the inference with other prompts"
        )


def two_columns(left: int) -> tuple[Element, Element, Element]:
    """The page, its part for pictures on the left, which takes `left` percent, its part for words on the right."""
    root = Element("View", style="display: flex; gap: 1em")
    return root, SubElement(root, "View", style=f"flex: {left}%"), SubElement(root, "View", style=f"flex: {100 - left}%")


def as_text(root: Element) -> str:
    """A configuration as Label Studio takes it."""
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def add_tools(parent: Element, tools: Iterable[tuple[str, str, str]], labels: Iterable[str]) -> None:
    """Brush, box or polygon (element, control, title), all with the same labels and colours."""
    labels = tuple(labels)
    for tag, control, title in tools:
        SubElement(parent, "Header", value=title, size="5")
        _add_labels(SubElement(parent, tag, name=control, toName=IMAGE), labels)


def add_search(parent: Element) -> None:
    """A field for words that the backend finds a region for."""
    SubElement(parent, "Header", value="Find the region of these words", size="5")
    SubElement(parent, "TextArea", name=PHRASE, toName=IMAGE, rows="1", editable="true", showSubmitButton="true")


def add_choices(parent: Element, name: str, title: str, choices: Iterable[str], kind: str) -> None:
    """What can be chosen for the case as a whole, `kind` "single" or "multiple"; nothing where there is nothing to choose."""
    choices = tuple(choices)
    if not choices:
        return
    SubElement(parent, "Header", value=title, size="5")
    control = SubElement(parent, "Choices", name=name, toName=IMAGE, choice=kind)
    for choice in choices:
        SubElement(control, "Choice", value=choice)


def add_report(parent: Element, labels: Iterable[str] = ()) -> None:
    """The report, whose sentences can be marked where there are labels."""
    SubElement(parent, "Header", value="Report", size="5")
    SubElement(parent, "Text", name=REPORT, value="$report")
    labels = tuple(labels)
    if labels:
        _add_labels(SubElement(parent, "Labels", name=SENTENCES, toName=REPORT), labels)


def _add_labels(control: Element, labels: Iterable[str]) -> None:
    for number, label in enumerate(labels):
        SubElement(control, "Label", value=label, background=COLOURS[number % len(COLOURS)])
