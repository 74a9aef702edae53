"""Published checkpoints -> our networks; our networks -> files to hand on."""

from scripts.weights.model_file import export_afloc as export_afloc
from scripts.weights.model_file import load_afloc as load_afloc
