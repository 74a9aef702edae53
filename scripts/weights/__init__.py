"""Published checkpoints -> our networks; our networks -> files to hand on."""

from scripts.weights.model_file import export_weights as export_weights
from scripts.weights.model_file import load_afloc as load_afloc
from scripts.weights.model_file import load_fvlm as load_fvlm
