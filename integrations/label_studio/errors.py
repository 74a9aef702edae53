"""Errors of the way to Label Studio and back."""

from scripts.files.errors import UserError


class LabelStudioError(UserError):
    """Label Studio cannot be reached, or does not take what it is given; says what to do."""
