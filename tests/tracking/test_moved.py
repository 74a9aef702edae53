"""A config recorded before a module moved says where its names are today."""

from scripts.tracking.moved import moved_names


def test_names_that_lead_nowhere_are_told_with_their_new_place():
    config = {
        "imports": ["$import scripts"],
        "dataset": {"_target_": "scripts.data.CaseDataset", "data": "$scripts.datalists.load_datalist(@datalist)"},
        "tracker": {"_target_": "scripts.handlers.MLflowTracker"},
        "network": {"_target_": "scripts.networks.AFLoc", "depth": "$scripts.handlers.never_was(3)"},
    }
    assert moved_names(config) == {
        "scripts.data.CaseDataset": "scripts.loading.dataset.CaseDataset",
        "scripts.handlers.MLflowTracker": "scripts.tracking.recorder.MLflowTracker",
        "scripts.handlers.never_was": "",
    }
