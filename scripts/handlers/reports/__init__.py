"""What an evaluation writes: tables and metrics."""

from scripts.handlers.reports.classification import ClassificationReport as ClassificationReport
from scripts.handlers.reports.exam import ExamReport as ExamReport
from scripts.handlers.reports.localization import LocalizationReport as LocalizationReport
from scripts.handlers.reports.published import PublishedAFLocReport as PublishedAFLocReport
from scripts.handlers.reports.screening import ScreeningReport as ScreeningReport
