"""What an evaluation writes: tables and metrics."""

from scripts.handlers.reports.exam import ExamReport as ExamReport
from scripts.handlers.reports.exam_class import ExamClassReport as ExamClassReport
from scripts.handlers.reports.image import ImageReport as ImageReport
from scripts.handlers.reports.published import PublishedAFLocReport as PublishedAFLocReport
from scripts.handlers.reports.volume import VolumeReport as VolumeReport
