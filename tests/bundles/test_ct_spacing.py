"""The spacing that a CT network was trained at, from the prepared volumes into its checkpoint, and held against others."""

import json

import pytest
import torch
from monai.bundle import ConfigParser

from scripts.files.errors import UserError
from scripts.networks import FVLM, PooledTextEncoder, VolumeEncoder
from tests.bundles.commands import Bundle

CONFIGS = Bundle("ct_anatomy_zeroshot").folder / "configs"
BERT = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


@pytest.fixture
def dataset(tmp_path):
    """A prepared data set as far as its spacing goes."""
    record = {"volume_id": "v", "patient_id": "p", "image": "volumes/v.nii", "anatomy_mask": "masks/v.nii.gz", "labels": {"a": 1}}
    (tmp_path / "datalist.json").write_text(json.dumps({"domain": "ct", "test": [record]}))
    (tmp_path / "settings.json").write_text(json.dumps({"spacing": [5, 5, 6]}))
    return tmp_path


def parsed(config, content, **overrides):
    parser = ConfigParser()
    parser.read_config(str(CONFIGS / f"{config}.json"))
    parser.update(overrides)
    return parser.get_parsed_content(content)


def test_training_records_the_spacing_of_its_volumes(dataset):
    facts = parsed("train", "preprocessing_facts", dataset_dir=str(dataset))
    assert facts == {"volume_size": [112, 256, 352], "max_tokens": 384, "spacing": [5.0, 5.0, 6.0]}


@pytest.mark.parametrize("trained", [[5.0, 5.0, 6.0], [1.0, 1.0, 3.0], None])
def test_other_volumes_than_those_trained_on_are_refused(dataset, trained):
    network = FVLM(VolumeEncoder((8, 8, 8), (8, 8, 8), 8, 8, 1, 1, []), PooledTextEncoder(BERT, embedding_size=4), ["lung"])
    told = {"volume_size": [112, 256, 352], "max_tokens": 384} | ({"spacing": trained} if trained else {})
    state = {"network": network.state_dict(), "network_class": "FVLM", "preprocessing": told, **network.architecture}
    torch.save(state, dataset / "model.pt")
    options = {"dataset_dir": str(dataset), "checkpoint": str(dataset / "model.pt")}
    for config, more in (("evaluate", {}), ("inference", {"spacing": [5, 5, 6]})):
        if trained == [1.0, 1.0, 3.0]:
            with pytest.raises((UserError, RuntimeError)) as caught:
                parsed(config, "network_def", **options, **more)
            said = str(caught.value) + str(caught.value.__cause__)
            assert "spacing [1.0, 1.0, 3.0] (now [5" in said
        else:  # the same, or a checkpoint from before it was recorded
            assert parsed(config, "network_def", **options, **more).anatomies == ["lung"]
