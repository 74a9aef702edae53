"""Anatomy and label tables: the built-in ones, and everything that can be wrong with one."""

import csv
import json
import logging

import numpy as np
import pytest

from scripts.reports.by_anatomy.table import Anatomy, AnatomyTable, AnatomyTableError, normal_template, read_label_table

WIDE = ["lung", "trachea", "heart", "aorta", "esophagus", "thyroid", "liver", "gallbladder", "spleen", "pancreas", "adrenal gland"]
WIDE += ["kidney", "stomach", "bowel", "spine"]


@pytest.fixture(scope="module")
def structures():
    return read_label_table("totalsegmentator_v2", "ct")


def write(folder, content):
    path = folder / "table.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_totalsegmentator_has_its_117_classes(structures):
    assert sorted(structures) == list(range(1, 118)) and len(set(structures.values())) == 117
    known = {1: "spleen", 5: "liver", 15: "esophagus", 16: "trachea", 17: "thyroid_gland", 25: "sacrum", 44: "vertebrae_C7"}
    known |= {51: "heart", 52: "aorta", 61: "atrial_appendage_left", 79: "spinal_cord", 92: "rib_left_1", 103: "rib_left_12"}
    known |= {104: "rib_right_1", 115: "rib_right_12", 116: "sternum", 117: "costal_cartilages"}
    assert {value: structures[value] for value in known} == known


def test_totalsegmentator_names_agree_with_real_masks(shared_data, structures):
    with open(shared_data / "ct/manifest.csv", newline="", encoding="utf-8") as file:
        tables = [json.loads(row["labels"]) for row in csv.DictReader(file) if row["labels"].startswith('{"1": "spleen"')]
    assert tables
    for table in tables:
        assert table == {value: structures[int(value)] for value in table}


def test_ct_rate_merges_structures_as_published(structures):
    table = AnatomyTable.load("ct_rate", "ct")
    assert table.names == ["lung", "heart", "esophagus", "aorta"]
    expected = np.zeros(118, np.uint8)
    expected[10:15], expected[[51, 61]], expected[15], expected[52] = 1, 2, 3, 4
    lookup = table.lookup(structures)
    assert lookup.dtype == np.uint8 and np.array_equal(lookup, expected)


def test_wide_covers_15_anatomies_with_known_structures(structures):
    table = AnatomyTable.load("wide", "ct")
    assert table.names == WIDE
    lookup = table.lookup(structures)
    assert set(lookup) == set(range(16))
    named = [name for anatomy in table.anatomies for name in anatomy.structures]
    assert set(named) <= set(structures.values())  # a misspelt structure would leave voxels out
    assert np.count_nonzero(lookup) == len(named)
    assert lookup[23] == lookup[2] == WIDE.index("kidney") + 1
    assert lookup[79] == 0  # the spinal cord is not the spine


def test_lookup_of_another_segmentation(caplog):
    table = AnatomyTable((Anatomy("lung", ("lung_left", "lung_right"), ("lung",)), Anatomy("heart", ("heart",), ("heart",))), "ct")
    with caplog.at_level(logging.WARNING):
        lookup = table.lookup({300: "lung_left", 2: "lung_right", 7: "tumour"})
    assert len(lookup) == 301 and lookup[300] == lookup[2] == 1 and lookup.sum() == 2
    assert "no structure of heart" in caplog.text
    with pytest.raises(AnatomyTableError, match="lung, heart"):
        table.lookup({1: "femur_left"})


def test_template():
    assert normal_template("adrenal gland") == "adrenal gland shows no significant abnormalities."


def test_a_table_of_ones_own(tmp_path):
    entry = {"name": "bladder", "structures": ["urinary_bladder"], "parts": [], "terms": ["bladder", "vesical"]}
    table = AnatomyTable.load(write(tmp_path, {"anatomies": [entry]}), "ct")
    assert table.anatomies == (Anatomy("bladder", ("urinary_bladder",), (), ("bladder", "vesical")),)


