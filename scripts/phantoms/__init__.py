"""Synthetic exams, films and volumes with reports and ground truth."""
