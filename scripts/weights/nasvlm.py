"""NasVLM and the encoder of exams, built from what a checkpoint says of its architecture."""

from typing import Any

from scripts.networks import ExamEncoder, ImageEncoder, NasVLM, PooledTextEncoder, VisionTransformer


def build_nasvlm(architecture: dict[str, Any]) -> NasVLM:
    """The network that `NasVLM.architecture` describes, with random weights."""
    text_encoder = PooledTextEncoder(
        architecture["text_encoder"],
        embedding_size=architecture["embedding_size"],
        pooling=architecture["text_pooling"],
    )
    image_encoder = _build_image_encoder(architecture["image_encoder"])
    return NasVLM(image_encoder, text_encoder, architecture["patch_level"], architecture["attention_size"])


def build_exam_encoder(architecture: dict[str, Any]) -> ExamEncoder:
    """The encoder that `ExamEncoder.architecture` describes, with random weights."""
    image_encoder = _build_image_encoder(architecture["image_encoder"])
    return ExamEncoder(image_encoder, architecture["patch_level"], architecture["attention_size"])


def _build_image_encoder(architecture: dict[str, Any]) -> ImageEncoder | VisionTransformer:
    return VisionTransformer(**architecture) if "patch_size" in architecture else ImageEncoder(**architecture)
