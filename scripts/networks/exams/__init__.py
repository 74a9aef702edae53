"""Encoders and classifier of exams."""
