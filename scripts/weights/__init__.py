"""Published checkpoints -> our networks."""

from scripts.weights.model_file import load_afloc as load_afloc
