"""CLIP image by image: the baseline that knows nothing of exams."""

import torch
from torch import Tensor, nn

from scripts.losses.exam_alignment import gather_padded, row_losses
from scripts.losses.gather import gather_rows


class ImageReportLoss(nn.Module):
    """Every image is contrasted with all reports as if it alone had been reported on: its exam's report is copied to it.

    The images of an exam are positives of the same report (each of them with an even share), not negatives of each other. Takes
    what `NasVLMLoss` takes, so that networks trained by either differ in nothing else; exams' and patches' embeddings are not
    trained. Under torch.distributed images and reports of all ranks are gathered with gradient.
    """

    def forward(self, exams, texts) -> dict[str, Tensor]:
        """Compare the images of B exams (`ExamEmbeddings`) with their reports (`ExamTexts`).

        Returns:
            {"loss", "image_to_report", "report_to_image"}: the mean of both directions, and each.

        Raises:
            ValueError: fewer than two exams on all ranks together.
        """
        with torch.autocast(exams.exam.device.type, enabled=False):
            mask, reports = gather_padded(exams.image_mask), gather_rows(texts.report)
            if len(reports) < 2:
                raise ValueError("a contrastive loss needs at least 2 exams, got 1: raise batch_size")
            exam = torch.arange(len(mask), device=mask.device)[:, None].expand_as(mask)[mask]
            scores = gather_padded(exams.images)[mask] @ reports.T / exams.temperature
            own = exam[:, None] == torch.arange(len(mask), device=mask.device)
            image_to_report, report_to_image = (
                row_losses(way, torch.ones_like(pairs), pairs)[0].mean() for way, pairs in ((scores, own), (scores.T, own.T))
            )
        return {
            "loss": (image_to_report + report_to_image) / 2,
            "image_to_report": image_to_report,
            "report_to_image": report_to_image,
        }
