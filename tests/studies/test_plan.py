import json
from pathlib import Path

import pytest

from scripts.files.errors import UserError
from scripts.studies import StudyPlan

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "npc_screening" / "configs"


def changed(tmp_path, **keys):
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(keys))
    return [CONFIGS / "label_efficiency.json", path]


def test_the_plans_that_ship_are_sound_and_merge():
    plan = StudyPlan.read([CONFIGS / "label_efficiency.json", CONFIGS / "label_efficiency_phantom.json"])
    assert plan.overlays == ["phantom"] and plan.arguments["held_out_sites"] == ["centre C"]
    assert len(plan.seeds) == 5 and plan.fractions == [0.01, 0.1, 1.0]
    for step in plan.initialisations.values():
        for overlay in step.overlays:
            assert (CONFIGS / f"{overlay}.json").is_file()


def test_pretrainings_are_dealt_out_to_the_seeds(tmp_path):
    plan = StudyPlan.read(changed(tmp_path, seeds=[4, 5, 6], pretraining_seeds=[1, 2]))
    assert [plan.pretraining_seed(seed) for seed in plan.seeds] == [1, 2, 1]
    with pytest.raises(UserError, match=r"pretraining_seeds = \[\]: holds no seeds"):
        StudyPlan.read(changed(tmp_path, pretraining_seeds=[]))


def test_all_faults_of_a_plan_are_told(tmp_path):
    with pytest.raises(UserError) as caught:
        StudyPlan.read(
            changed(
                tmp_path,
                initialisations={"mine": {"pretraining": "none such"}},
                fractions=[0, 0.5],
                comparisons=[["mine", 0.5, "yours", 0.5]],
            )
        )
    for part in (
        'initialisations[mine].pretraining = "none such": is not among NasVLM',
        "fractions[0] = 0: is not above 0 and at most 1",
        '"yours" with fraction 0.5 is no cell',
        "3 faults",
    ):
        assert part in str(caught.value)


def test_unknown_and_missing_keys_and_files(tmp_path):
    with pytest.raises(UserError, match=r'seed = 1: is not among pretraining_bundle, .*"seeds" is meant'):
        StudyPlan.read(changed(tmp_path, seed=1))
    steps = {"pretrainings": {"NasVLM": {"overlay": []}}, "initialisations": {"mine": {"argument": {}}}, "seeds": [1.5]}
    with pytest.raises(UserError) as caught:
        StudyPlan.read(changed(tmp_path, **steps, comparisons=[["mine", 1.0]]))
    for part in (
        'pretrainings[NasVLM].overlay = []: is not among overlays, arguments; perhaps "overlays" is meant',
        "initialisations[mine].argument = {}: is not among overlays, arguments, pretraining",
        "seeds[0] = 1.5: is a number, not a whole number",
        'comparisons[0] = ["mine", 1.0]: is not of four entries',
    ):
        assert part in str(caught.value)
    path = tmp_path / "empty.json"
    path.write_text("{}")
    with pytest.raises(UserError, match="fractions: is required and not there"):
        StudyPlan.read([path])
    with pytest.raises(UserError, match="does not exist"):
        StudyPlan.read([tmp_path / "absent.json"])
