import nibabel as nib
import numpy as np
import pytest

from scripts.datalists.sources import rad_chestct
from scripts.files.errors import SourceError
from scripts.files.read_error import ReadError
from scripts.reports.by_anatomy.prompts import read_anatomy_prompts

FEW = ("Emphysema", "Lung nodule", "Hiatal hernia", "Arterial wall calcification")
VOLUMES = {  # volume: table, patient, pairs that are 1
    "trn00001": ("imgtrain", "mrn1", ["nodule*thyroid", "nodule*right", "emphysema*other_location"]),
    "trn00002": ("imgtrain", "mrn2", ["nodulegr1cm*lung", "calcification*aorta", "aneurysm*heart"]),
    "val00001": ("imgvalid", "mrn3", ["hernia*diaphragm", "mass*liver"]),
    "tst00001": ("imgtest", "mrn4", []),
}


def volume(shape=(5, 4, 3)):
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 1000


def pairs():
    findings = rad_chestct.FINDINGS.values()
    return list(dict.fromkeys(f"{name}*{place}" for names, places in findings for name in names for place in places))


def write_tables(root, table, volumes):
    columns = pairs()
    rows = [f"{name}.npz,{name},{patient},0.8" for name, (_, patient, _) in volumes.items()]
    table(root / rad_chestct.METADATA, "VolumeAcc_DEID,NoteAcc_DEID,MRN_DEID,final_spacing", *rows)
    for prefix in rad_chestct.TABLES.values():
        listed = {name: found for name, (own, _, found) in volumes.items() if own == prefix}
        rows = [",".join([name, *("1" if pair in found else "0" for pair in columns), "1"]) for name, found in listed.items()]
        path = root / f"{prefix}_Abnormality_and_Location_Labels.csv"
        table(path, ",".join(["NoteAcc_DEID", *columns, "arthritis*spine"]), *rows)


@pytest.fixture
def few_findings(monkeypatch):
    """The real tables have thousands of columns; most tests are about other things."""
    monkeypatch.setattr(rad_chestct, "FINDINGS", {label: rad_chestct.FINDINGS[label] for label in FEW})


@pytest.fixture
def rad_chestct_dir(few_findings, tmp_path, table):
    return lay_out(tmp_path / "rad", table)


def lay_out(root, table):
    write_tables(root, table, VOLUMES)
    for name in VOLUMES:
        np.savez_compressed(root / f"{name}.npz", ct=volume())
    return root


def test_convert_volume_puts_every_voxel_where_the_patient_has_it(tmp_path):
    ct = np.zeros((5, 4, 3), np.int16)
    ct[0, 0, 0], ct[4, 0, 0], ct[0, 3, 0], ct[0, 0, 2] = 1, 2, 3, 4  # top front right, bottom, back, left
    np.savez_compressed(tmp_path / "a.npz", ct=ct)
    rad_chestct.convert_volume(tmp_path / "a.npz", tmp_path / "new" / "a.nii.gz")
    image = nib.load(tmp_path / "new" / "a.nii.gz")
    values = np.asarray(image.dataobj)
    assert values.shape == (3, 4, 5) and values.dtype == np.int16
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.allclose(image.header.get_zooms(), 0.8) and image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-6)
    assert (image.header["qform_code"], image.header["sform_code"]) == (1, 1)
    # In NIfTI's world x grows to the patient's right, y to the front, z to the head.
    top, bottom, back, left = (nib.affines.apply_affine(image.affine, np.argwhere(values == mark)[0]) for mark in (1, 2, 3, 4))
    np.testing.assert_allclose(bottom - top, [0, 0, -3.2], atol=1e-6)
    np.testing.assert_allclose(back - top, [0, -2.4, 0], atol=1e-6)
    np.testing.assert_allclose(left - top, [-1.6, 0, 0], atol=1e-6)


def test_convert_volume_says_what_is_wrong(tmp_path):
    np.savez(tmp_path / "other.npz", image=volume())
    np.savez(tmp_path / "pickled.npz", ct=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "float.npz", ct=volume().astype(np.float32))
    np.savez(tmp_path / "flat.npz", ct=volume()[0])
    np.savez_compressed(tmp_path / "whole.npz", ct=volume((50, 40, 30)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:5000])
    (tmp_path / "text.npz").write_text("Not found")
    with (tmp_path / "lone.npz").open("wb") as file:
        np.save(file, volume())
    for name in ("other", "pickled", "cut", "text", "lone", "none"):
        with pytest.raises(ReadError, match=f'{name}.npz: holds no array "ct" that can be read'):
            rad_chestct.convert_volume(tmp_path / f"{name}.npz", tmp_path / "x.nii.gz")
    with pytest.raises(ReadError, match=r'float.npz: "ct" is float32 \(5, 4, 3\)'):
        rad_chestct.convert_volume(tmp_path / "float.npz", tmp_path / "x.nii.gz")
    with pytest.raises(ReadError, match=r'flat.npz: "ct" is int16 \(4, 3\)'):
        rad_chestct.convert_volume(tmp_path / "flat.npz", tmp_path / "x.nii.gz")
    assert not (tmp_path / "x.nii.gz").exists()


