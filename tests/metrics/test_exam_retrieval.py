import numpy as np
import pytest
import torch

from scripts.metrics.exam_retrieval import summarize_retrieval
from scripts.metrics.retrieval import retrieval_ranks, retrieval_recall


def embeddings(seed, count=40):
    generator = torch.Generator().manual_seed(seed)
    exams = torch.randn(count, 6, generator=generator)
    return exams, exams + 0.8 * torch.randn(count, 6, generator=generator)


def test_ranks_by_hand():
    # Cosines with rows as exams: 1 .6 0 / 0 .8 1 / 0 0 0 (an exam that is nothing ties with everything).
    exams = torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    reports = torch.tensor([[2.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    image_to_report, report_to_image = retrieval_ranks(exams, reports)
    assert image_to_report.tolist() == [0, 1, 2] and report_to_image.tolist() == [0, 0, 2]


def test_a_broken_network_finds_nothing():
    exams, reports = embeddings(0)
    image_to_report, report_to_image = retrieval_ranks(exams * torch.nan, reports)
    assert image_to_report.tolist() == report_to_image.tolist() == [39] * 40


def test_recalls_agree_with_the_metric_of_training():
    exams, reports = embeddings(1)
    summary = summarize_retrieval(exams, reports, [f"p{i // 2}" for i in range(40)])
    for k in (1, 5, 10):
        ways = [summary[way][f"recall_at_{k}"] for way in ("exam_to_report", "report_to_exam")]
        assert np.mean([way["estimate"] for way in ways]) == pytest.approx(retrieval_recall(exams, reports, k))
        assert all(0 <= way["lower"] <= way["estimate"] <= way["upper"] <= 1 for way in ways)
    assert 0.05 < summary["exam_to_report"]["recall_at_1"]["estimate"] < 0.95 and summary["cases"] == 40
    assert summary["exam_to_report"]["recall_at_1"]["lower"] < summary["exam_to_report"]["recall_at_1"]["upper"]
