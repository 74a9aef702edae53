"""The CT task without a server: what the page is given, what becomes of a review, voxel by voxel."""

import copy
import csv
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import voxel_sizes

from integrations.dicom.display import WINDOWS
from integrations.label_studio.answers.answer import Answer, Labels
from integrations.label_studio.answers.results import brush_item, choices_item, rectangle_item
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.pages import volume as ct
from integrations.label_studio.pages.parts import labels_in
from integrations.label_studio.pages.slices import Pictures, render_case, write_volume_mask
from integrations.label_studio.pages.validation import PredictionChecker
from scripts.files.read_error import ReadError
from scripts.predictions.predictions import read_predictions
from tests.integrations.volumes import SHAPE, lesion, oriented, write_predictions, write_volume

PAGE = page_of("ct")
NAMES = ("Lung nodule", "Cardiomegaly", "Pericardial effusion")
NODULE, HEART, EFFUSION = NAMES
GRIDS = [("LPS", 0.0), ("RAS", 0.0), ("PSR", 0.0), ("LPS", 21.0), ("RAS", -21.0)]
"""Stored orders of axes, upright and oblique."""


@pytest.fixture
def pushed(tmp_path):
    """Makes a volume, its prediction and its pictures; gives the case, the record, what is kept, and the items."""

    def make(axes="LPS", turn=0.0, spacing=(1.5, 1.5, 3.0)):
        record = write_volume(tmp_path / "scan.nii.gz", axes, turn, spacing)
        write_predictions(tmp_path / "predictions", {"scan": record}, axes)
        (case,) = read_predictions(tmp_path / "predictions")
        kept = render_case(case, record, tmp_path / "pictures", None, keep_phi=False)
        return case, record, kept, ct.result_of(case, Pictures.from_json(kept))

    return make


def answered_with(items, pictures, predicted=None, findings=()):
    return Answer(items, predicted, findings, {"volume": pictures.as_json()}, Labels(NAMES))


def judged(items, predicted, case, pictures):
    found = PAGE.judgements(answered_with(items, pictures, predicted, case["findings"]))
    return {one.label: one for one in found}


@pytest.mark.parametrize(("axes", "turn"), GRIDS)
def test_what_is_accepted_comes_back_voxel_by_voxel(axes, turn, pushed, tmp_path):
    case, record, kept, items = pushed(axes, turn)
    pictures = Pictures.from_json(kept)
    back = judged(items, items, case, pictures)
    assert [one.action for one in back.values()] == ["accepted"] * 3
    mask = oriented(lesion(0), np.eye(4), axes)[0]
    assert np.array_equal(back[NODULE].after.mask, mask) and back[NODULE].probability == 0.81
    assert (back[NODULE].choice, back[HEART].choice) == ("present", "absent")
    write_volume_mask(tmp_path / "mask.nii.gz", back[NODULE].after.mask, pictures)
    written, volume = nib.load(tmp_path / "mask.nii.gz"), nib.load(record["image"])
    assert np.array_equal(np.asarray(written.dataobj), mask) and written.shape == volume.shape
    assert nib.aff2axcodes(written.affine) == nib.aff2axcodes(volume.affine)
    assert np.abs(written.affine - volume.affine).max() < 1e-5
    # Where it lies in the patient does not hang on how the scan is stored.
    places = nib.affines.apply_affine(written.affine, np.argwhere(mask)).mean(0)
    straight = write_volume(tmp_path / "straight" / "scan.nii.gz", "RAS", turn)
    wanted = nib.affines.apply_affine(nib.load(straight["image"]).affine, np.argwhere(lesion(0))).mean(0)
    assert np.allclose(places, wanted, atol=1e-3)


@pytest.mark.parametrize(("axes", "turn"), GRIDS)
def test_what_is_drawn_in_another_window_lands_on_the_voxels_under_it(axes, turn, pushed):
    case, _, kept, items = pushed(axes, turn)
    pictures = Pictures.from_json(kept)
    place = lesion(5)
    stored = oriented(place, np.eye(4), axes)[0]
    drawn = [
        brush_item(picture, HEART, region=f"hand-{index}", image_index=pictures.shown.index(("bone", index)))
        for index in pictures.series.slices
        if (picture := pictures.series.picture_of(stored, index)).any()
    ]
    review = [item for item in items if item["id"] != ct.control_of(HEART)] + drawn
    back = judged(review, items, case, pictures)
    assert np.array_equal(back[HEART].after.mask, stored) and back[HEART].action == "added"
    assert PAGE.volume_masks(answered_with(review, pictures)).keys() == {NODULE, HEART}
    assert ct.labels_said(review, NAMES) == {NODULE: 1, HEART: 1, EFFUSION: 0}


