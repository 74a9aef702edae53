"""Verbs that compare many trainings."""

from scripts.commands.command_line import check_paths, whole


def label_efficiency_command(
    study: str, *, output: str, dataset_dir: str | None = None, jobs: int = 1, threads: int | None = None
) -> None:
    """Compare initialisations by how many labels they need: trains and evaluates every cell, and draws the curve.

    Goes on where a stopped study was. Writes label_efficiency.csv, comparisons.csv and label_efficiency.png; every training is an
    MLflow run beneath the study's own.

    Examples:
        python -m scripts label-efficiency bundles/npc_screening/configs/label_efficiency.json --output runs/study

    Args:
        study: JSON file that says what is compared; several with commas, later ones over earlier ones.
        output: folder of the study.
        dataset_dir: data set, in place of the configs' own.
        jobs: trainings at a time.
        threads: processor threads of each training; the machine's choice by default.
    """
    at_a_time, of_each = whole("jobs", jobs, least=1), whole("threads", threads, least=1)
    check_paths(study=study, output=output, dataset_dir=dataset_dir)
    from scripts.studies import LabelEfficiency, StudyPlan, describe

    plan = StudyPlan.read([file.strip() for file in study.split(",")])
    arguments = {} if dataset_dir is None else {"dataset_dir": dataset_dir}
    figures, differences = LabelEfficiency(plan, output, arguments, at_a_time, of_each).run()
    print(describe(figures, differences))
