"""Comparisons of many trainings, by the bundles' own commands."""

from scripts.studies.bundle_runs import BundleRuns as BundleRuns
from scripts.studies.label_efficiency import LabelEfficiency as LabelEfficiency
from scripts.studies.label_efficiency import describe as describe
from scripts.studies.plan import StudyPlan as StudyPlan
