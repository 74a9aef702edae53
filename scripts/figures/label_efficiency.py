"""The figure of a label-efficiency study."""

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_DPI = 110


def label_efficiency_figure(figures: pd.DataFrame, measure: str) -> Figure:
    """A measure over the share of the labels, a line with intervals for each initialisation, a panel for each slice.

    Args:
        figures: label_efficiency.csv, see `LabelEfficiency`.
        measure: "accuracy" or "auc".
    """
    shown = figures[figures["measure"] == measure]
    slices = list(dict.fromkeys(shown["slice"]))
    names = list(dict.fromkeys(shown["initialisation"]))
    figure = Figure(figsize=(1.2 + 3.6 * len(slices), 3.8), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(slices), sharey=True, squeeze=False)[0]
    for axes, part in zip(panels, slices, strict=True):
        for index, name in enumerate(names):
            rows = shown[(shown["slice"] == part) & (shown["initialisation"] == name)]
            # Beside each other, so that intervals at the same share do not hide each other.
            shares = rows["fraction"] * 1.06 ** (index - (len(names) - 1) / 2)
            below, above = rows["estimate"] - rows["lower"], rows["upper"] - rows["estimate"]
            axes.errorbar(shares, rows["estimate"], [below, above], marker="o", markersize=4, linewidth=1.2, capsize=2, label=name)
        axes.set_xscale("log")
        axes.set_xticks(sorted(set(shown["fraction"])), [f"{share:.0%}" for share in sorted(set(shown["fraction"]))])
        axes.minorticks_off()
        axes.set_title(part)
        axes.set_xlabel("share of the labels")
    panels[0].set_ylabel(measure)
    panels[-1].legend(loc="lower right", frameon=False, fontsize="small")
    return figure