def test_a_box_on_a_slice_is_its_voxels(pushed):
    case, _, kept, items = pushed("LPS", spacing=(1.5, 1.5, 3.0))
    pictures = Pictures.from_json(kept)
    box = rectangle_item([4, 6, 5, 3], pictures.sizes[0], EFFUSION, region="hand", image_index=pictures.shown.index(("lung", 4)))
    review = [item for item in items if item["id"] != ct.control_of(EFFUSION)] + [box]
    after = judged(review, items, case, pictures)[EFFUSION].after.mask
    wanted = np.zeros(SHAPE, bool)
    wanted[4:9, 6:9, 4] = True  # LPS is how pictures run: columns to the left, rows to the back
    assert np.array_equal(after, wanted)


def test_actions_tell_what_the_expert_did(pushed):
    case, _, kept, items = pushed()
    pictures = Pictures.from_json(kept)

    def answered(**answers):
        changed = [item for item in copy.deepcopy(items) if item["id"] not in {ct.control_of(name) for name in answers}]
        return changed + [choices_item(ct.control_of(name), [said]) for name, said in answers.items() if said]

    def actions(review, predicted=items):
        return {label: one.action for label, one in judged(review, predicted, case, pictures).items()}

    same = {NODULE: "accepted", HEART: "accepted", EFFUSION: "accepted"}
    assert actions(items) == same
    assert actions(answered(**{HEART: "present"})) == same | {HEART: "added"}
    assert actions(answered(**{HEART: "uncertain"})) == same | {HEART: "edited"}
    assert actions(answered(**{NODULE: "absent"})) == same | {NODULE: "rejected"}
    assert actions([]) == {NODULE: "rejected", HEART: "edited", EFFUSION: "edited"}
    fewer = [item for item in items if item["id"] != next(item["id"] for item in items if item["type"] == "brushlabels")]
    assert actions(fewer) == same | {NODULE: "edited"}
    unmarked = [item for item in items if item["type"] != "brushlabels"]
    assert actions(unmarked) == same | {NODULE: "edited"}
    assert set(actions(items, predicted=None).values()) == {"added"}


def test_what_is_said_to_be_absent_keeps_no_mask(pushed):
    case, _, kept, items = pushed()
    pictures = Pictures.from_json(kept)
    review = [item for item in items if item["id"] != ct.control_of(NODULE)] + [choices_item(ct.control_of(NODULE), ["absent"])]
    back = judged(review, items, case, pictures)[NODULE]
    assert back.before.mask.any() and back.after.mask is None and back.choice == "absent"
    assert PAGE.volume_masks(answered_with(review, pictures)) == {}
    assert ct.labels_said(review, NAMES)[NODULE] == 0


def test_uncertain_and_unanswered_findings_are_no_labels(pushed):
    _, _, _, items = pushed()
    review = [choices_item(ct.control_of(NODULE), ["uncertain"]), *[item for item in items if item["type"] == "brushlabels"]]
    assert ct.labels_said(review, NAMES) == {}


def test_the_page_opens_on_the_key_slice_and_tells_where_things_are(pushed):
    case, _, kept, items = pushed("RAS")
    pictures = Pictures.from_json(kept)
    key = case["findings"][0].key_slice
    assert pictures.shown[0] == ("lung", key)
    assert Counter(window for window, _ in pictures.shown[1:]) == dict.fromkeys(WINDOWS, SHAPE[2])
    heights = [index for window, index in pictures.shown[1:] if window == "bone"]
    assert heights == sorted(heights, reverse=True), "stored from foot to head, shown from head to foot"
    assert next(item for item in items if item.get("item_index") == 0)["value"]["brushlabels"] == [NODULE]
    data = ct.data_of(case, pictures)
    ranges = "lung 2-15, mediastinum 16-29, bone 30-43"
    assert data["attention"] == f"Images 1-1: key slices of what the model found. From head to foot: {ranges}"
    rows = list(csv.reader(io.StringIO(data["probabilities"])))
    assert rows[1:] == [[NODULE, "lung", "0.81", "1"], [HEART, "heart", "0.20", ""], [EFFUSION, "heart", "0.20", ""]]


