"""The document that a bundle writes: form, checks, masks."""

from scripts.predictions.predictions import PredictionWriter as PredictionWriter
