"""A class for each exam: the head that fine-tuning puts on NasVLM's exam encoder."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from monai.optimizers import generate_param_groups
from torch import Tensor, nn

from scripts.networks.exams.encoder import ExamEncoder, take_rows
from scripts.networks.fvlm import l2_normalize

# Where a parameter of an image encoder stands: the stem is 0, a ResNet's stages and a ViT's blocks count from 1.
_STEM = re.compile(r"backbone\.(conv1|bn1)\.|patch_embeddings|position_embeddings")
_STAGE, _BLOCK = re.compile(r"backbone\.layer(\d+)\."), re.compile(r"blocks\.(\d+)\.")


# Of the softmax by which a prototype chooses images: `scripts.losses.exam_alignment.ASSIGNMENT_TEMPERATURE`, by which sentences
# choose them in pretraining (a test holds the two together: networks and losses do not import each other).
IMAGE_TEMPERATURE = 0.1


class ExamLogits(NamedTuple):
    """What B exams are taken for. logits: [B, C]. attention: [B, C, N], how much each image counts for each class; sums to 1 over
    images. image_mask: [B, N] bool, False for padding."""

    logits: Tensor
    attention: Tensor
    image_mask: Tensor


class ExamLabels(NamedTuple):
    """What B exams are. labels: [B] int64, a class's position."""

    labels: Tensor


