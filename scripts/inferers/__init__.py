"""Zero-shot classification and localization."""

from scripts.inferers.anatomy_classifier import AnatomyClassifier as AnatomyClassifier
from scripts.inferers.calibration import Calibration as Calibration
from scripts.inferers.finding_calibration import FindingCalibration as FindingCalibration
from scripts.inferers.phrase_grounder import PhraseGrounder as PhraseGrounder
from scripts.inferers.phrase_localizer import PhraseLocalizer as PhraseLocalizer
from scripts.inferers.zero_shot_classifier import ZeroShotClassifier as ZeroShotClassifier
