"""Bundles run from the name under which a model is registered, with its tokenizer and its calibration."""

import shutil

import mlflow
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser, ConfigWorkflow
from PIL import Image

from scripts.files.atomic import sha256_of
from scripts.predictions.predictions import read_predictions
from scripts.tracking import MLflowTracker
from scripts.tracking.models import register_model
from tests.bundles.commands import Bundle

BUNDLES = ["ct_anatomy_zeroshot", "cxr_localization", "nasal_pretraining", "npc_screening"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Address of a store in which the phantom weights of every bundle are registered as its champion, and of no other store."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/mlflow.db"
    for name in BUNDLES:
        register_model(
            mlflow.MlflowClient(uri), finished_training(name, folder / name, uri), name, "champion", phantom(name, "calibration.pt")
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        yield uri


def phantom(bundle, name="model.pt"):
    return Bundle(bundle).folder / "models" / "phantom" / name


def finished_training(bundle, output_dir, uri):
    """The run of a training that leaves the bundle's phantom weights."""

    def step(engine, batch):
        state = torch.load(phantom(bundle), weights_only=True)
        torch.save({"iteration": 1, **state}, output_dir / "checkpoint_best.pt")
        if phantom(bundle, "text_model").is_dir():
            shutil.copytree(phantom(bundle, "text_model"), output_dir / "text_model")

    tracker, trainer = MLflowTracker(bundle, output_dir, tracking_uri=uri, params={}), Engine(step)
    tracker.attach(trainer, "train")
    trainer.run([0])
    run_id = tracker.run_id
    tracker.close()
    return run_id


@pytest.mark.parametrize("config", ["evaluate", "inference"])
@pytest.mark.parametrize("bundle", BUNDLES)
def test_weights_tokenizer_and_calibration_come_from_the_registered_model(store, bundle, config):
    parser = ConfigParser()
    parser.read_config([Bundle(bundle).folder / "configs" / f"{name}.json" for name in (config, "phantom")])
    parser.update({"preprocessing_facts": {}, "checkpoint": f"models:/{bundle}@champion", "tracking_uri": store})
    network, own = parser.get_parsed_content("network_def"), torch.load(phantom(bundle), weights_only=True)["network"]
    assert own.keys() == network.state_dict().keys()
    assert all(torch.equal(value, own[name]) for name, value in network.state_dict().items())
    assert sha256_of(parser.get_parsed_content("calibration")) == sha256_of(phantom(bundle, "calibration.pt"))
    if "tokenizer_dir" in parser:
        assert parser.get_parsed_content("tokenizer").tokenizer.vocab_size > 10


def test_inference_by_a_registered_name_writes_the_hash_that_leads_to_its_run(store, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 180), np.uint8)).save(tmp_path / "film.png")
    bundle = Bundle("cxr_localization")
    ConfigWorkflow(
        workflow_type="inference",
        config_file=[str(bundle.folder / "configs" / f"{name}.json") for name in ("inference", "phantom")],
        meta_file=str(bundle.folder / "configs" / "metadata.json"),
        logging_file=False,
        bundle_root=bundle.root,
        checkpoint="models:/cxr_localization@champion",
        tracking_uri=store,
        films=str(tmp_path / "film.png"),
        phrases=["left pleural effusion"],
        output_dir=str(tmp_path / "out"),
    ).run()
    (case,) = read_predictions(tmp_path / "out")
    client = mlflow.MlflowClient(store)
    run = client.get_run(client.get_model_version_by_alias("cxr_localization", "champion").run_id)
    assert case["model"]["checkpoint_sha256"] == run.data.tags["checkpoint_best.sha256"]


def test_a_screening_starts_from_a_registered_pretraining(store):
    parser = ConfigParser()
    parser.read_config([Bundle("npc_screening").folder / "configs" / f"{name}.json" for name in ("train", "phantom")])
    # No exam is at hand here to tell which centres there are.
    parser.update({"pretrained_checkpoint": "models:/nasal_pretraining@champion", "tracking_uri": store, "unseen_sites": []})
    pretrained = parser.get_parsed_content("pretrained").state_dict()
    own = torch.load(phantom("nasal_pretraining"), weights_only=True)["network"]
    assert all(torch.equal(pretrained[name], value) for name, value in own.items())
    parser.update({"pretrained_checkpoint": None})
    assert parser.get_parsed_content("pretrained_weights") is None