def test_all_faults_of_a_table_at_once(tmp_path):
    entries = [
        {"name": "lung", "structures": [], "parts": ["lungs"]},
        {"structures": ["heart"], "parts": ["heart"], "colour": "red"},
        {"name": "aorta", "structures": ["aorta", 7], "parts": [], "terms": ["..."]},
        {"name": "liver", "structures": ["liver"], "parts": []},
        "spleen",
    ]
    path = write(tmp_path, {"anatomies": entries})
    with pytest.raises(AnatomyTableError) as caught:
        AnatomyTable.load(path, "ct")
    message = str(caught.value)
    for part in (
        str(path),
        'lung, parts[0] = "lungs": is not among',
        'perhaps "lung" is meant',
        "lung, structures = []",
        "[1], name: is required",
        'colour = "red"',
        "aorta, structures[1] = 7: is a number, not text",
        'aorta, terms[0] = "...": holds no letter',
        "liver, parts = []: no sentence of a report could be on it",
        '[4] = "spleen"',
    ):
        assert part in message, message


def test_names_and_structures_stand_once(tmp_path):
    entries = [
        {"name": "lung", "structures": ["heart", "aorta"], "parts": ["lung"]},
        {"name": "lung", "structures": ["heart"], "parts": ["lung"]},
    ]
    with pytest.raises(AnatomyTableError) as caught:
        AnatomyTable.load(write(tmp_path, {"anatomies": entries}), "ct")
    assert '"lung": names 2 anatomies' in str(caught.value) and '"heart": stands 2 times' in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "{}", '{"anatomies": []}', '{"anatomies": {}, "more": 1}', "{", "\xe9"])
def test_not_a_table(tmp_path, content):
    path = tmp_path / "table.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(AnatomyTableError, match=r"table\.json"):
        AnatomyTable.load(path, "ct")


def test_no_such_table(tmp_path):
    with pytest.raises(AnatomyTableError, match="built-in one: ct_rate, totalsegmentator_v2, wide"):
        AnatomyTable.load("ct_rats", "ct")
    with pytest.raises(AnatomyTableError, match=r"missing\.json: cannot be opened \(No such file"):
        read_label_table(tmp_path / "missing.json", "ct")
    with pytest.raises(AnatomyTableError, match="not an object with the one key anatomies"):
        AnatomyTable.load("totalsegmentator_v2", "ct")


def test_all_faults_of_a_label_table_at_once(tmp_path):
    path = write(tmp_path, {"0": "background", "1": "lung", "two": "heart", "3": "", "-4": 5})
    with pytest.raises(AnatomyTableError) as caught:
        read_label_table(path, "ct")
    message = str(caught.value)
    for value in ("0", "two", "-4"):
        assert f'{path} = "{value}": is no whole number above 0' in message
    assert "-4 = 5: is a number, not text" in message and '3 = ""' in message and "5 faults" in message and '"lung"' not in message
    assert read_label_table(write(tmp_path, {"1": "lung", "20": "lung"}), "ct") == {1: "lung", 20: "lung"}
    for content in ([], {}, "x"):
        with pytest.raises(AnatomyTableError, match="structures by mask value"):
            read_label_table(write(tmp_path, json.dumps(content)), "ct")


@pytest.mark.parametrize(
    "names", [["lung", "heart"], ["heart", "lung", "esophagus", "aorta"], ["lung", "heart", "esophagus", "liver"]]
)
def test_a_table_of_other_anatomies_than_the_networks_is_refused(names):
    """Another order as well: mask values are positions."""
    with pytest.raises(AnatomyTableError) as caught:
        AnatomyTable.load("ct_rate", "ct", names)
    said = str(caught.value)
    assert f"has lung, heart, esophagus, aorta, the network knows {', '.join(names)}: give the --anatomies" in said


def test_the_networks_own_table_is_taken():
    assert AnatomyTable.load("wide", "ct", tuple(WIDE)) == AnatomyTable.load("wide", "ct")
