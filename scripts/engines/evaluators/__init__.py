"""Evaluators, one a kind of case."""
