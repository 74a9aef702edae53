import pytest

from scripts.datalists.datalist import save_datalist
from scripts.datalists.listing.volume import volume_records
from scripts.files.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.nii.gz", "b.nii", "series/1.dcm", "series/2.dcm", "notes.txt"):
        file = tmp_path / "volumes" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for name in ("a.nii.gz", "b.nii.gz", "series.nii"):
        (tmp_path / "masks").mkdir(exist_ok=True)
        (tmp_path / "masks" / name).touch()
    return tmp_path


def test_a_folder_of_volumes_and_series(folder):
    records = volume_records(folder / "volumes", "ct", folder / "masks")
    assert [record["volume_id"] for record in records] == ["a", "b", "series"]
    assert [record["anatomy_mask"] for record in records] == [
        str(folder / "masks" / n) for n in ("a.nii.gz", "b.nii.gz", "series.nii")
    ]
    assert records[2]["image"] == str(folder / "volumes" / "series")


def test_one_volume_and_one_series(folder):
    (record,) = volume_records(folder / "volumes" / "b.nii", "ct", folder / "masks" / "a.nii.gz")
    assert record["volume_id"] == "b" and record["anatomy_mask"] == str(folder / "masks" / "a.nii.gz")
    (record,) = volume_records(folder / "volumes" / "series", "ct", folder / "masks")
    assert record["image"] == str(folder / "volumes" / "series")


def test_a_prepared_datalist_leads_back_to_what_was_scanned(folder):
    raw = {"image": "volumes/a.nii.gz", "anatomy_mask": "masks/a.nii.gz"}
    prepared = {"image": "x.nii", "anatomy_mask": "y.nii.gz", "source_image": raw["image"], "source_mask": raw["anatomy_mask"]}
    ids = [{"volume_id": name, "patient_id": name} for name in ("v1", "v2")]
    save_datalist(folder / "list.json", "ct", {"test": [{**ids[0], **raw}, {**ids[1], **prepared}]}, name="n", description="d")
    first, second = volume_records(folder / "list.json", "ct")
    assert first["image"] == second["image"] == str(folder / "volumes/a.nii.gz")
    assert first["anatomy_mask"] == second["anatomy_mask"] == str(folder / "masks/a.nii.gz")


def test_all_volumes_without_mask_are_named(folder):
    (folder / "masks" / "a.nii.gz").unlink()
    (folder / "masks" / "series.nii").unlink()
    with pytest.raises(UserError, match="2 volumes have no anatomy mask: a, series"):
        volume_records(folder / "volumes", "ct", folder / "masks")
    with pytest.raises(UserError, match="does not exist"):
        volume_records(folder / "nowhere", "ct")
