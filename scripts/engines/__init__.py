"""Ignite trainers and evaluators for vision-language steps."""

from scripts.engines.batches import center_on_first_batch as center_on_first_batch
from scripts.engines.calibration import calibrate_images as calibrate_images
from scripts.engines.co_teaching import CoTeaching as CoTeaching
from scripts.engines.co_teaching import new_partner as new_partner
from scripts.engines.evaluator import VisionLanguageEvaluator as VisionLanguageEvaluator
from scripts.engines.exam_class_evaluator import ExamClassEvaluator as ExamClassEvaluator
from scripts.engines.exam_class_evaluator import calibrate_exam_classes as calibrate_exam_classes
from scripts.engines.exam_class_inference import ExamClassInference as ExamClassInference
from scripts.engines.exam_evaluator import ExamEvaluator as ExamEvaluator
from scripts.engines.exam_evaluator import calibrate_exams as calibrate_exams
from scripts.engines.exam_inference import ExamInference as ExamInference
from scripts.engines.image_evaluator import ImageEvaluator as ImageEvaluator
from scripts.engines.image_inference import ImageInference as ImageInference
from scripts.engines.schedules import WarmupCosine as WarmupCosine
from scripts.engines.trainer import VisionLanguageTrainer as VisionLanguageTrainer
from scripts.engines.trainer import native_amp as native_amp
from scripts.engines.volume_evaluator import VolumeEvaluator as VolumeEvaluator
from scripts.engines.volume_evaluator import calibrate_volumes as calibrate_volumes
from scripts.engines.volume_inference import VolumeInference as VolumeInference
