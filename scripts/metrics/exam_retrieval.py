"""Does an exam find its own report among all, and a report its exam? With intervals over patients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scripts.metrics.bootstrap import bootstrap_interval, weighted_mean
from scripts.metrics.retrieval import retrieval_ranks


def summarize_retrieval(
    exams: Tensor, reports: Tensor, patients: Sequence[Any], ks: Sequence[int] = (1, 5, 10), seed: int = 0
) -> dict[str, Any]:
    """Recall at each k in both directions, with 95% intervals over patients.

    Args:
        exams, reports: embeddings [N, D] of matching exams and reports.
        patients: of each exam; at least two different ones.
        ks: how many answers count.
        seed: of the bootstrap.

    Returns:
        {"exam_to_report": {"recall_at_1": {"estimate", "lower", "upper"}, ...}, "report_to_exam": the same, "cases": N}.
    """
    ways = dict(zip(("exam_to_report", "report_to_exam"), retrieval_ranks(exams, reports), strict=True))
    summary: dict[str, Any] = {}
    for way, ranks in ways.items():
        hits = torch.stack([ranks < k for k in ks], dim=1).cpu().numpy()
        estimate, lower, upper, _ = bootstrap_interval(hits, patients, weighted_mean, seed=seed)
        summary[way] = {
            f"recall_at_{k}": {"estimate": float(e), "lower": float(low), "upper": float(high)}
            for k, e, low, high in zip(ks, estimate, lower, upper, strict=True)
        }
    return summary | {"cases": len(exams)}
