"""Published checkpoints -> our networks; our networks -> files to hand on."""

from scripts.weights.export import export_weights as export_weights
from scripts.weights.loading import load_afloc as load_afloc
from scripts.weights.loading import load_exam_classifier as load_exam_classifier
from scripts.weights.loading import load_fvlm as load_fvlm
from scripts.weights.loading import load_nasvlm as load_nasvlm
from scripts.weights.loading import load_pretrained as load_pretrained
