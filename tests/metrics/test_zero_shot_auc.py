"""Zero-shot AUC during a validation: against scikit-learn, and what does not count."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from sklearn.metrics import roc_auc_score

from scripts.metrics import ZeroShotAUC
from scripts.networks.fvlm import AnatomyEmbeddings

LABELS = ["nodule", "edema", "scar"]
PATIENTS = 20


class Classifier:
    """Scores that are an entry of the anatomy's embedding."""

    prompts = [SimpleNamespace(label=label) for label in LABELS]  # noqa: RUF012
    anatomy = torch.tensor([0, 0, 1])

    def compare(self, anatomies):
        return torch.stack([anatomies[:, 0, 0], anatomies[:, 0, 1], anatomies[:, 1, 0]], dim=-1)


def run(embeddings, present, records):
    made = []

    def classifier():
        made.append(Classifier())
        return made[-1]

    def step(engine, batch):
        rows = batch["rows"]
        return {"image_outputs": AnatomyEmbeddings(embeddings[rows], present[rows], torch.tensor(1.0))}

    engine = Engine(step)
    ZeroShotAUC(classifier).attach(engine, "auc_macro")
    batches = [{"rows": rows, "records": records[rows]} for rows in (slice(0, 7), slice(7, 20))]
    engine.run(batches, max_epochs=2)
    assert len(made) == 2  # anew each epoch: the network has changed
    return engine.state.metrics["auc_macro"]


def test_the_mean_over_findings_of_those_known_and_seen():
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(PATIENTS, 2, 2, generator=generator)
    present = torch.ones(PATIENTS, 2, dtype=torch.bool)
    present[15:, 1] = False
    truth = (torch.rand(PATIENTS, 3, generator=generator) > 0.5).int().numpy()
    records = [{"labels": dict(zip(LABELS, row.tolist(), strict=True))} for row in truth]
    for record in records[:5]:
        del record["labels"]["edema"]
    records[19] = {}  # no labels at all
    expected = [
        roc_auc_score(truth[:19, 0], embeddings[:19, 0, 0]),
        roc_auc_score(truth[5:19, 1], embeddings[5:19, 0, 1]),
        roc_auc_score(truth[:15, 2], embeddings[:15, 1, 0]),
    ]
    assert run(embeddings, present, records) == pytest.approx(np.mean(expected))


def test_without_labels_there_is_none():
    assert math.isnan(run(torch.zeros(PATIENTS, 2, 2), torch.ones(PATIENTS, 2, dtype=torch.bool), [{}] * PATIENTS))


def test_a_single_finding_is_its_own_mean(monkeypatch):
    monkeypatch.setattr(Classifier, "prompts", Classifier.prompts[:1])
    monkeypatch.setattr(Classifier, "anatomy", Classifier.anatomy[:1])
    monkeypatch.setattr(Classifier, "compare", lambda self, anatomies: anatomies[:, 0, :1])
    embeddings = torch.randn(PATIENTS, 2, 2, generator=torch.Generator().manual_seed(2))
    truth = [number % 3 == 0 for number in range(PATIENTS)]
    records = [{"labels": {"nodule": int(value)}} for value in truth]
    expected = roc_auc_score(truth, embeddings[:, 0, 0])
    assert run(embeddings, torch.ones(PATIENTS, 2, dtype=torch.bool), records) == pytest.approx(expected)
