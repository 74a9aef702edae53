"""Reading films and volumes, and dictionary transforms that MONAI lacks."""

from scripts.transforms.dictionary import Letterboxd as Letterboxd
from scripts.transforms.dictionary import LoadFilmd as LoadFilmd
from scripts.transforms.dictionary import NormalizeHalfd as NormalizeHalfd
