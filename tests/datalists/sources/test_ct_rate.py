import logging

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scripts.datalists.sources import ct_rate
from scripts.datalists.sources.ct_records import joined_report
from scripts.files.errors import SourceError
from scripts.reports.sections import report_sections

HEADER = "VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN"
TEXTS = {  # VolumeName without .nii.gz: findings, impression
    "train_1_a_1": ("Heart size is normal.  Nodule in the\n right lung.", "Lung nodule."),
    "train_1_a_2": ("Heart size is normal.  Nodule in the\n right lung.", "Lung nodule."),
    "train_2_a_10": ("Emphysema, mild.", ""),
    "train_2_a_9": ("Emphysema, mild.", ""),
    "train_2_b_1": ("", "Normal."),
    "train_3_a_1": ("Skull.", "Skull."),
    "train_4_a_1": ("Without spacing.", "x"),
    "train_5_a_1": ("", " "),
    "valid_1_a_1": ("Pleural effusion.", "Effusion."),
    "valid_2_a_1": ("", ""),
}
PLACE = {"train": ("train_reports.csv", "train_metadata.csv"), "valid": ("validation_reports.csv", "validation_metadata.csv")}


def path_of(root, name):
    patient, scan, _ = name.rsplit("_", 2)
    return root / patient / f"{patient}_{scan}" / f"{name}.nii.gz"


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture
def ct_rate_dir(tmp_path, table):
    root = tmp_path / "ct-rate"
    for owner, (reports, metadata) in PLACE.items():
        names = [name for name in TEXTS if name.startswith(owner)]
        rows = [f'{n}.nii.gz,cough,non-contrast,"{TEXTS[n][0]}","{TEXTS[n][1]}"' for n in names]
        table(root / "dataset/radiology_text_reports" / reports, HEADER, *rows)
        spacing = ['"[0.75, 0.75]",' + ("" if n == "train_4_a_1" else "1.5") for n in names]
        rows = [f"{n}.nii.gz,Philips,{s}" for n, s in zip(names, spacing, strict=True)]
        table(root / "dataset/metadata" / metadata, "VolumeName,Manufacturer,XYSpacing,ZSpacing", *rows)
        rows = [f"{n}.nii.gz," + ",".join("1" if n[-1] == "1" and i == 9 else "0" for i in range(18)) for n in names]
        labels = root / f"dataset/multi_abnormality_labels/{owner}_predicted_labels.csv"
        table(labels, "VolumeName," + ",".join(ct_rate.LABELS), *rows)
        for name in names:
            touch(path_of(root / f"dataset/{owner}_fixed", name))
    table(root / "dataset/metadata/no_chest_train.txt", "train/train_3/train_3_a/train_3_a_1.nii.gz")
    table(root / "dataset/metadata/no_chest_valid.txt", "")
    return root


def records_of(splits):
    return {record["volume_id"]: record for records in splits.values() for record in records}


def test_records(ct_rate_dir, caplog):
    caplog.set_level(logging.INFO)
    splits = ct_rate.build(ct_rate_dir, validation=0.5)
    assert [record["volume_id"] for record in splits["test"]] == ["valid_1_a_1", "valid_2_a_1"]
    rest = {record["volume_id"] for record in splits["training"] + splits["validation"]}
    assert rest == {"train_1_a_1", "train_1_a_2", "train_2_a_10", "train_2_a_9", "train_2_b_1"}
    people = [{record["patient_id"] for record in splits[name]} for name in ("training", "validation")]
    assert sorted(map(sorted, people)) == [["train_1"], ["train_2"]]
    records = records_of(splits)
    first = records["train_1_a_1"]
    assert first == {
        "volume_id": "train_1_a_1",
        "patient_id": "train_1",
        "image": str(ct_rate_dir / "dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"),
        "report": "FINDINGS: Heart size is normal. Nodule in the right lung.\nIMPRESSION: Lung nodule.",
        "labels": {label: int(label == "Lung nodule") for label in ct_rate.LABELS},
    }
    assert not any(records["train_2_a_9"]["labels"].values())
    assert records["train_2_b_1"]["report"] == "IMPRESSION: Normal."
    assert "report" not in records["valid_2_a_1"] and records["valid_2_a_1"]["labels"]["Lung nodule"] == 1
    for told in ("1 of 8 volumes of train show a head", "1 of 8 volumes of train have no slice spacing", "have no report"):
        assert told in caplog.text
    assert ct_rate.build(ct_rate_dir / "dataset", validation=0.5) == splits


def test_first_reconstruction_is_the_lowest_number(ct_rate_dir):
    records = records_of(ct_rate.build(ct_rate_dir, first_reconstruction=True, validation=0.5))
    assert set(records) == {"train_1_a_1", "train_2_a_9", "train_2_b_1", "valid_1_a_1", "valid_2_a_1"}


