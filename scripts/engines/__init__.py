"""Ignite trainers and evaluators for vision-language steps."""

from scripts.engines.anatomy_evaluator import AnatomyEvaluator as AnatomyEvaluator
from scripts.engines.anatomy_evaluator import calibrate_findings as calibrate_findings
from scripts.engines.anatomy_inference import AnatomyInference as AnatomyInference
from scripts.engines.batches import center_on_first_batch as center_on_first_batch
from scripts.engines.calibration import calibrate as calibrate
from scripts.engines.evaluator import VisionLanguageEvaluator as VisionLanguageEvaluator
from scripts.engines.localization_evaluator import LocalizationEvaluator as LocalizationEvaluator
from scripts.engines.phrase_inference import PhraseInference as PhraseInference
from scripts.engines.schedules import WarmupCosine as WarmupCosine
from scripts.engines.trainer import VisionLanguageTrainer as VisionLanguageTrainer
