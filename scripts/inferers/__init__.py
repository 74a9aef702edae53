"""Zero-shot classification and localization."""

from scripts.inferers.anatomy_classifier import AnatomyClassifier as AnatomyClassifier
from scripts.inferers.exam_calibration import ExamCalibration as ExamCalibration
from scripts.inferers.exam_class_calibration import ExamClassCalibration as ExamClassCalibration
from scripts.inferers.exam_localizer import ExamLocalizer as ExamLocalizer
from scripts.inferers.exam_prompt_classifier import ExamPromptClassifier as ExamPromptClassifier
from scripts.inferers.exam_zero_shot import ExamZeroShot as ExamZeroShot
from scripts.inferers.exam_zero_shot import class_directions as class_directions
from scripts.inferers.image_calibration import ImageCalibration as ImageCalibration
from scripts.inferers.phrase_grounder import PhraseGrounder as PhraseGrounder
from scripts.inferers.phrase_localizer import PhraseLocalizer as PhraseLocalizer
from scripts.inferers.queries import phrase_pool as phrase_pool
from scripts.inferers.volume_calibration import VolumeCalibration as VolumeCalibration
from scripts.inferers.zero_shot_classifier import ZeroShotClassifier as ZeroShotClassifier
