"""Published checkpoints -> our networks; our networks -> files to hand on."""

from scripts.weights.export import export_weights as export_weights
from scripts.weights.loading import load_network as load_network
