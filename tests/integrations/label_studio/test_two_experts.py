"""Two experts' reviews on a real server: how far they agree with the model, and with each other."""

import copy

import pytest

from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from integrations.review.agreement import agreement_table
from integrations.review.record import read_reviews
from tests.integrations.label_studio.test_round_trip import tasks_of
from tests.integrations.review.test_agreement import row


def test_reviews_of_a_real_server_give_both_agreements(client, workspace, project, films, tmp_path):
    push(client, workspace, films([(60, 80), (90, 70), (64, 64)]), project, reviews_per_case=2)
    second = client.users.create(email=f"{project}@hospital.example", username=project, first_name="", last_name="")
    for number, task in enumerate(tasks_of(client, project)):
        prediction = task["predictions"][-1]
        relabelled = copy.deepcopy(prediction["result"])
        if number == 0:
            next(item for item in relabelled if item["type"] == "brushlabels")["value"]["brushlabels"] = ["Effusion"]
            next(item for item in relabelled if item["type"] == "choices")["value"]["choices"] = ["Effusion"]
        for who, result in ((None, relabelled), (second.id, prediction["result"])):
            by = {} if who is None else {"completed_by": who}
            client.annotations.create(id=task["id"], result=result, parent_prediction=prediction["id"], lead_time=7.5, **by)
    pull(client, workspace, project, tmp_path / "out")
    reviews = read_reviews(tmp_path / "out" / "reviews.jsonl")
    assert len(reviews) == 6 and {review.patient_id for review in reviews} == {f"study {n}" for n in range(3)}
    table = agreement_table(reviews)
    # Of six masks one was called an effusion: that place agrees with neither label.
    assert row(table, "Mass", "iou")["estimate"] == pytest.approx(5 / 6) and row(table, "Effusion", "iou")["estimate"] == 0
    assert row(table, "all", "iou", "experts")["estimate"] == pytest.approx(2 / 4)
    assert row(table, "Mass", "acceptance")["estimate"] == pytest.approx(10 / 12)
    assert row(table, "all", "seconds")["estimate"] == 7.5
    kappa = row(table, "Effusion", "kappa", "experts")
    assert (kappa["n"], kappa["estimate"]) == (3, 0)
