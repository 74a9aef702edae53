"""Experts' reviews: their record, and how far models and experts agree. Nothing of one tool."""
