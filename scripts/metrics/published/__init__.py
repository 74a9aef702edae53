"""Figures as the published codes compute them."""
