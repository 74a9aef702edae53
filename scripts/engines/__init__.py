"""Ignite trainers and evaluators for vision-language steps."""

from scripts.engines.anatomy_evaluator import AnatomyEvaluator as AnatomyEvaluator
from scripts.engines.anatomy_evaluator import calibrate_findings as calibrate_findings
from scripts.engines.anatomy_inference import AnatomyInference as AnatomyInference
from scripts.engines.batches import center_on_first_batch as center_on_first_batch
from scripts.engines.calibration import calibrate as calibrate
from scripts.engines.co_teaching import CoTeaching as CoTeaching
from scripts.engines.co_teaching import new_partner as new_partner
from scripts.engines.evaluator import VisionLanguageEvaluator as VisionLanguageEvaluator
from scripts.engines.exam_evaluator import ExamEvaluator as ExamEvaluator
from scripts.engines.exam_evaluator import calibrate_exams as calibrate_exams
from scripts.engines.exam_inference import ExamInference as ExamInference
from scripts.engines.localization_evaluator import LocalizationEvaluator as LocalizationEvaluator
from scripts.engines.phrase_inference import PhraseInference as PhraseInference
from scripts.engines.schedules import WarmupCosine as WarmupCosine
from scripts.engines.screening_evaluator import ScreeningEvaluator as ScreeningEvaluator
from scripts.engines.screening_evaluator import calibrate_screening as calibrate_screening
from scripts.engines.screening_inference import ScreeningInference as ScreeningInference
from scripts.engines.trainer import VisionLanguageTrainer as VisionLanguageTrainer
from scripts.engines.trainer import native_amp as native_amp
