import pytest
import torch
from monai.transforms import NormalizeIntensityd

from scripts.files.errors import UserError
from scripts.networks import AFLoc
from scripts.reports.tokens.tokenizers import ReportTokenizer
from scripts.transforms import NormalizeHalfd, describe_transform
from scripts.weights import export_weights, load_network
from scripts.weights.model_file import model_state
from tests.small_afloc import new_network, report, write_text_model


@pytest.fixture
def state(tmp_path):
    torch.manual_seed(1)
    network = new_network(write_text_model(tmp_path / "text"))
    return model_state(network, {})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


def saved(state, path):
    torch.save(state, path)
    return path


def test_a_network_comes_back_from_its_file_alone(state, path, tmp_path):
    network = load_network("AFLoc", saved(state, path))
    assert isinstance(network, AFLoc) and not network.training
    original = new_network(tmp_path / "text").eval()
    original.load_state_dict(state["network"])
    films, texts = torch.randn(2, 1, 40, 40), ReportTokenizer(tmp_path / "text")([report(0), report(5)])
    with torch.inference_mode():
        ours, theirs, fixed = (net(films, **texts) for net in (network, original, load_network("AFLoc", path, report_length=97)))
    assert all(torch.equal(a, b) for mine, other in zip(ours, theirs, strict=True) for a, b in zip(mine, other, strict=True))
    words = texts["word_index"].amax(1, keepdim=True) + 1
    torch.testing.assert_close(fixed[1].report * 97, ours[1].report * words)


@pytest.mark.parametrize("half", [False, True])
def test_an_export_holds_the_network_and_its_tokenizer(state, tmp_path, half):
    ReportTokenizer(tmp_path / "text").save(tmp_path / "run" / "text_model")  # as training does
    extra = {"optimizer": {"state": torch.zeros(10_000)}, "preprocessing": {"film_size": 40}}
    checkpoint = saved({**state, **extra}, tmp_path / "run" / "checkpoint_best.pt")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "calibration.pt").write_bytes(b"of other weights")
    path = export_weights(checkpoint, tmp_path / "out", half)
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.pt", "text_model"]
    assert path.stat().st_size < checkpoint.stat().st_size - 30_000
    assert ReportTokenizer(path.parent / "text_model")([report(0)])["tokens"].shape[0] == 1
    assert torch.load(path, weights_only=True)["preprocessing"] == {"film_size": 40}
    network, whole = load_network("AFLoc", path).state_dict(), load_network("AFLoc", checkpoint).state_dict()
    tolerance = 1e-3 if half else 0
    assert all(value.dtype == whole[key].dtype for key, value in network.items())
    torch.testing.assert_close(network, whole, rtol=tolerance, atol=tolerance)


def test_an_export_wants_the_tokenizer(state, tmp_path):
    checkpoint = saved(state, tmp_path / "checkpoint_best.pt")
    with pytest.raises(UserError, match="text_model holds no tokenizer"):
        export_weights(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_films_prepared_otherwise_than_in_training_are_refused(state, path):
    def facts(size, transform):
        return {"film_size": size, "max_tokens": 97, "normalization": describe_transform(transform)}

    zero_mean, shifted = NormalizeIntensityd("image"), NormalizeIntensityd("image", subtrahend=0.5, divisor=0.25)
    saved({**state, "preprocessing": facts(160, zero_mean)}, path)
    load_network("AFLoc", path)
    load_network("AFLoc", path, preprocessing=facts(160, NormalizeIntensityd("other key")))
    with pytest.raises(UserError, match=r"film_size 160 \(now 224\), .*Intensityd'.* \(now {'class': 'NormalizeHalfd'}\)"):
        load_network("AFLoc", path, preprocessing=facts(224, NormalizeHalfd("image")))
    # Of the same class with other constants.
    with pytest.raises(UserError, match=r"'subtrahend': None, 'divisor': None.*\(now .*'subtrahend': 0.5, 'divisor': 0.25"):
        load_network("AFLoc", path, preprocessing=facts(160, shifted))


def test_the_class_comes_from_the_file(state, path):
    assert isinstance(load_network(None, saved(state, path)), AFLoc)
    with pytest.raises(UserError, match="holds a network of class AFLoc, not FVLM"):
        load_network("FVLM", path)
    for name in ("Linear", "torch.nn.Linear", None):
        with pytest.raises(UserError, match="which is none of AFLoc, ExamClassifier, FVLM, NasVLM"):
            load_network("AFLoc", saved({**state, "network_class": name}, path))


def test_no_file(path):
    with pytest.raises(UserError, match=r"no checkpoint at .*model\.pt: name one by --checkpoint"):
        load_network("AFLoc", path)


@pytest.mark.parametrize("content", [b"", b"weights", b"\x80\x02garbage", "cut"])
def test_a_file_that_is_no_checkpoint(state, path, content):
    data = saved(state, path).read_bytes()[:20_000] if content == "cut" else content
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"model\.pt cannot be read as a checkpoint \(.+\): it is damaged, or not a file of"):
        load_network("AFLoc", path)


def test_a_file_that_holds_code_is_not_run(path):
    torch.save({"network": torch.nn.Linear(1, 1)}, path)
    with pytest.raises(UserError, match=r"model\.pt cannot be read as a checkpoint"):
        load_network("AFLoc", path)


def test_a_checkpoint_of_something_else(state, path):
    absent = r"it lacks \['network', 'network_class'\]"
    with pytest.raises(UserError, match=absent):
        load_network("AFLoc", saved(state["network"], path))
    with pytest.raises(UserError, match=absent):
        load_network("AFLoc", saved([1, 2], path))
    with pytest.raises(UserError, match=r"not a whole checkpoint of AFLoc: it lacks 'text_encoder'. See `convert-weights"):
        load_network("AFLoc", saved({key: value for key, value in state.items() if key != "text_encoder"}, path))


def test_all_weights_that_do_not_fit_are_listed(state, path):
    weights = state["network"]
    del weights["image_encoder.report_head.bias"], weights["image_encoder.backbone.bn1.weight"]
    weights["image_encoder.fc.weight"] = torch.zeros(2)
    weights["text_encoder.pooler.bias"] = torch.zeros(2)
    weights["image_encoder.word_head.weight"] = torch.zeros(3, 5)
    with pytest.raises(UserError) as caught:
        load_network("AFLoc", saved(state, path))
    faults = [
        "image_encoder.word_head.weight is (3, 5), not (16, 16, 1, 1)",
        "missing image_encoder.backbone.bn1.weight",
        "missing image_encoder.report_head.bias",
        "unknown image_encoder.fc.weight",
        "unknown text_encoder.pooler.bias",
    ]
    assert str(caught.value) == f"{path} does not fit its own architecture: {'; '.join(faults)}"