def test_masks(ct_rate_dir, tmp_path, caplog):
    ct_rate.build(ct_rate_dir, validation=0.5)
    assert "no masks, because there is no" in caplog.text
    own = ct_rate_dir / "dataset/ts_seg/ts_total"
    mask = touch(path_of(own / "valid_fixed", "valid_1_a_1"))
    records = records_of(ct_rate.build(ct_rate_dir, validation=0.5))
    assert records["valid_1_a_1"]["anatomy_mask"] == str(mask)
    assert [name for name, record in records.items() if "anatomy_mask" in record] == ["valid_1_a_1"]
    assert "6 of 7 volumes have no mask" in caplog.text
    others = touch(tmp_path / "masks/train_1_a_2.nii")
    records = records_of(ct_rate.build(ct_rate_dir, masks=tmp_path / "masks", validation=0.5))
    assert {name: record["anatomy_mask"] for name, record in records.items() if "anatomy_mask" in record} == {
        "train_1_a_2": str(others)
    }
    touch(tmp_path / "masks/again/train_1_a_2.nii.gz")
    with pytest.raises(SourceError, match="several masks of one volume: train_1_a_2"):
        ct_rate.build(ct_rate_dir, masks=tmp_path / "masks", validation=0.5)
    with pytest.raises(SourceError, match="nowhere: not found"):
        ct_rate.build(ct_rate_dir, masks=tmp_path / "nowhere", validation=0.5)


def test_faults_at_once(ct_rate_dir, table):
    data = ct_rate_dir / "dataset"
    (data / "metadata/no_chest_train.txt").unlink()
    table(data / "metadata/train_metadata.csv", "VolumeName,ZSpacing", "train_1_a_1.nii.gz,1")
    table(data / "radiology_text_reports/train_reports.csv", HEADER, "valid_9_a_1.nii.gz,,,a,b", "train_1.nii.gz,,,a,b")
    twice = ["valid_1_a_1.nii.gz" + ",2" + 17 * ",0", "valid_1_a_1.nii.gz" + 18 * ","]
    table(data / "multi_abnormality_labels/valid_predicted_labels.csv", "VolumeName," + ",".join(ct_rate.LABELS), *twice)
    with pytest.raises(SourceError) as raised:
        ct_rate.build(ct_rate_dir)
    text = str(raised.value)
    assert "no_chest_train.txt: not found. Way out: download it from huggingface.co" in text
    assert "train_metadata.csv: columns missing: XYSpacing" in text
    assert "train_<patient>_<scan>_<reconstruction>.nii.gz: valid_9_a_1.nii.gz, train_1.nii.gz" in text
    assert "valid_predicted_labels.csv: VolumeName occurs more than once: valid_1_a_1.nii.gz" in text
    assert "column Medical material is neither 0 nor 1: valid_1_a_1.nii.gz ('2')" in text
    assert "ct-rate: 5 faults" in text


def test_volumes_as_first_released_are_refused(ct_rate_dir):
    data = ct_rate_dir / "dataset"
    (data / "train_fixed").rename(data / "train")
    with pytest.raises(SourceError, match=r"train_fixed: not found, only train/.*fix_metadata.py.*--fixed=False"):
        ct_rate.build(ct_rate_dir)


def test_volumes_corrected_under_their_old_names(ct_rate_dir):
    data = ct_rate_dir / "dataset"
    volumes = {}
    for owner in PLACE:
        (data / f"{owner}_fixed").rename(data / owner)
        for path in (data / owner).rglob("*.nii.gz"):
            volumes[path.name] = path
            nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.diag([-0.75, -0.75, 1.5, 1])), path)
    assert len(records_of(ct_rate.build(ct_rate_dir, fixed=False, validation=0.5))) == 7
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)), volumes["train_1_a_2.nii.gz"])
    volumes["valid_1_a_1.nii.gz"].write_bytes(b"cut")
    with pytest.raises(SourceError) as raised:
        ct_rate.build(ct_rate_dir, fixed=False)
    assert "train: volumes have not the spacing that the metadata gives: train_1_a_2.nii.gz (1 x 1 x 1 mm)" in str(raised.value)
    assert "valid_1_a_1.nii.gz (" in str(raised.value)


def test_missing_volumes(ct_rate_dir):
    path_of(ct_rate_dir / "dataset/train_fixed", "train_1_a_1").unlink()
    with pytest.raises(SourceError, match=r"image files missing \(1\): train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"):
        ct_rate.build(ct_rate_dir)
    assert "train_1_a_1" not in records_of(ct_rate.build(ct_rate_dir, skip_missing=True, validation=0.5))


def test_a_download_of_the_validation_set_alone(ct_rate_dir):
    data = ct_rate_dir / "dataset"
    (data / "train_fixed").rename(ct_rate_dir / "elsewhere")
    splits = ct_rate.build(ct_rate_dir, skip_missing=True)
    assert {name: len(records) for name, records in splits.items()} == {"training": 0, "validation": 0, "test": 2}
    (data / "valid_fixed").rename(ct_rate_dir / "elsewhere too")
    with pytest.raises(SourceError, match="no volume in it"):
        ct_rate.build(ct_rate_dir, skip_missing=True)


def test_sections_of_real_reports_are_found_again(shared_data):
    texts = pd.read_csv(shared_data / "ct/reports_text_only/ctrate_train_40.csv")["report_text"]
    for text in texts:
        findings, _, impression = text.partition('"')
        sections = report_sections(joined_report(findings, impression))
        assert sections["findings"] == " ".join(findings.split()).strip(" ,")
        assert sections["impression"] == " ".join(impression.split()).strip(" ,")
        assert not sections["others"]
