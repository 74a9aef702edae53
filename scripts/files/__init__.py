"""Whole files, JSON and JSON lines, faults with file, record, value and hint; loads neither PyTorch nor MONAI."""

from scripts.files.atomic import sha256_of as sha256_of
from scripts.files.paths import beside as beside
from scripts.files.rejected import RejectionLog as RejectionLog
