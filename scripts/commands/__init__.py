"""The verbs of `python -m scripts`."""
