"""What is drawn: fields of view, masks, sides, repeats, and what colours must not give away."""

from typing import NamedTuple

import cv2
import numpy as np
import pytest

from scripts.phantoms.nasal.camera import SITES as CAMERAS
from scripts.phantoms.nasal.camera import Camera, match_colours
from scripts.phantoms.nasal.case import PhantomExam, make_case
from scripts.phantoms.nasal.plan import CLASSES, HYPERPLASIA, MASS, OBLITERATED, REGIONS, SITES, SWOLLEN_TORUS, plan_exam
from tests.benchmarks.bench_nasal_phantoms import colour_accuracies, colour_features

TRAINED, HELD_OUT = 90, 60


class Exams(NamedTuple):
    """Exams of the first two hospitals, and of the held-out one."""

    seen: list[PhantomExam]
    held_out: list[PhantomExam]


@pytest.fixture(scope="module")
def exams() -> Exams:
    indices = [index for index in range(3 * HELD_OUT) if plan_exam(5, "test", index).site == SITES[2]][:HELD_OUT]
    return Exams([make_case(5, "training", i) for i in range(TRAINED)], [make_case(5, "test", i) for i in indices])


def test_frames_have_their_hospitals_size_and_are_black_outside_the_field_of_view(exams):
    for case in (*exams.seen[:20], *exams.held_out[:10]):
        camera = CAMERAS[case.plan.site]
        rows, columns = camera.frame
        for image in case.images:
            assert image.shape == (rows, columns, 3) and image.dtype == np.uint8
            # Beside the field of view, where no clock is.
            middle = slice(rows // 2 - 20, rows // 2 + 20)
            margin = columns // 2 - camera.field[1]
            assert not image[middle, : margin - 1].any() and not image[middle, columns - margin + 1 :].any()
            inside = image[rows // 2 - 60 : rows // 2 + 60, columns // 2 - 60 : columns // 2 + 60]
            assert inside.max() > 150 and 40 < inside.mean() < 200


def test_every_region_is_drawn_and_no_two_look_alike(exams):
    """Mean pictures of the regions, right sides, differ from each other more than from a single exam's to its own mean."""
    pictures: dict[str, list[np.ndarray]] = {region: [] for region in REGIONS}
    for case in (*exams.seen, *exams.held_out):
        for view, image in zip(case.plan.views, case.images, strict=True):
            grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (24, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
            grey = grey[:, ::-1] if view.side == "left" else grey
            pictures[view.region].append((grey - grey.mean()) / grey.std())
    assert min(map(len, pictures.values())) >= 10
    half = {region: np.mean(some[::2], axis=0) for region, some in pictures.items()}
    right, total = 0, 0
    for region, some in pictures.items():
        for picture in some[1::2]:
            right += region == max(half, key=lambda other: float((half[other] * picture).mean()))
            total += 1
    assert right / total > 0.7, right / total


def test_masks_lie_in_the_field_of_view_and_boxes_bound_them(exams):
    cameras = {site: Camera.draw(np.random.default_rng(0), site) for site in SITES}
    fields = {site: camera.framed(camera.field_of_view()) > 0.5 for site, camera in cameras.items()}
    for case in (*exams.seen, *exams.held_out):
        for finding in case.findings:
            image = case.images[finding.image_index]
            assert finding.mask.shape == image.shape[:2] and finding.mask.any()
            assert finding.box == list(cv2.boundingRect(finding.mask.astype(np.uint8)))
            assert not (finding.mask & ~fields[case.plan.site]).any()
            assert finding.plan in case.plan.seen_in(case.plan.views[finding.image_index])


def test_a_mass_hides_the_swollen_torus_behind_it_unless_it_lies_under_the_mucosa(exams):
    shared = {True: [], False: []}
    for case in (*exams.seen, *exams.held_out):
        for index in range(len(case.images)):
            masks = {f.plan.label: f.mask for f in case.findings if f.image_index == index}
            masses = [masks[label] for label in (MASS, OBLITERATED) if label in masks]
            if SWOLLEN_TORUS in masks and masses:
                shared[case.plan.form == "submucosal"].append(max(float((mask & masks[SWOLLEN_TORUS]).mean()) for mask in masses))
    assert len(shared[False]) > 5 and max(shared[False]) == 0 and max(shared[True]) > 0


def test_what_makes_the_class_is_seen_and_wide_enough(exams):
    widths = []
    for case in (*exams.seen, *exams.held_out):
        shown = {finding.plan.label for finding in case.findings}
        assert case.plan.label != "BH" or HYPERPLASIA in shown
        assert case.plan.label != "NPC" or shown & {MASS, OBLITERATED}
        field = 2 * CAMERAS[case.plan.site].field[1]
        widths += [f.box[2] / field for f in case.findings if f.plan.label in (HYPERPLASIA, MASS)]
    assert np.quantile(widths, 0.05) > 0.15 and np.median(widths) > 0.25


def test_one_sided_findings_of_the_nasopharynx_lie_on_their_side(exams):
    sides = {"right": [], "left": []}
    for case in (*exams.seen, *exams.held_out):
        for finding in case.findings:
            if case.plan.views[finding.image_index].region == "nasopharynx" and finding.plan.side:
                offset = np.nonzero(finding.mask)[1].mean() / finding.mask.shape[1] - 0.5
                sides[finding.plan.side].append(offset)
    # An examiner faces the patient: the right side is on the left of the frame.
    assert min(map(len, sides.values())) >= 10
    assert np.quantile(sides["right"], 0.9) < 0 < np.quantile(sides["left"], 0.1)


def test_repeated_frames_resemble_the_first_and_blurred_ones_are_blurred(exams):
    def small(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()

    repeats, others, sharp, blurred = [], [], [], []
    for case in exams.seen:
        for index, view in enumerate(case.plan.views):
            inner = case.images[index][70:-70, 100:-100] if case.plan.site == SITES[1] else case.images[index][70:-70, 70:-70]
            grain = cv2.Laplacian(cv2.GaussianBlur(inner, (0, 0), 1.2).astype(np.float32), cv2.CV_32F).std()
            (blurred if view.blurred else sharp).append(grain)
            for other, earlier in enumerate(case.plan.views[:index]):
                pair = np.corrcoef(small(case.images[index]), small(case.images[other]))[0, 1]
                if view.repeats == other:
                    repeats.append(pair)
                elif view.region != earlier.region:
                    others.append(pair)
    assert len(repeats) >= 20 and np.median(repeats) > 0.9 > np.quantile(others, 0.9)
    assert not any(np.isclose(repeats, 1.0, atol=1e-6))
    assert np.median(blurred) < 0.7 * np.median(sharp)


def test_match_colours_gives_the_reference_pixels_and_keeps_the_order_of_brightness():
    rng = np.random.default_rng(0)
    image, reference = (np.clip(rng.normal(m, s, (80, 90, 3)), 0, 1).astype(np.float32) for m, s in ((0.35, 0.15), (0.55, 0.1)))
    inside = np.zeros((80, 90), bool)
    inside[10:70, 15:80] = True
    before = image.copy()
    matched = match_colours(image, reference, inside)
    assert (image == before).all() and (matched[~inside] == image[~inside]).all()
    have, want = (np.array(sorted(map(tuple, pixels[inside]))) for pixels in (matched, reference))
    assert (have == want).all()
    ranks = [np.argsort(np.argsort(pixels[inside] @ (0.3, 0.55, 0.15))) for pixels in (image, matched)]
    assert np.abs(ranks[0] - ranks[1]).max() <= 2 * len(have) / 256
    # Of pixels about as bright the redder ones stay the redder.
    redness = [pixels[inside] @ (1, -0.5, -0.5) for pixels in (image, matched)]
    alike = np.abs(ranks[0] - len(have) / 2) < 200
    assert np.corrcoef(redness[0][alike], redness[1][alike])[0, 1] > 0.7


def test_colours_do_not_tell_the_class_on_the_held_out_hospital(exams):
    known, asked = ([(colour_features(case), CLASSES.index(case.plan.label)) for case in some] for some in exams)
    scores = colour_accuracies(known, asked)
    meant = {kind: score for kind, score in scores.items() if kind[0] != "fossa of rosenmueller"}
    assert len(meant) == 4 and max(meant.values()) <= 0.6, scores
