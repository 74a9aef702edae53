"""Batches of volumes and texts by anatomy, their texts as the published loss sees them."""

import json

import pytest
import torch

from scripts.files.atomic import text_id
from scripts.files.errors import UserError
from scripts.loading.dataset import PassThroughCollate
from scripts.loading.volume_batches import VolumeCollate, check_anatomies
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.text_tokenizer import TextTokenizer

NAMES = ["lung", "heart", "esophagus", "aorta"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = train_text_model(["lung nodule. heart normal, no aorta calcification."] * 3, tmp_path_factory.mktemp("text"))
    return TextTokenizer(folder, max_tokens=24)


def item(number, reports):
    image, mask = torch.full((1, 4, 6, 8), number / 10), torch.full((1, 4, 6, 8), number, dtype=torch.uint8)
    record = {"volume_id": f"v{number}"}
    return {"image": image, "anatomy_mask": mask, "reports": reports, "case_id": f"v{number}", "record": record, "rejected": []}


def test_texts_are_stripped_as_published(tokenizer, fvlm_golden):
    cases = json.loads((fvlm_golden / "loss_cases.json").read_text())
    expected = json.loads((fvlm_golden / "loss_expected.json").read_text())
    collate = VolumeCollate(tokenizer, NAMES)
    for name, case in cases.items():
        patients = len(case["boxes"])
        batch = collate([item(row, {organ: texts[row] for organ, texts in case["texts"].items()}) for row in range(patients)])
        inputs = batch["inputs"]
        assert (~inputs["normal"]).int().tolist() == case["abnormal"]
        for column, organ in enumerate(NAMES):
            found = {int(number) for number in inputs["text_ids"][:, column]}
            assert {text_id(text) for text in expected[name]["texts_after_template_strip"].get(organ, [])} <= found


def test_every_different_text_is_tokenized_once(tokenizer):
    said = [{"lung": "lung nodule.", "heart": "lung nodule."}, {"lung": "lung nodule.", "aorta": "calcification of the aorta."}]
    batch = VolumeCollate(tokenizer, NAMES)([item(1, said[0]), item(2, said[1])])
    inputs = batch["inputs"]
    texts = ["lung nodule.", "calcification of the aorta.", *(f"{name} shows no significant abnormalities." for name in NAMES[1:])]
    assert len(inputs["tokens"]) == len(texts)
    for row, record in enumerate(said):
        for column, name in enumerate(NAMES):
            text = record.get(name, f"{name} shows no significant abnormalities.")
            chosen = int(inputs["text_index"][row, column])
            alone = tokenizer([text])["tokens"][0]
            assert torch.equal(inputs["tokens"][chosen][inputs["attention_mask"][chosen] == 1], alone)
            assert int(inputs["text_ids"][row, column]) == text_id(text)
            assert bool(inputs["normal"][row, column]) == (name not in record)
    assert inputs["tokens"].shape[1] == max(len(tokenizer([text])["tokens"][0]) for text in texts)
    assert batch["images"].shape == (2, 1, 4, 6, 8) and inputs["masks"].shape == (2, 4, 6, 8)
    assert inputs["masks"][1, 0, 0, 0] == 2 and batch["case_ids"] == ["v1", "v2"]
    assert batch["records"] == [{"volume_id": "v1"}, {"volume_id": "v2"}]


def test_rejections_travel_with_the_batch(tokenizer):
    collate = VolumeCollate(tokenizer, NAMES)
    broken = {"rejected": [("v9", "is cut short")]}
    assert collate([broken]) == {"case_ids": [], "rejected": [("v9", "is cut short")]}
    batch = collate([broken, item(1, {})])
    assert batch["case_ids"] == ["v1"] and batch["rejected"] == [("v9", "is cut short")] and bool(batch["inputs"]["normal"].all())
    handed = PassThroughCollate()([broken, item(3, {})])
    assert handed["case_ids"] == ["v3"] and len(handed["cases"]) == 1 and handed["rejected"] == [("v9", "is cut short")]


def test_long_texts_keep_their_ends(tokenizer):
    tokens = tokenizer(["lung nodule " * 40])["tokens"][0]
    names = tokenizer.tokenizer.convert_ids_to_tokens(tokens.tolist())
    assert len(names) == 24 and names[0] == "[CLS]" and names[-1] == "[SEP]"


def test_volumes_prepared_for_other_anatomies_are_refused(tokenizer):
    wide = item(2, {"lung": "lung nodule.", "liver": "a cyst.", "spleen": "large."})
    with pytest.raises(UserError) as caught:
        VolumeCollate(tokenizer, NAMES)([item(1, {"lung": "lung nodule."}), wide])
    assert str(caught.value) == (
        "v2 was prepared for other anatomies (liver, spleen) than the network's (lung, heart, esophagus, aorta): "
        "give the --anatomies of preprocess-ct, or prepare the volumes anew"
    )
    check_anatomies(item(1, {"heart": "normal.", "lung": "lung nodule."}), NAMES)  # texts on some of them
    check_anatomies({"case_id": "v4"}, NAMES)  # labels alone