class ExamClassifier(nn.Module):
    """Prototypes of classes, which choose the images that speak for them.

    A class may show in several ways (carcinoma as a mass, or as no more than a shallow fossa), so it has one or more prototypes:
    rows of a linear layer on the images' embeddings. A prototype's score is the mean of its row over the exam's images, weighted
    by a softmax of the cosines between row and images, as sentences choose images in the pretraining: a lesion that one of eight
    images shows is not averaged away. A softmax over all prototypes gives probabilities, of which a class has the mean of its
    own: its logit is the logarithm of the mean of exp(score). Embeddings are scaled so that their entries are about 1 in size.

        classifier = ExamClassifier(load_network("NasVLM", "checkpoint_best.pt").exam_encoder, ["NOR", "BH", "NPC"])

    Args:
        exam_encoder: pretrained or fresh; its patch head and its pooling are not used and are frozen.
        classes: names of the C classes.
        frozen: train the prototypes alone (a linear probe): the encoder keeps its weights and its batch statistics.
        prototypes: how many each class has, [C]; None: one each.

    Raises:
        ValueError: fewer than two classes, a repeated one, or `prototypes` that are not one or more for each class.
    """

    def __init__(
        self,
        exam_encoder: ExamEncoder,
        classes: Sequence[str],
        frozen: bool = False,
        prototypes: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if len(classes) < 2 or len(set(classes)) < len(classes):
            raise ValueError(f"a classifier needs two or more different classes, got {list(classes)}")
        self.prototypes = [1] * len(classes) if prototypes is None else list(prototypes)
        if len(self.prototypes) != len(classes) or min(self.prototypes) < 1:
            raise ValueError(f"each of {list(classes)} needs a number of prototypes, 1 or more, got {self.prototypes}")
        self.exam_encoder = exam_encoder
        self.classes = list(classes)
        self.frozen = frozen
        exam_encoder.patch_head.requires_grad_(False)
        exam_encoder.pooling.requires_grad_(False)
        if frozen:
            exam_encoder.requires_grad_(False)
        self.head = nn.Linear(exam_encoder.embedding_size, sum(self.prototypes))

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Self:
        """The network that `architecture` describes, with random weights."""
        return cls(ExamEncoder.build(architecture), architecture["classes"], prototypes=architecture["prototypes"])

    @property
    def architecture(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the weights to `build` this network again."""
        return {**self.exam_encoder.architecture, "classes": self.classes, "prototypes": self.prototypes}

    @torch.no_grad()
    def start_at(self, statements: Sequence[Tensor], temperature: float) -> None:
        """Let the prototypes begin as statements, which makes a zero-shot classifier: scores are cosines over the temperature.

        Args:
            statements: the ways in which each class shows, in words, embedded by the encoder's own NasVLM: C tensors
                [prototypes of the class, D], directions of any length, see `scripts.inferers.class_directions`.
            temperature: of that NasVLM.

        Raises:
            ValueError: another number of statements than of prototypes.
        """
        if [len(ways) for ways in statements] != self.prototypes:
            raise ValueError(f"{self.prototypes} prototypes cannot begin as {[len(ways) for ways in statements]} statements")
        self.head.weight.copy_(torch.cat(list(statements)) / (temperature * self._scale))
        self.head.bias.zero_()

    def train(self, mode: bool = True) -> "ExamClassifier":
        """As of any module, but a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.exam_encoder.eval()
        return self

    def forward(self, images: Tensor, image_index: Tensor, labels: Tensor) -> tuple[ExamLogits, ExamLabels]:
        """Classify a batch and hand on its labels [B] to the loss; images and image_index as in `ExamEncoder.forward`."""
        return self.classify(images, image_index), ExamLabels(labels)

    def classify(self, images: Tensor, image_index: Tensor) -> ExamLogits:
        """Classify exams: images [V, 3, H, W], image_index [B, N] into V, -1 for padding."""
        scores, attention = self._match(l2_normalize(self._embed(self._last_maps(images))), image_index)
        return self._join(scores, attention, image_index >= 0)[0]

    def predict_image(self, image: Tensor) -> Tensor:
        """Probabilities of classes [B, C] of exams of one image each, [B, 3, H, W]."""
        return self.classify(image, torch.arange(len(image), device=image.device)[:, None]).logits.softmax(1)

    @torch.no_grad()
    def contributions(self, images: Tensor, image_index: Tensor) -> tuple[ExamLogits, Tensor]:
        """The answer, and what each place of each image adds to each class's logit above the mean of all classes' logits.

        Once attention, lengths and the shares of a class's prototypes in it are known, the logit is linear in the cells of the last
        feature map, so it is a sum over them and a constant: no gradient is needed.

        Returns:
            logits, and [B, C, N, h, w]; 0 for padding.
        """
        maps = self._last_maps(images)
        embeddings = self._embed(maps)
        scores, attention = self._match(l2_normalize(embeddings), image_index)
        answer, shares = self._join(scores, attention, image_index >= 0)
        cells = self.exam_encoder.image_encoder.report_map(maps) / embeddings.norm(dim=1)[:, None, None, None]
        parts = torch.einsum("vdhw,kd->vkhw", cells, self.head.weight * self._scale) / cells[0, 0].numel()
        parts = take_rows(parts, image_index).transpose(1, 2) * (attention * shares[..., None])[..., None, None]
        parts = torch.stack([ways.sum(1) for ways in parts.split(self.prototypes, 1)], dim=1)
        return answer, parts - parts.mean(1, keepdim=True)

    @property
    def _scale(self) -> float:
        return self.exam_encoder.embedding_size**0.5

    def _last_maps(self, images: Tensor) -> Tensor:
        # Nothing before the prototypes is trained then, and its activations need not be kept.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.exam_encoder.image_encoder.stages(images)[-1]

    def _embed(self, maps: Tensor) -> Tensor:
        """Embeddings [V, D] of images from their last feature maps [V, C, h, w], before they are brought to length 1."""
        return self.exam_encoder.image_encoder.report_head(maps.mean((2, 3)))

    def _match(self, features: Tensor, image_index: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of P prototypes [B, P] and the images that each chooses [B, P, N], from images [V, D] of length 1."""
        by_exam = take_rows(features, image_index).mT
        cosines = (l2_normalize(self.head.weight) @ by_exam).float()
        attention = (cosines / IMAGE_TEMPERATURE).masked_fill(image_index[:, None] < 0, -torch.inf).softmax(2)
        values = (self.head.weight * self._scale) @ by_exam
        return (attention * values).sum(2) + self.head.bias, attention

    def _join(self, scores: Tensor, attention: Tensor, mask: Tensor) -> tuple[ExamLogits, Tensor]:
        """Classes from their prototypes, and the share that each prototype has in its class [B, P]."""
        by_class = scores.split(self.prototypes, 1)
        logits = torch.stack([ways.logsumexp(1) - math.log(ways.shape[1]) for ways in by_class], dim=1)
        shares = torch.cat([ways.softmax(1) for ways in by_class], dim=1)
        chosen = (attention * shares[..., None]).split(self.prototypes, 1)
        return ExamLogits(logits, torch.stack([images.sum(1) for images in chosen], dim=1), mask), shares


def layer_decay_groups(
    classifier: ExamClassifier, learning_rate: float, head_learning_rate: float, decay: float = 0.75
) -> list[dict[str, Any]]:
    """Parameter groups for fine-tuning whose learning rate falls towards the input (Bao et al., arXiv 2106.08254, appendix).

    Args:
        classifier: parameters that are frozen are left out.
        learning_rate: of the encoder's last layers (its heads and pooling), times `decay` for each stage or block before them.
        head_learning_rate: of the prototypes.
        decay: in (0, 1].

    Returns:
        groups for an optimizer, the stem's first, the head's last; groups without parameters are left out.
    """
    depths = {name: _depth(name) for name, _ in classifier.named_parameters()}
    top = max(depth for depth in depths.values() if depth is not None) + 1
    depths = {name: top if depth is None else depth for name, depth in depths.items()}
    depths |= {name: top + 1 for name in depths if name.startswith("head.")}
    rates = [*(learning_rate * decay ** (top - depth) for depth in range(top + 1)), head_learning_rate]
    matches = [lambda item, depth=depth: item[1].requires_grad and depths[item[0]] == depth for depth in range(top + 2)]
    groups = generate_param_groups(classifier, matches, ["filter"] * len(matches), rates, include_others=False)
    groups = [{**group, "params": list(group["params"])} for group in groups]
    return [group for group in groups if group["params"]]


def _depth(name: str) -> int | None:
    """Stages before a parameter; None for heads, norms and pooling at the end."""
    if _STEM.search(name):
        return 0
    if match := _STAGE.search(name):
        return int(match[1])
    return int(match[1]) + 1 if (match := _BLOCK.search(name)) else None
