"""Figures of findings on films: what is there, what was looked for, what was found."""

import textwrap
from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

if TYPE_CHECKING:
    from scripts.inferers.regions import Region

# Blue and yellow stay apart for colour-blind eyes and from the red of the heat; a dark rim keeps them visible on
# white bone.
TRUTH_COLOUR, FOUND_COLOUR = "#56c7ff", "#ffe14d"
_RIM = [Stroke(linewidth=2.8, foreground="black", alpha=0.7), Normal()]
_HEAT = colormaps["inferno"]
_COLDEST, _HOTTEST = 0.35, 0.65  # of the colour map: without its black, which darkens films, and its yellow
_MAX_OPAQUE = 0.55
_PANEL_INCHES, _DPI, _LETTERS_A_LINE = 4.0, 110, 44


def overlay_figure(
    film: np.ndarray,
    heat: np.ndarray | None,
    boxes: Sequence[Sequence[float]],
    mask: np.ndarray | None,
    regions: "Sequence[Region]",
    title: str,
) -> Figure:
    """Draw one film with its heat map, the truth and the found regions, all in native pixels.

    Truth is blue and dashed (boxes) or dotted (mask outline), found regions are yellow and solid with their score.
    The heat is spread from its own smallest to its own largest finite value, so colours compare places of one film,
    never two films; NaN stays clear.

    Args:
        film: [H, W], or [H, W, 3] for colours, in [0, 1].
        heat: [H, W], any units, or None.
        boxes: truth, (x, y, width, height) each; may be empty.
        mask: truth, [H, W], nonzero inside, or None.
        regions: found regions, with masks [H, W]; may be empty.
        title: shown above, wrapped.

    Returns:
        a figure outside pyplot's global state: nothing has to be closed.

    Raises:
        ValueError: a heat, mask or region of another shape than the film.
    """
    case = {"film": film, "heat": heat, "boxes": boxes, "mask": mask, "regions": regions, "title": title}
    return grid_figure([case], columns=1)


def grid_figure(cases: Sequence[Mapping[str, Any]], columns: int, outline: str = "true outline") -> Figure:
    """Draw several cases side by side, each a mapping of `overlay_figure`'s arguments, with one legend beneath.

    Args:
        cases: at least one.
        columns: panels beside each other at most.
        outline: what the legend calls the masks' outlines.

    Raises:
        ValueError: no case, no column, or arrays of another shape than their film.
    """
    if not cases or columns < 1:
        raise ValueError(f"a figure needs a case and a column, got {len(cases)} cases and {columns} columns")
    columns = min(columns, len(cases))
    rows = ceil(len(cases) / columns)
    legend_inches = 0.45
    figure = Figure(figsize=(columns * _PANEL_INCHES, rows * (_PANEL_INCHES + 0.4) + legend_inches), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, case in zip(axes, cases, strict=False):
        _draw(axis, **case)
    for axis in axes:
        axis.set_axis_off()
    handles = _legend_handles(cases, outline)
    if handles:
        # One entry a line where panels are narrow would push the films aside; two fit under one panel.
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 2 * columns), frameon=False, fontsize=9)
    return figure


def _draw(
    axis: Axes,
    film: np.ndarray,
    heat: np.ndarray | None,
    boxes: Sequence[Sequence[float]],
    mask: np.ndarray | None,
    regions: "Sequence[Region]",
    title: str,
) -> None:
    named = [("heat", heat), ("mask", mask), *(("region", region.mask) for region in regions)]
    for name, array in named:
        if array is not None and array.shape != film.shape[:2]:
            raise ValueError(f"{title!r}: the {name} has shape {array.shape}, the film {film.shape}")
    axis.imshow(film, cmap="gray", vmin=0, vmax=1)
    if heat is not None:
        axis.imshow(_coloured(heat))
    if mask is not None and np.any(mask):
        _outline(axis, np.asarray(mask) != 0, TRUTH_COLOUR, "dotted")
    for x, y, width, height in boxes:
        # imshow puts pixel centres at whole numbers, boxes are edges: half a pixel apart.
        corner = (x - 0.5, y - 0.5)
        frame = Rectangle(corner, width, height, fill=False, edgecolor=TRUTH_COLOUR, linewidth=1.6, linestyle="--")
        frame.set_path_effects(_RIM)
        axis.add_patch(frame)
    for region in regions:
        _outline(axis, region.mask, FOUND_COLOUR, "solid")
        _write_score(axis, region, film.shape)
    axis.set_title("\n".join(textwrap.wrap(title, _LETTERS_A_LINE)), fontsize=10)


