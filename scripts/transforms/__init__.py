"""Dictionary transforms that MONAI lacks."""

from scripts.transforms.captions import Captiond as Captiond
from scripts.transforms.description import describe_transform as describe_transform
from scripts.transforms.dictionary import Letterboxd as Letterboxd
from scripts.transforms.dictionary import LoadDomainImaged as LoadDomainImaged
from scripts.transforms.dictionary import NormalizeHalfd as NormalizeHalfd
from scripts.transforms.endoscopy import LoadEndoscopyd as LoadEndoscopyd
from scripts.transforms.endoscopy import RandExamAffined as RandExamAffined
from scripts.transforms.endoscopy import RandExamColourd as RandExamColourd
from scripts.transforms.prepared_volume import LoadPreparedd as LoadPreparedd
from scripts.transforms.prepared_volume import PrepareVolumed as PrepareVolumed
from scripts.transforms.volume_augmentation import RandFlipSidesd as RandFlipSidesd
from scripts.transforms.volume_augmentation import WholeVolumed as WholeVolumed
