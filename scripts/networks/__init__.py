"""Encoders and the vision-language networks."""

from scripts.networks.afloc import AFLoc as AFLoc
from scripts.networks.exams.classifier import ExamClassifier as ExamClassifier
from scripts.networks.exams.classifier import ExamLabels as ExamLabels
from scripts.networks.exams.classifier import ExamLogits as ExamLogits
from scripts.networks.exams.classifier import layer_decay_groups as layer_decay_groups
from scripts.networks.exams.encoder import ExamEncoder as ExamEncoder
from scripts.networks.fvlm import FVLM as FVLM
from scripts.networks.fvlm import AnatomyEmbeddings as AnatomyEmbeddings
from scripts.networks.fvlm import AnatomyTexts as AnatomyTexts
from scripts.networks.image_encoder import ImageEmbeddings as ImageEmbeddings
from scripts.networks.image_encoder import ImageEncoder as ImageEncoder
from scripts.networks.nasvlm import ExamEmbeddings as ExamEmbeddings
from scripts.networks.nasvlm import ExamTexts as ExamTexts
from scripts.networks.nasvlm import NasVLM as NasVLM
from scripts.networks.pooled_text_encoder import PooledTextEncoder as PooledTextEncoder
from scripts.networks.text_encoder import TextEmbeddings as TextEmbeddings
from scripts.networks.text_encoder import TextEncoder as TextEncoder
from scripts.networks.vision_transformer import VisionTransformer as VisionTransformer
from scripts.networks.volume_encoder import VolumeEncoder as VolumeEncoder
