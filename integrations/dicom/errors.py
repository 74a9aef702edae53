"""Errors of pictures, pseudonyms and segmentations."""

from scripts.files.errors import UserError


class DicomError(UserError):
    """Something outside a single picture's file is not as it must be; says what to do."""
