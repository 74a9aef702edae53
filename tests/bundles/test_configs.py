"""What holds of every bundle's configs."""

import json

import pytest

from tests.bundles.commands import ROOT

BUNDLES = sorted(path.name for path in (ROOT / "bundles").iterdir() if path.is_dir())


@pytest.mark.parametrize("bundle", BUNDLES)
def test_configs_are_json_and_versions_agree(bundle):
    folder = ROOT / "bundles" / bundle / "configs"
    contents = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert {"metadata", "train", "evaluate", "inference", "multi_gpu_train", "phantom"} <= set(contents)
    metadata = contents["metadata"]
    required = {"schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task"}
    required |= {"description", "authors", "copyright", "network_data_format", "changelog"}
    assert required <= set(metadata)
    pins = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    assert metadata["monai_version"] == pins["monai"] and metadata["pytorch_version"] == pins["torch"]
    for name, version in metadata["required_packages_version"].items():
        assert pins[name] == version
    for name, content in contents.items():
        tags = content.get("tracker", {}).get("tags") if name != "metadata" else None
        assert tags is None or (tags["bundle"], tags["version"]) == (bundle, metadata["version"])
