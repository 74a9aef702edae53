"""Encoders and the vision-language networks."""

from scripts.networks.afloc import AFLoc as AFLoc
from scripts.networks.anatomy_text_encoder import AnatomyTextEncoder as AnatomyTextEncoder
from scripts.networks.fvlm import FVLM as FVLM
from scripts.networks.fvlm import AnatomyEmbeddings as AnatomyEmbeddings
from scripts.networks.fvlm import AnatomyTexts as AnatomyTexts
from scripts.networks.image_encoder import ImageEmbeddings as ImageEmbeddings
from scripts.networks.image_encoder import ImageEncoder as ImageEncoder
from scripts.networks.text_encoder import TextEmbeddings as TextEmbeddings
from scripts.networks.text_encoder import TextEncoder as TextEncoder
from scripts.networks.volume_encoder import VolumeEncoder as VolumeEncoder
