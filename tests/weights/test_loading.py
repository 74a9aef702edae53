import pytest
import torch

from scripts.files.errors import UserError
from scripts.networks import AFLoc
from scripts.reports.tokens.tokenizers import ReportTokenizer
from scripts.weights import export_weights, load_afloc
from tests.small_afloc import new_network, report, write_text_model


@pytest.fixture
def state(tmp_path):
    torch.manual_seed(1)
    network = new_network(write_text_model(tmp_path / "text"))
    return {"network": network.state_dict(), **network.architecture}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


def saved(state, path):
    torch.save(state, path)
    return path


def test_a_network_comes_back_from_its_file_alone(state, path, tmp_path):
    network = load_afloc(saved(state, path))
    assert isinstance(network, AFLoc) and not network.training
    original = new_network(tmp_path / "text").eval()
    original.load_state_dict(state["network"])
    films, texts = torch.randn(2, 1, 40, 40), ReportTokenizer(tmp_path / "text")([report(0), report(5)])
    with torch.inference_mode():
        ours, theirs, fixed = (net(films, **texts) for net in (network, original, load_afloc(path, report_length=97)))
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
    network, whole = load_afloc(path).state_dict(), load_afloc(checkpoint).state_dict()
    tolerance = 1e-3 if half else 0
    assert all(value.dtype == whole[key].dtype for key, value in network.items())
    torch.testing.assert_close(network, whole, rtol=tolerance, atol=tolerance)


def test_an_export_wants_the_tokenizer(state, tmp_path):
    checkpoint = saved(state, tmp_path / "checkpoint_best.pt")
    with pytest.raises(UserError, match="text_model holds no tokenizer"):
        export_weights(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_films_prepared_otherwise_than_in_training_are_refused(state, path):
    saved({**state, "preprocessing": {"film_size": 160, "max_tokens": 97, "normalization": "NormalizeIntensityd"}}, path)
    load_afloc(path)
    load_afloc(path, preprocessing={"film_size": 160, "max_tokens": 97, "normalization": "NormalizeIntensityd"})
    with pytest.raises(UserError, match=r"film_size 160 \(now 224\), normalization 'NormalizeIntensityd' \(now 'NormalizeHalfd'\)"):
        load_afloc(path, preprocessing={"film_size": 224, "max_tokens": 97, "normalization": "NormalizeHalfd"})


def test_no_file(path):
    with pytest.raises(UserError, match=r"no checkpoint at .*model\.pt: name one by --checkpoint"):
        load_afloc(path)


@pytest.mark.parametrize("content", [b"", b"weights", b"\x80\x02garbage", "cut"])
def test_a_file_that_is_no_checkpoint(state, path, content):
    data = saved(state, path).read_bytes()[:20_000] if content == "cut" else content
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"model\.pt cannot be read as a checkpoint \(.+\): it is damaged, or not a file of"):
        load_afloc(path)


def test_a_file_that_holds_code_is_not_run(path):
    torch.save({"network": torch.nn.Linear(1, 1)}, path)
    with pytest.raises(UserError, match=r"model\.pt cannot be read as a checkpoint"):
        load_afloc(path)


def test_a_checkpoint_of_something_else(state, path):
    absent = r"it lacks \['image_encoder', 'network', 'text_encoder'\]"
    with pytest.raises(UserError, match=absent):
        load_afloc(saved(state["network"], path))
    with pytest.raises(UserError, match=absent):
        load_afloc(saved([1, 2], path))
    with pytest.raises(UserError, match=r"it lacks \['text_encoder'\]. See `convert-weights"):
        load_afloc(saved({key: value for key, value in state.items() if key != "text_encoder"}, path))


def test_all_weights_that_do_not_fit_are_listed(state, path):
    weights = state["network"]
    del weights["image_encoder.report_head.bias"], weights["image_encoder.backbone.bn1.weight"]
    weights["image_encoder.fc.weight"] = torch.zeros(2)
    weights["text_encoder.pooler.bias"] = torch.zeros(2)
    weights["image_encoder.word_head.weight"] = torch.zeros(3, 5)
    with pytest.raises(UserError) as caught:
        load_afloc(saved(state, path))
    faults = [
        "image_encoder.word_head.weight is (3, 5), not (16, 16, 1, 1)",
        "missing image_encoder.backbone.bn1.weight",
        "missing image_encoder.report_head.bias",
        "unknown image_encoder.fc.weight",
        "unknown text_encoder.pooler.bias",
    ]
    assert str(caught.value) == f"{path} does not fit its own architecture: {'; '.join(faults)}"
