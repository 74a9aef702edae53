"""The CT bundle's inference on real scans with the masks that came with them: TotalSegmentator's, a radiotherapy plan's."""

import json

import nibabel as nib
import numpy as np
import pytest

from scripts.predictions.predictions import read_predictions
from tests.bundles.commands import Bundle

pytestmark = pytest.mark.slow
CT = Bundle("ct_anatomy_zeroshot")
LUNGS = {"1": "lung_upper_lobe_left", "2": "lung_upper_lobe_right", "3": "spinal_cord", "4": "tumour"}
HEAD_AND_NECK = ["spinal_cord", "brainstem", "larynx", "esophagus", "mandible", "parotid_left", "parotid_right"]
SCANS = {
    "torso": (["tsA_torso", "tsA_torso_sm"], None, {"liver", "kidney", "bowel", "aorta", "spine"}),
    "lungs": (["lung1_001"], LUNGS, {"lung"}),
    "neck": (
        ["openkbp_pt_187", "openkbp_pt_200", "openkbp_pt_201"],
        {str(value): name for value, name in enumerate(HEAD_AND_NECK, 1)},
        {"esophagus"},
    ),
}


def lay_out(shared_data, folder, names):
    """Scans and masks in a folder each, named alike, as inference takes them."""
    for kind, file in (("volumes", "ct"), ("masks", "seg")):
        (folder / kind).mkdir(parents=True)
        for name in names:
            (folder / kind / f"{name}.nii.gz").symlink_to(shared_data / "ct" / name / f"{file}.nii.gz")


@pytest.mark.parametrize("part", SCANS)
def test_findings_of_real_scans_in_their_own_grid(part, shared_data, tmp_path):
    names, structures, expected = SCANS[part]
    lay_out(shared_data, tmp_path, names)
    table = tmp_path / "structures.json"
    table.write_text(json.dumps(structures))
    masks = ["--masks", tmp_path / "masks", *(["--label_table", table] if structures else [])]
    weights = ["--checkpoint", f"{CT.root}/models/phantom/model.pt", "--calibration", "False", "--prompts", "ct_wide"]
    CT.run(("inference", "phantom"), *weights, *masks, "--volumes", tmp_path / "volumes", "--output_dir", tmp_path / "out")
    assert not (tmp_path / "out" / "rejected.jsonl").exists()
    cases = {case["case_id"]: case for case in read_predictions(tmp_path / "out")}
    assert set(cases) == set(names)
    saliencies = 0
    for name, case in cases.items():
        scan, findings = nib.load(shared_data / "ct" / name / "ct.nii.gz"), case["findings"]
        assert {finding.anatomy for finding in findings} >= expected - ({"bowel"} if name == "tsA_torso_sm" else set())
        assert all(0 <= finding.probability <= 1 for finding in findings)
        for finding in findings:
            if finding.saliency is not None:
                saliency = nib.load(finding.saliency)
                assert saliency.shape == scan.shape and np.allclose(saliency.affine, scan.affine, atol=1e-4)
                saliencies += 1
        assert (tmp_path / "out" / "overlays" / f"{name}.png").stat().st_size > 5_000
    assert saliencies
