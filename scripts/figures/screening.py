"""Figures of a screening: confusion matrix, ROC curve, reliability diagram."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from scripts.metrics.probability_calibration import Reliability

_DPI = 110


def confusion_figure(counts: NDArray, classes: Sequence[str]) -> Figure:
    """Exams by true class (rows) and decision (columns): counts [C, C], coloured by their share of the row."""
    figure = Figure(figsize=(1.6 + 1.1 * len(classes), 1.2 + 1.1 * len(classes)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:g}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    return figure


def roc_figure(truth: NDArray, probabilities: NDArray, classes: Sequence[str]) -> Figure:
    """Sensitivity over 1 - specificity: of the second of two classes, or of each against the rest.

    Args:
        truth: class of each exam, [N].
        probabilities: [N, C].
        classes: C names.
    """
    figure = Figure(figsize=(4.6, 4.4), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for index in [1] if len(classes) == 2 else range(len(classes)):
        is_class = truth == index
        if is_class.any() and not is_class.all():
            false_share, true_share, _ = roc_curve(is_class, probabilities[:, index])
            axes.plot(false_share, true_share, label=classes[index])
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    axes.legend(loc="lower right", frameon=False)
    return figure


def reliability_figure(diagrams: dict[str, Reliability]) -> Figure:
    """Accuracy over confidence of each diagram, points as large as their bins are full."""
    figure = Figure(figsize=(4.6, 4.4), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    for name, diagram in diagrams.items():
        full = diagram.counts > 0
        (line,) = axes.plot(diagram.confidence[full], diagram.accuracy[full], label=name)
        sizes = 15 + 120 * diagram.counts[full] / diagram.counts.max()
        axes.scatter(diagram.confidence[full], diagram.accuracy[full], s=sizes, color=line.get_color(), alpha=0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("probability of the answer")
    axes.set_ylabel("share of right answers")
    axes.legend(loc="upper left", frameon=False)
    return figure
