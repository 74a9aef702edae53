"""Localization, classification, retrieval and bootstrap intervals."""

from scripts.metrics.retrieval import RetrievalRecall as RetrievalRecall
