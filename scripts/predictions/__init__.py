"""The document that a bundle writes: form, checks, masks."""

from scripts.predictions.model import model_facts as model_facts
from scripts.predictions.predictions import PredictionWriter as PredictionWriter
