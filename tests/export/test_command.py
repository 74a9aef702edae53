"""`python -m scripts export-bundle` as a person types it."""

import json
import zipfile

from tests.commands.test_cli import run
from tests.export.trial import ROOT

CXR = ROOT / "bundles" / "cxr_localization"


def test_an_archive_with_a_file_of_ones_own(tmp_path):
    (mine := tmp_path / "1").mkdir()
    (mine / "2.pt").write_bytes(b"mine")
    done = run("export-bundle", CXR, "--output", tmp_path / "cxr.zip", "--calibration", mine / "2.pt")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"wrote {tmp_path / 'cxr.zip'}; models/model.pt has SHA-256 ")
    with zipfile.ZipFile(tmp_path / "cxr.zip") as archive:
        assert archive.read("cxr_localization/files/calibration.pt") == b"mine"
        inference = json.loads(archive.read("cxr_localization/configs/inference.json"))
    assert inference["calibration"] == "$@bundle_root + '/files/calibration.pt'"


def test_faults_are_one_message(tmp_path):
    for arguments, status, message in [
        (("--output", tmp_path / "out", "--overlays", "phantm"), 1, "no overlay phantm; it has multi_gpu_train, phantom"),
        (("--output", tmp_path / "out", "--wording"), 2, "--wording has no value"),
    ]:
        done = run("export-bundle", CXR, *arguments)
        assert done.returncode == status and message in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()
