import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from scripts.loading.image_batches import ImageCollate, ImageRecordCollate
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.tokenizers import ReportTokenizer
from scripts.transforms.captions import Captiond
from scripts.transforms.letterbox import Letterbox

REPORT = "Small left effusion. Heart size is normal. No pneumothorax. Lungs are clear."
SENTENCES = ["small left effusion", "heart size is normal", "no pneumothorax", "lungs are clear"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return ReportTokenizer(train_text_model([REPORT], tmp_path_factory.mktemp("text"), hidden_size=8, heads=1))


def item(number, report="lungs are clear", **options):
    image = torch.full((1, 2, 2), float(number))
    record = {"study_id": f"s{number}"}
    return {"image": image, "report": report, "case_id": f"s{number}", "record": record, "rejected": [], **options}


def test_validation_reads_the_whole_report():
    record = {"report": REPORT, "study_id": "s1"}
    caption = Captiond("report")
    assert caption(record) == {"report": ". ".join(SENTENCES), "study_id": "s1"} == caption(record)
    assert record["report"] == REPORT


def test_training_draws_sentences():
    caption = Captiond("report", full_report_chance=0.2)

    def draw(seed):
        caption.set_random_state(seed=seed)
        return caption({"report": REPORT})["report"]

    drawn = [draw(seed).split(". ") for seed in range(200)]
    assert all(set(sentences) <= set(SENTENCES) and len(set(sentences)) == len(sentences) for sentences in drawn)
    assert {len(sentences) for sentences in drawn} == {1, 2, 3, 4}
    assert {sentences[0] for sentences in drawn} == set(SENTENCES)
    assert [draw(seed).split(". ") for seed in range(200)] == drawn
    # The whole report by 1 in 5, and never in another order: one to three sentences otherwise.
    whole = [sentences for sentences in drawn if len(sentences) == 4]
    assert all(sentences == SENTENCES for sentences in whole) and len(whole) == pytest.approx(40, abs=4 * np.sqrt(32))


@pytest.mark.parametrize("chance", [1.0, 0.2])
@pytest.mark.parametrize("report", ["", "  \n", "FINDINGS:\n\nIMPRESSION:\n", "___."])
def test_an_empty_report_is_refused(chance, report):
    with pytest.raises(ValueError, match="the report holds no sentence"):
        Captiond("report", full_report_chance=chance)({"report": report})


def test_a_batch_holds_images_texts_and_names(tokenizer):
    reports = ["lungs are clear", "small left effusion. no pneumothorax"]
    rejected = item(2, rejected=[("s9", "cut short")]) | {"report": reports[1], "image": MetaTensor(torch.ones(1, 2, 2))}
    batch = ImageCollate(tokenizer)([item(1, reports[0]), {"rejected": [("s8", "empty")]}, rejected])
    assert type(batch["images"]) is torch.Tensor and batch["images"][:, 0, 0, 0].tolist() == [1, 1]
    assert batch["images"].shape == (2, 1, 2, 2) and batch["case_ids"] == ["s1", "s2"]
    assert batch["rejected"] == [("s8", "empty"), ("s9", "cut short")]
    expected = tokenizer(reports)
    assert batch["inputs"].keys() == expected.keys()
    assert all(torch.equal(batch["inputs"][key], expected[key]) for key in expected)


def test_films_keep_their_way_back():
    boxes = [Letterbox((4, 8), 2), Letterbox((8, 4), 2)]
    items = [item(number, image_letterbox=box) for number, box in enumerate(boxes)]
    batch = ImageRecordCollate()([items[0], {"rejected": [("s8", "empty")]}, items[1]])
    assert batch["images"].shape == (2, 1, 2, 2) and batch["images"][1].unique().tolist() == [1]
    assert batch["letterboxes"] == boxes and batch["records"] == [{"study_id": "s0"}, {"study_id": "s1"}]
    assert batch["case_ids"] == ["s0", "s1"] and batch["rejected"] == [("s8", "empty")]


def test_a_batch_without_a_good_case(tokenizer):
    for collate in (ImageCollate(tokenizer), ImageRecordCollate()):
        assert collate([{"rejected": [("s1", "a")]}, {"rejected": [("s2", "b")]}]) == {
            "case_ids": [],
            "rejected": [("s1", "a"), ("s2", "b")],
        }
