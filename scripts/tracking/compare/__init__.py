"""Comparison of tracked runs."""
