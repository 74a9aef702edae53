"""Every finding, painted into one body: where it lies, what it does to the densities, and what it must not give away."""

import copy

import numpy as np
import pytest

from scripts.phantoms.ct.acquisition import Acquisition
from scripts.phantoms.ct.body import IDS, VERTEBRA_CENTRES, VERTEBRAE, Body, changed_body
from scripts.phantoms.ct.canvas import Canvas
from scripts.phantoms.ct.drawing import Contrast, draw_body
from scripts.phantoms.ct.findings import paint_findings
from scripts.phantoms.ct.lung_findings import Scene
from scripts.phantoms.ct.plan import FINDINGS, WHOLE, Plan
from scripts.reports.by_anatomy.table import AnatomyTable, read_label_table

SHAPE_OF_BODY = {"Cardiomegaly", "Aortic aneurysm", "Esophageal wall thickening", "Vertebral compression fracture"}
DARKER = {"Emphysema", "Thyroid nodule", "Hepatic steatosis", "Liver cyst", "Splenic lesion", "Pancreatic cyst", "Renal cyst"}
# Painted with contents or holes of their own: darker here, brighter there.
MIXED = {"Mosaic attenuation pattern", "Bronchiectasis", "Hiatal hernia", "Pericardial effusion", "Bowel wall thickening"}


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.draw(np.random.default_rng(4))


@pytest.fixture(scope="module")
def drawn(body) -> tuple[Canvas, Contrast]:
    canvas, contrast = draw(body)
    canvas.hu.setflags(write=False)
    return canvas, contrast


def draw(body: Body) -> tuple[Canvas, Contrast]:
    rng = np.random.default_rng(5)
    acquisition = Acquisition.draw(rng, body, WHOLE)
    contrast = Contrast.draw(rng)
    canvas = acquisition.canvas(rng, body)
    draw_body(canvas, body, contrast, rng)
    return canvas, contrast


def scene_with(plan: Plan, body: Body, drawn: tuple[Canvas, Contrast]) -> Scene:
    altered = changed_body(body, (plan,), np.random.default_rng(6))
    canvas, contrast = drawn if altered is body else draw(altered)
    own = copy.copy(canvas)
    own.hu, own.mask = canvas.hu.copy(), canvas.mask.copy()
    return Scene(own, altered, contrast)


def means(canvas: Canvas, anatomy: str) -> float:
    return float(canvas.hu[np.isin(canvas.mask, IDS[anatomy])].mean())


@pytest.mark.parametrize("label", FINDINGS)
def test_a_finding_lies_in_its_organ_on_its_side_and_can_be_seen(label, body, drawn):
    finding = FINDINGS[label]
    # A body is drawn anew for each shape, which takes time.
    for number, (side, part) in enumerate(finding.places[: 2 if label in SHAPE_OF_BODY else None]):
        plan = Plan(label, side, part, sum(finding.size) / 2)
        scene = scene_with(plan, body, drawn)
        canvas, before = scene.canvas, scene.canvas.hu.copy()
        (mask,) = paint_findings(scene, (plan,), np.random.default_rng(number))
        assert mask.sum() >= 8, plan
        organ = np.isin(canvas.mask, IDS[finding.anatomy] + (IDS["stomach"] if label == "Hiatal hernia" else ()))
        assert organ[mask].mean() > 0.85, plan
        x, _, z = canvas.coordinates[:, mask]
        if side in ("right", "left"):
            # The lobes of the liver meet right of the middle.
            assert (x.mean() > (27 if finding.anatomy == "liver" else 0)) == (side == "right"), plan
        if finding.anatomy == "lung" and part in ("upper", "lower", "apex") and label != "Atelectasis":
            # Plates in the upper lobe lie in its lingula.
            assert (z.mean() > 60) if part in ("upper", "apex") else (z.mean() < 75), plan
        if part in VERTEBRAE:
            assert abs(z.mean() - VERTEBRA_CENTRES[VERTEBRAE.index(part)]) < 12, plan
        change = canvas.hu[mask].mean() - before[mask].mean()
        if label in DARKER:
            assert change < -8, plan
        elif label not in SHAPE_OF_BODY | MIXED:
            assert change > 15, plan


@pytest.mark.parametrize("label", sorted(set(FINDINGS) - {"Hiatal hernia", "Gastric wall thickening", "Bowel wall thickening"}))
def test_the_mean_of_the_organ_does_not_tell(label, body, drawn):
    finding = FINDINGS[label]
    plan = Plan(label, *finding.places[0], sum(finding.size) / 2)
    scene = scene_with(plan, body, drawn)
    before = means(scene.canvas, finding.anatomy)
    paint_findings(scene, (plan,), np.random.default_rng(0))
    # The shift is at most 40 HU; air cannot be made darker, nor a small gland made up for wholly.
    limit = {"Pleural effusion": 30, "Tracheal secretions": 12, "Adrenal nodule": 8}.get(label, 3)
    assert abs(means(scene.canvas, finding.anatomy) - before) < limit


def test_volumes_of_altered_organs_overlap_with_those_of_others():
    """A large heart is wide but flat, an aneurysm sits on a narrow aorta: both are within what bodies vary by."""
    rng = np.random.default_rng(8)
    bodies = [Body.draw(rng) for _ in range(60)]

    def volume(body: Body) -> float:
        return float(np.prod(body.heart_radii * body.size))

    usual = [volume(body) for body in bodies]
    large = [volume(changed_body(body, (Plan("Cardiomegaly", "", "", 0),), rng)) for body in bodies]
    higher = np.mean(np.array(large)[:, None] > np.array(usual))
    assert 0.35 < higher < 0.7
    wide = [changed_body(body, (Plan("Cardiomegaly", "", "", 0),), rng).heart_radii[0] for body in bodies]
    assert min(wide) > 1.08 * max(body.heart_radii[0] for body in bodies)


def test_findings_do_not_share_voxels(body, drawn):
    plans = (
        Plan("Pleural effusion", "right", "", 24),
        Plan("Atelectasis", "right", "lower", 50),
        Plan("Lung nodule", "right", "lower", 16),
    )
    masks = paint_findings(scene_with(plans[0], body, drawn), plans, np.random.default_rng(1))
    assert all(mask.any() for mask in masks)
    assert np.sum(masks, axis=0).max() == 1


def test_mask_classes_are_those_of_the_wide_table(drawn):
    names, table = read_label_table("totalsegmentator_v2", "ct"), AnatomyTable.load("wide", "ct")
    lookup = table.lookup(names)
    canvas, _ = drawn
    for anatomy, ids in IDS.items():
        assert {table.names[lookup[i] - 1] for i in ids} == {anatomy}
        assert np.isin(canvas.mask, ids).any()
    assert names[28] == "vertebrae_L4" and names[28 + VERTEBRAE.index("T5")] == "vertebrae_T5"
    assert set(np.unique(canvas.mask)) - {0} <= {i for ids in IDS.values() for i in ids}
