"""Agreement as a picture: each measure beside the others, a line a finding."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Apart for colour-blind eyes (Okabe and Ito).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
EXPERTS_COLOUR = "#333333"
TITLES = {
    "kappa": "Cohen's kappa",
    "dice": "Dice of masks",
    "iou": "IoU of masks",
    "box_iou": "IoU of boxes",
    "acceptance": "accepted as it was",
    "seconds": "seconds a review (median)",
}
_DPI, _LETTERS_A_LINE = 110, 36


def agreement_figure(table: pd.DataFrame) -> Figure:
    """Draw estimates with their intervals.

    Args:
        table: as in agreement.csv.

    Returns:
        a figure outside pyplot's global state.
    """
    valued = table.dropna(subset=["estimate"])
    table = valued if len(valued) else table  # kappa has no value where all said the same
    findings = list(dict.fromkeys(table["finding"]))
    measures = [measure for measure in TITLES if measure in set(table["measure"])]
    series = list(dict.fromkeys(table["model_version"]))
    colours = {name: COLOURS[number % len(COLOURS)] if name else EXPERTS_COLOUR for number, name in enumerate(series)}
    height = 1.6 + len(findings) * (0.2 + 0.14 * len(series))
    figure = Figure(figsize=(2.2 + 2.2 * len(measures), height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    step = 0.6 / len(series)
    for axis, measure in zip(axes, measures, strict=True):
        for number, name in enumerate(series):
            rows = table[(table["measure"] == measure) & (table["model_version"] == name)]
            places = np.array([findings.index(finding) for finding in rows["finding"]]) + (number - (len(series) - 1) / 2) * step
            axis.hlines(places, rows["lower"], rows["upper"], color=colours[name], linewidth=2)
            axis.plot(rows["estimate"], places, "o", color=colours[name], markersize=4)
        axis.set_title(TITLES[measure], fontsize=10)
        if measure == "seconds":
            axis.set_xlim(left=0)
        else:
            axis.set_xlim(min(-0.03, axis.get_xlim()[0]) if measure == "kappa" else -0.03, 1.03)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(findings)), [textwrap.shorten(name, _LETTERS_A_LINE) for name in findings])
    axes[0].set_ylim(len(findings) - 0.5, -0.5)
    handles = [Line2D([], [], color=colours[name], marker="o", markersize=4, label=name or "between experts") for name in series]
    figure.legend(handles=handles, loc="outside lower center", frameon=False, fontsize=9)
    return figure
