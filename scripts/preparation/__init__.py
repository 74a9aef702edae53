"""CT volumes prepared for training: segmentation, resampling, texts by anatomy, storage."""

from scripts.preparation.spacing import check_prepared_anatomies as check_prepared_anatomies
from scripts.preparation.spacing import prepared_spacing as prepared_spacing
