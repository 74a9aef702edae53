"""The spacing of prepared volumes, from the settings beside them."""

import json

import pytest

from scripts.datalists import load_datalist
from scripts.files.errors import UserError
from scripts.preparation import check_prepared_anatomies
from scripts.preparation.spacing import prepared_spacing


def write(folder, spacings, settings="settings.json"):
    """A datalist of one volume in each of several folders prepared at these spacings; None writes no settings."""
    records = []
    for number, spacing in enumerate(spacings):
        own = folder / f"part{number}"
        (own / "volumes").mkdir(parents=True)
        if spacing is not None:
            (own / settings).write_text(spacing if isinstance(spacing, str) else json.dumps({"spacing": spacing, "window": [0, 1]}))
        image, mask = (str(own / name) for name in (f"volumes/v{number}.nii", f"masks/v{number}.nii.gz"))
        record = {"volume_id": f"v{number}", "patient_id": f"p{number}", "image": image, "anatomy_mask": mask}
        records.append({**record, "report": "The lungs are clear."})
    (folder / "datalist.json").write_text(json.dumps({"domain": "ct", "validation": records[:1], "test": records[1:]}))
    return load_datalist(folder / "datalist.json")


def test_one_spacing_of_all_folders(tmp_path):
    assert prepared_spacing(write(tmp_path, [[1, 1, 3], [1.0, 1.0, 3.0], [1, 1, 3.0]])) == [1.0, 1.0, 3.0]


def test_volumes_of_different_spacing_are_refused(tmp_path):
    with pytest.raises(UserError) as caught:
        prepared_spacing(write(tmp_path, [[1, 1, 3], [5, 5, 6.5]]))
    said = str(caught.value)
    assert str(tmp_path / "datalist.json") in said and "--spacing" in said
    assert f"{tmp_path / 'part0' / 'settings.json'} has 1 x 1 x 3 mm" in said
    assert f"{tmp_path / 'part1' / 'settings.json'} has 5 x 5 x 6.5 mm" in said


@pytest.mark.parametrize("content", [None, "{", '{"spacing": null}', '{"smallest": [1]}', '{"spacing": ["wide", 1, 1]}', "[]"])
def test_every_folder_that_does_not_tell_is_named(tmp_path, content):
    with pytest.raises(UserError) as caught:
        prepared_spacing(write(tmp_path, [content, [1, 1, 3], None]))
    said = str(caught.value)
    assert "part0" in said and "part2" in said and "part1" not in said


def test_masks_of_other_anatomies_or_another_order_are_refused(tmp_path):
    settings = json.dumps({"spacing": [1, 1, 3], "anatomies": {"lung": {"1": "lung"}, "heart": {"2": "heart"}}})
    cases = write(tmp_path, [settings, settings.replace('"heart": {', '"trachea": {')])
    with pytest.raises(UserError, match="part1 was prepared with lung, trachea") as caught:
        check_prepared_anatomies(cases, ["lung", "heart"])
    assert "part0" not in str(caught.value)
    with pytest.raises(UserError, match="must hold heart, lung, in this order"):
        check_prepared_anatomies(cases, ["heart", "lung"])
    one = write(tmp_path / "one", [settings, settings])
    check_prepared_anatomies(one, ["lung", "heart"])