def test_each_finding_has_a_key_picture_of_its_own(pushed):
    case, record, _, _ = pushed()
    nodule = case["findings"][0]
    other = replace(nodule, label="Pleural effusion", probability=0.9)
    case["findings"].append(other)
    pictures = Pictures.from_json(render_case(case, record, Path(record["image"]).parent / "two", None, keep_phi=False))
    assert pictures.keys == ("Pleural effusion", NODULE) and pictures.shown[0] == pictures.shown[1]
    items = ct.result_of(case, pictures)
    on_key = [item for item in items if item.get("item_index", len(pictures.keys)) < len(pictures.keys)]
    assert {item["value"]["brushlabels"][0]: item["item_index"] for item in on_key} == {"Pleural effusion": 0, NODULE: 1}
    back = judged(items, items, case, pictures)
    assert back[NODULE].action == "accepted" and np.array_equal(back[NODULE].after.mask, back["Pleural effusion"].after.mask)


def test_another_models_key_slices_are_found_among_what_is_shown(pushed, tmp_path):
    case, record, kept, _ = pushed()
    pictures = Pictures.from_json(kept)
    later = case | {"findings": [replace(case["findings"][0], key_slice=9), *case["findings"][1:]]}
    assert render_case(later, record, tmp_path / "pictures", kept, keep_phi=False) == kept
    number = int(list(csv.reader(io.StringIO(ct.data_of(later, pictures)["probabilities"])))[1][3])
    assert pictures.shown[number - 1] == ("lung", 9) and number > 1
    none_found = [replace(finding, key_slice=None, saliency=None) for finding in case["findings"]]
    assert "lung 2-15" in ct.data_of(case | {"findings": none_found}, pictures)["attention"]


def test_the_configuration_takes_the_prediction_and_keeps_earlier_labels(pushed):
    case, _, kept, items = pushed()
    xml = PAGE.configuration(Labels(("Gallstone",)) | PAGE.labels_of([case]))
    assert labels_in(xml).regions == ("Gallstone", *NAMES)
    checker = PredictionChecker(xml)
    sizes = Pictures.from_json(kept).sizes
    assert checker.faults({"score": 0.7, "result": items}, sizes) == []
    beyond = [items[0] | {"item_index": len(sizes)}]
    assert checker.faults({"score": 0.7, "result": beyond}, sizes) != []
    with pytest.raises(LabelStudioError, match="no finding to judge"):
        PAGE.configuration(Labels())


def test_controls_of_like_names_differ():
    names = ("Cyst (liver)", "Cyst, liver", "囊肿", "结石")
    assert len({ct.control_of(name) for name in names}) == 4


def test_pictures_are_made_once_and_again_where_they_are_gone(pushed, tmp_path):
    case, record, kept, _ = pushed()
    pictures = tmp_path / "pictures"
    stated = {file: file.stat().st_mtime_ns for file in pictures.rglob("*.png")}
    again = render_case(case, record, pictures, kept, keep_phi=False)
    assert again == kept and {file: file.stat().st_mtime_ns for file in pictures.rglob("*.png")} == stated
    next(iter(stated)).unlink()
    assert render_case(case, record, pictures, kept, keep_phi=False) == kept
    assert {file for file in pictures.rglob("*.png")} == set(stated)


def test_a_volume_that_changed_its_grid_is_refused(pushed, tmp_path):
    case, record, kept, _ = pushed()
    write_volume(tmp_path / "scan.nii.gz", "LPS", turn=9.0)
    with pytest.raises(ReadError, match=r"scan\.nii\.gz: lies on another grid than when it was first sent"):
        render_case(case, record, tmp_path / "pictures", kept, keep_phi=False)


def test_saliency_of_another_grid_is_named(pushed):
    case, _, kept, _ = pushed()
    finding = case["findings"][0]
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.eye(4)), finding.saliency)
    with pytest.raises(ReadError, match="has shape 5 x 5 x 5, the volume 22 x 18 x 14"):
        ct.result_of(case, Pictures.from_json(kept))


def test_a_region_on_no_picture_is_named(pushed):
    case, _, kept, items = pushed()
    pictures = Pictures.from_json(kept)
    stray = next(item for item in items if item["type"] == "brushlabels") | {"item_index": 999}
    with pytest.raises(LabelStudioError, match="is on image 1000 of 43"):
        judged([stray], items, case, pictures)


def test_a_prepared_record_outlines_the_mask_of_what_is_shown(pushed, tmp_path):
    case, record, _, _ = pushed()
    prepared = {"image": "prepared.nii", "anatomy_mask": "prepared_mask.nii", "source_image": record["image"]}
    prepared |= {"source_mask": record["anatomy_mask"]}
    kept = render_case(case, prepared, tmp_path / "others", None, keep_phi=False)
    assert kept["anatomy_mask"] == record["anatomy_mask"]
    assert voxel_sizes(np.array(kept["series"]["affine"])) == pytest.approx([1.5, 1.5, 3.0])
