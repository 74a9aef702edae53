"""What is measured on single reviews: a model's prediction against the expert, and two experts against each other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from integrations.review.measures import box_iou, mask_overlap
from integrations.review.record import ABSENT, ACCEPTED, UNCERTAIN, Left, Review, ReviewError, Said, latest

ALL = "all"
"""Stands for all findings together."""
KAPPA, DICE, IOU, BOX_IOU, ACCEPTANCE, SECONDS = "kappa", "dice", "iou", "box_iou", "acceptance", "seconds"


@dataclass(frozen=True)
class Observation:
    """One value of one measure.

    Args:
        finding: label that it is about, or ALL.
        value: a number; of kappa the question and both answers.
        in_all: whether it counts among all findings too.
    """

    measure: str
    finding: str
    case_id: str
    patient_id: str
    value: float | tuple[str, str, str]
    in_all: bool = True


def against_model(reviews: Sequence[Review]) -> Iterator[Observation]:
    """One model's prediction against what each expert made of it.

    Args:
        reviews: that began from predictions of the same model version.

    Raises:
        ReadError: a mask that cannot be read.
        ReviewError: masks of one image in several shapes.
    """
    for review in latest(reviews, of_each_model=True):
        yield from _of_answers(review, review.answers("before"), review.answers("after"))
        yield from _of_places(review, review, review.places("before"), review.places("after"))
        about = (review.case_id, review.patient_id)
        for line in review.lines:
            if line.before is not None and _suggested(line.before):
                yield Observation(ACCEPTANCE, line.before.label, *about, float(line.action == ACCEPTED))
        if review.seconds is not None:
            yield Observation(SECONDS, ALL, *about, review.seconds)


def between_experts(reviews: Sequence[Review]) -> Iterator[Observation]:
    """Every two experts that reviewed the same case; kappa is each pair's, its mean over pairs Light's.

    Args, raises: as `against_model`; the reviews may have begun from any prediction.
    """
    # What is not ticked is absent, and an expert who began with an empty page has no line for it.
    unticked = {
        label: review.questions.unticked
        for review in reviews
        if review.questions.unticked
        for side in ("before", "after")
        for label in review.answers(side)
    }
    of_case: dict[str, list[Review]] = {}
    for review in latest(reviews, of_each_model=False):
        of_case.setdefault(review.case_id, []).append(review)
    for same in of_case.values():
        for one, other in combinations(sorted(same, key=lambda review: review.reviewer), 2):
            absent = unticked if one.questions.unticked else {}
            answers = absent | one.answers("after"), absent | other.answers("after")
            yield from _of_answers(one, *answers, f"{one.reviewer}, {other.reviewer}: ")
            yield from _of_places(one, other, one.places("after"), other.places("after"))


def each_class(observations: Iterable[Observation]) -> list[Observation]:
    """The same, and of diagnoses, which are one question of several answers, each class against the others too."""
    observations = list(observations)
    diagnoses = [one for one in observations if one.measure == KAPPA and one.finding == ALL]
    classes = sorted({answer for one in diagnoses for answer in one.value[1:]})
    for name in classes:
        for one in diagnoses:
            question, *answers = one.value
            value = (question, *(str(answer == name) for answer in answers))
            observations.append(replace(one, finding=name, value=value, in_all=False))
    return observations


def _suggested(before: Said) -> bool:
    """Whether the model said that something is there; that a finding is absent suggests nothing."""
    return bool(before.box or before.mask) or before.choice not in (None, ABSENT, UNCERTAIN)


def _of_answers(review: Review, first: Mapping[str, str], second: Mapping[str, str], pair: str = "") -> Iterator[Observation]:
    """Answers to the questions that both sides answered."""
    about = (review.case_id, review.patient_id)
    for question in [question for question in first if question in second]:
        answers = first[question], second[question]
        finding = ALL if review.questions.one_class else question
        yield Observation(KAPPA, finding, *about, (pair + question, *answers))


def _of_places(
    one: Review, other: Review, first: Mapping[tuple, list[Left]], second: Mapping[tuple, list[Left]]
) -> Iterator[Observation]:
    """Overlap of everything that both sides mark as a label on an image; what one side alone marks overlaps by 0."""
    for label, image in dict.fromkeys((*first, *second)):
        mine, theirs = first.get((label, image), []), second.get((label, image), [])
        about = (label, one.case_id, one.patient_id)
        boxes = [[place.box for place in places] for places in (mine, theirs)]
        if all(box is not None for side in boxes for box in side):
            yield Observation(BOX_IOU, *about, box_iou(*boxes) if mine and theirs else 0.0)
        if any(place.mask is None for place in (*mine, *theirs)):
            continue
        dice, iou = _overlap(one, other, mine, theirs) if mine and theirs else (0.0, 0.0)
        yield Observation(DICE, *about, dice)
        yield Observation(IOU, *about, iou)


def _overlap(one: Review, other: Review, mine: Sequence[Left], theirs: Sequence[Left]) -> tuple[float, float]:
    masks = one.mask_of(mine), other.mask_of(theirs)
    if masks[0].shape != masks[1].shape:
        raise ReviewError(
            f"case {one.case_id}: {mine[0].mask} has shape {masks[0].shape}, {theirs[0].mask} {masks[1].shape}; pull again"
        )
    return mask_overlap(*masks)