def test_records(tmp_path, table):
    splits = rad_chestct.build(lay_out(tmp_path / "rad", table), tmp_path / "nifti")
    assert splits["training"] == splits["validation"] == []
    records = {record["volume_id"]: record for record in splits["test"]}
    assert list(records) == list(VOLUMES)
    assert {key: records["trn00001"][key] for key in ("patient_id", "image")} == {
        "patient_id": "mrn1",
        "image": str(tmp_path / "nifti/trn00001.nii.gz"),
    }
    found = {name: {label for label, value in r["labels"].items() if value} for name, r in records.items()}
    assert found == {
        "trn00001": {"Emphysema"},  # its nodule is the thyroid's
        "trn00002": {"Lung nodule", "Arterial wall calcification"},
        "val00001": {"Hiatal hernia"},
        "tst00001": set(),
    }
    assert all(type(value) is int for record in splits["test"] for value in record["labels"].values())
    assert nib.load(records["tst00001"]["image"]).shape == (3, 4, 5)


def test_owner_splits_and_masks(rad_chestct_dir, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/val00001.nii.gz").touch()
    splits = rad_chestct.build(rad_chestct_dir, tmp_path / "nifti", owner_splits=True, masks=tmp_path / "masks")
    names = {split: [record["volume_id"] for record in records] for split, records in splits.items()}
    assert names == {"training": ["trn00001", "trn00002"], "validation": ["val00001"], "test": ["tst00001"]}
    assert splits["validation"][0]["anatomy_mask"] == str(tmp_path / "masks/val00001.nii.gz")
    assert "anatomy_mask" not in splits["test"][0]


def test_converted_volumes_are_not_made_again(rad_chestct_dir, tmp_path):
    first = rad_chestct.build(rad_chestct_dir, tmp_path / "nifti")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "nifti").iterdir()}
    for path in rad_chestct_dir.glob("trn*.npz"):
        path.unlink()
    assert rad_chestct.build(rad_chestct_dir, tmp_path / "nifti") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "nifti").iterdir()} == made


def test_missing_and_damaged_volumes(rad_chestct_dir, tmp_path):
    (rad_chestct_dir / "trn00001.npz").unlink()
    with pytest.raises(SourceError, match=r"image files missing \(1\): trn00001.npz"):
        rad_chestct.build(rad_chestct_dir, tmp_path / "nifti")
    assert not (tmp_path / "nifti").exists()
    (rad_chestct_dir / "val00001.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(SourceError, match=r"volumes cannot be converted: val00001.npz \(holds no array.*the others are done"):
        rad_chestct.build(rad_chestct_dir, tmp_path / "nifti", skip_missing=True)
    assert sorted(path.name for path in (tmp_path / "nifti").iterdir()) == ["trn00002.nii.gz", "tst00001.nii.gz"]


def test_faults_at_once(rad_chestct_dir, tmp_path, table):
    write_tables(rad_chestct_dir, table, VOLUMES | {"val00002": ("imgvalid", "", [])})
    path = rad_chestct_dir / "imgtrain_Abnormality_and_Location_Labels.csv"
    first, *rows = path.read_text().splitlines()
    table(path, first, rows[0][:-1] + "1", "tst00001,2,x" + ",0" * (len(pairs()) - 1))
    (rad_chestct_dir / "imgtest_Abnormality_and_Location_Labels.csv").write_text("NoteAcc_DEID,emphysema*lung\ntst00001,0\n")
    with pytest.raises(SourceError) as raised:
        rad_chestct.build(rad_chestct_dir, tmp_path / "nifti")
    text = str(raised.value)
    assert f"column {pairs()[0]} is neither 0 nor 1: tst00001 (2)" in text
    assert f"column {pairs()[1]} is not a number: tst00001 ('x')" in text
    assert "imgtest_Abnormality_and_Location_Labels.csv: columns missing: " in text
    assert "MRN_DEID is missing for labelled volumes: val00002" in text


def test_a_volume_in_two_tables(rad_chestct_dir, tmp_path):
    valid, test = (rad_chestct_dir / f"{name}_Abnormality_and_Location_Labels.csv" for name in ("imgvalid", "imgtest"))
    test.write_text(valid.read_text())
    with pytest.raises(SourceError, match="volumes are in several tables: val00001"):
        rad_chestct.build(rad_chestct_dir, tmp_path / "nifti")


def test_the_prompt_table_asks_for_these_labels():
    prompts = read_anatomy_prompts("rad_chestct", "ct", anatomies=("lung", "heart", "esophagus", "aorta"))
    assert [prompt.label for prompt in prompts] == list(rad_chestct.FINDINGS)
    assert len(rad_chestct.ANYWHERE) == len(set(rad_chestct.ANYWHERE)) == 52
