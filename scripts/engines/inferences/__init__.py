"""Inferences, one a kind of case."""
