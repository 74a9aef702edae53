"""Encoders and the vision-language networks."""

from scripts.networks.afloc import AFLoc as AFLoc
from scripts.networks.image_encoder import ImageEmbeddings as ImageEmbeddings
from scripts.networks.image_encoder import ImageEncoder as ImageEncoder
from scripts.networks.text_encoder import TextEmbeddings as TextEmbeddings
from scripts.networks.text_encoder import TextEncoder as TextEncoder