def _coloured(heat: np.ndarray) -> np.ndarray:
    """Heat as RGBA, [H, W, 4]: the colder, the clearer, so that the film shows through where nothing was found."""
    finite = np.isfinite(heat)
    if not finite.any():
        return np.zeros((*heat.shape, 4))
    low, high = heat[finite].min(), heat[finite].max()
    share = np.where(finite, (heat - low) / (high - low) if high > low else 0.0, 0.0)
    return np.dstack([_HEAT(_COLDEST + (_HOTTEST - _COLDEST) * share)[..., :3], _MAX_OPAQUE * share**1.5])


def _outline(axis: Axes, mask: np.ndarray, colour: str, style: str) -> None:
    # Padded, so that a region at the film's edge has a closed outline too.
    padded = np.pad(mask.astype(float), 1)
    height, width = padded.shape
    lines = axis.contour(
        np.arange(width) - 1, np.arange(height) - 1, padded, [0.5], colors=colour, linewidths=1.6, linestyles=style
    )
    lines.set_path_effects(_RIM)
    axis.set_xlim(-0.5, width - 2.5)
    axis.set_ylim(height - 2.5, -0.5)


def _write_score(axis: Axes, region: "Region", shape: tuple[int, int]) -> None:
    x, y, _, height = region.box
    above = y > 0.06 * shape[0]
    axis.annotate(
        f"{region.score:.2f}",
        (x, y if above else y + height),
        xytext=(1, 3 if above else -3),
        textcoords="offset points",
        verticalalignment="bottom" if above else "top",
        color=FOUND_COLOUR,
        fontsize=9,
        path_effects=_RIM,
        annotation_clip=True,
    )


def _legend_handles(cases: Sequence[Mapping[str, Any]], outline: str) -> list[Line2D]:
    """Only what some panel shows."""
    entries = [
        ("true box", TRUTH_COLOUR, "--", any(len(case["boxes"]) for case in cases)),
        (outline, TRUTH_COLOUR, ":", any(case["mask"] is not None for case in cases)),
        ("found, with score", FOUND_COLOUR, "-", any(len(case["regions"]) for case in cases)),
    ]
    return [Line2D([], [], color=colour, linestyle=style, label=name) for name, colour, style, used in entries if used]


def interval_figure(entries: Mapping[str, Mapping[str, float]], measure: str, reference: float) -> Figure:
    """Estimates with their intervals, one line a name, in the order given from top to bottom.

    Args:
        entries: {"estimate", "lower", "upper"} by name; NaN is not drawn.
        measure: what the horizontal axis shows.
        reference: value that a dashed line marks, such as that of guessing.

    Returns:
        a figure outside pyplot's global state.
    """
    figure = Figure(figsize=(7, 1.2 + 0.28 * len(entries)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = np.arange(len(entries))[::-1]
    estimates, lower, upper = (
        np.array([entry[key] for entry in entries.values()], float) for key in ("estimate", "lower", "upper")
    )
    axes.hlines(places, lower, upper, color="#2f6f9f", linewidth=2)
    axes.plot(estimates, places, "o", color="#2f6f9f")
    axes.axvline(reference, color="grey", linestyle="--", linewidth=1)
    axes.set_yticks(places, [textwrap.shorten(name, _LETTERS_A_LINE) for name in entries])
    axes.set_xlabel(f"{measure}, 95% interval over patients")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return figure
