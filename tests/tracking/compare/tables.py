"""Tables of single cases as the reports of `scripts.handlers` write them, small and made up."""

import numpy as np
import pandas as pd


def phrase_table(shift: float = 0.0, patients: int = 30, seed: int = 0, first: int = 0) -> pd.DataFrame:
    """per_case.csv of a localization: a present finding and an absent one for each patient; `shift` makes maps better."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(first, first + patients):
        case = {"case_id": f"film-{number}", "patient_id": f"patient-{number}", "probability": 0.5, "regions": 1}
        area, values = rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.6, 5) + shift
        finding = {"kind": "present", "label": ("nodule", "effusion")[number % 2], "text": "there", "area_fraction": area}
        rows.append(case | finding | dict(zip(("pointing", "cnr", "miou", "mdice", "region_iou"), values, strict=True)))
        rows.append(case | {"kind": "absent", "label": "pneumothorax", "text": "not there"})
    return pd.DataFrame(rows)


def label_table(noise: float, patients: int = 40, seed: int = 0) -> pd.DataFrame:
    """per_label.csv: two findings asked for on each film; more `noise` makes them harder to tell."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        for label in ("nodule", "effusion"):
            truth = int(rng.random() < 0.5)
            rows.append(
                {
                    "case_id": f"film-{number}",
                    "patient_id": f"patient-{number}",
                    "label": label,
                    "truth": truth,
                    "probability": 1 / (1 + np.exp(-(truth - 0.5 + noise * rng.normal()))),
                }
            )
    return pd.DataFrame(rows)


def interval(estimate: float, half: float = 0.05) -> dict[str, float]:
    return {"estimate": estimate, "lower": estimate - half, "upper": estimate + half}
