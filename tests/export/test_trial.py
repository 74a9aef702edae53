"""Every bundle with the weights that ship, away from this project: it answers, MONAI accepts it, TorchScript and ONNX agree."""

import hashlib
import re

import pytest

from scripts.export import export_bundle
from tests.export.trial import BUNDLES, ROOT, run_alone, try_bundle


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_runs_alone(name, tmp_path):
    predictions, found, folder = try_bundle(name, tmp_path)
    assert found["scripts"] == str(folder / "scripts" / "__init__.py")
    assert found["traced"] < 1e-4 and found["onnx"] < 1e-4 < found["spread"]
    (case,) = predictions
    weights = (ROOT / "bundles" / name / "models" / "phantom" / "model.pt").read_bytes()
    assert case["model"]["bundle"] == name and case["model"]["checkpoint_sha256"] == hashlib.sha256(weights).hexdigest()
    assert case["findings"] and all(0 <= finding["probability"] <= 1 for finding in case["findings"])


@pytest.mark.slow
def test_the_readmes_commands_do_what_it_says(tmp_path):
    folder = export_bundle(ROOT / "bundles" / "npc_screening", tmp_path / "alone").path
    (elsewhere := tmp_path / "elsewhere").mkdir()
    _, checks = re.findall(r"```sh\n(.*?)```", (folder / "docs" / "README.md").read_text().split("\n---\n")[0], re.DOTALL)
    printed = run_alone(folder, elsewhere, "bash", "-ec", re.sub(r"\bDIR\b", str(folder), checks))
    for file in ("model.ts", "model.onnx"):
        assert f"exported to file: {file}" in printed and (elsewhere / file).stat().st_size > 2**20
    assert "metadata is verified" in printed and "data shape of network is verified" in printed
    run_alone(folder, folder, "sha256sum", "--check", "--quiet", "SHA256SUMS")
