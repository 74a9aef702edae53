"""`python -m integrations.label_studio VERB ...`: experts' review of predictions.

Exit status: 0 done; 1 something about the data or the server, with a message that says what; 2 the command itself is not
understood.
"""

import logging
import sys
from pathlib import Path
from typing import Any

from scripts.commands.command_line import UsageError, check_paths, known, run_command, typed, whole, yes_or_no

DATA = "data/label_studio"


def serve_command(*, data: str = DATA, port: int = 8080, background: bool = False) -> None:
    """Start a Label Studio of your own, reachable from this machine alone, and run it until Ctrl-C.

    Installs it at first use into an environment of its own (1 GB, in ~/.cache/medical-vlm-bundles). Everything it keeps is in one
    folder; the address and login are printed.

    Examples:
        python -m integrations.label_studio serve
        python -m integrations.label_studio serve --data /srv/reviews --port 8081
        python -m integrations.label_studio serve --background

    Args:
        data: working folder.
        port: of the server, on 127.0.0.1.
        background: return once the server answers, and leave it running until `stop`; one that runs already is left as it is.
    """
    check_paths(data=data)
    number, stays = whole("port", port, least=1), yes_or_no("background", background)
    from integrations.label_studio.server.process import login_of, serve, start
    from integrations.label_studio.workspace import Workspace

    workspace = Workspace(Path(data))
    if stays:
        print(login_of(workspace, start(workspace, number)))
    else:
        serve(workspace, number)


def stop_command(*, data: str = DATA) -> None:
    """End the Label Studio that `serve --background` has left running; its data stays.

    Examples:
        python -m integrations.label_studio stop

    Args:
        data: working folder.
    """
    check_paths(data=data)
    from integrations.label_studio.server.process import stop
    from integrations.label_studio.workspace import Workspace

    print("stopped" if stop(Workspace(Path(data))) else f"no server runs in the background with {data}")


def push_command(
    predictions: str,
    *,
    project: str,
    data: str = DATA,
    datalist: str | None = None,
    shape: str = "mask",
    random_share: float = 0.0,
    model_version: str | None = None,
    reviews_per_case: int = 1,
    server_images: str | None = None,
    keep_phi: bool = False,
    url: str | None = None,
    token: str | None = None,
) -> None:
    """Send predictions to a Label Studio project, made if absent, as pre-annotations.

    The same push twice changes nothing, one that was interrupted goes on, another model's predictions are added and shown first.
    Ids become keyed hashes, whose key stays in the working folder; names, dates and numbers are taken out of reports.

    Examples:
        python -m integrations.label_studio push bundles/cxr_localization/runs/inference --project films
        python -m integrations.label_studio push runs/npc --project exams --datalist exams.json --random_share 0.2
        python -m integrations.label_studio push runs/npc --project exams --url https://labels.hospital --server_images /mnt/images

    Args:
        predictions: predictions.jsonl or its folder.
        project: name, 3 to 50 letters, digits, - and _.
        data: working folder.
        datalist: the cases' datalist, for reports, patients and splits.
        shape: what places are drawn as: mask, box or polygon; of volumes always mask.
        random_share: share of the cases, 0 to 1, that come at a random place; the others come least confident first.
        model_version: name for the model, where its bundle and version do not tell it from another.
        reviews_per_case: experts that see each case.
        server_images: where a server on another machine finds the folder `images` of the working folder, which must be its
            LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT.
        keep_phi: send reports as they are, and pictures with burnt-in names.
        url: address of your own server; by default LABEL_STUDIO_URL, else the local one.
        token: access token for it; by default LABEL_STUDIO_TOKEN, else the local one's.
    """
    check_paths(
        predictions=predictions,
        project=project,
        data=data,
        datalist=datalist,
        model_version=model_version,
        server_images=server_images,
        url=url,
        token=token,
    )
    share, phi, experts = (
        _share("random_share", random_share),
        yes_or_no("keep_phi", keep_phi),
        whole("reviews_per_case", reviews_per_case, 1),
    )
    from integrations.label_studio.answers.results import SHAPES
    from integrations.label_studio.client import connect
    from integrations.label_studio.push import push
    from integrations.label_studio.workspace import Workspace

    known("shape", shape, SHAPES)
    workspace = Workspace(Path(data))
    done = push(
        connect(workspace, url, token),
        workspace,
        predictions,
        project,
        datalist=datalist,
        shape=shape,
        random_share=share,
        model_version=model_version,
        reviews_per_case=experts,
        server_images=server_images,
        keep_phi=phi,
    )
    there = done.cases - done.new_predictions
    new = f"{done.new_tasks:,} new tasks, {done.new_predictions:,} new predictions, {there:,} there already"
    print(f"project {project}: {new}; shows {done.model_version}")


def pull_command(
    *,
    project: str,
    output: str,
    data: str = DATA,
    dicom_seg: bool = False,
    url: str | None = None,
    token: str | None = None,
) -> None:
    """Fetch a project's reviews: a datalist to train and evaluate on, and what became of every finding.

    Examples:
        python -m integrations.label_studio pull --project films --output data/reviewed_films
        python -m integrations.label_studio pull --project scans --output data/reviewed_scans --dicom_seg

    Args:
        project: its name.
        output: folder for datalist.json, masks/ and reviews.jsonl.
        data: working folder that the push was made with.
        dicom_seg: write the masks of volumes that came as DICOM as DICOM SEG as well, into segmentations/; these name the patient,
            as the scans do. Needs highdicom (pip install highdicom).
        url: address of your own server; by default LABEL_STUDIO_URL, else the local one.
        token: access token for it; by default LABEL_STUDIO_TOKEN, else the local one's.
    """
    check_paths(project=project, output=output, data=data, url=url, token=token)
    as_dicom = yes_or_no("dicom_seg", dicom_seg)
    from integrations.label_studio.client import connect
    from integrations.label_studio.pull import pull
    from integrations.label_studio.workspace import Workspace

    workspace = Workspace(Path(data))
    done = pull(connect(workspace, url, token), workspace, project, output, dicom_seg=as_dicom)
    actions = ", ".join(f"{count:,} {action}" for action, count in sorted(done.actions.items()))
    print(f"{output}: {done.cases:,} cases, {done.reviews:,} reviews; findings {actions or 'none'}")


def backend_command(
    bundle: str,
    *,
    project: str | None = None,
    overlays: str | None = None,
    data: str = DATA,
    host: str = "127.0.0.1",
    port: int = 9090,
    backend_url: str | None = None,
    url: str | None = None,
    token: str | None = None,
    **settings: Any,
) -> None:
    """Serve a bundle's model to Label Studio, until Ctrl-C: suggestions as a task opens, regions of words that the expert types.

    Label Studio shows a user and a password for it; the password stands in the working folder's backend_password.

    Examples:
        python -m integrations.label_studio backend bundles/cxr_localization --project films
        python -m integrations.label_studio backend bundles/nasal_pretraining --project exams --overlays phantom \\
            --checkpoint bundles/nasal_pretraining/models/phantom/model.pt

    Args:
        bundle: folder of a bundle, whose inference.json is served.
        project: to connect the model with; pushed before.
        overlays: configs of the bundle merged over inference.json, by name, with commas between: phantom for the weights that ship.
        data: working folder that the project was pushed from; images are taken from it alone.
        host: address to listen at; by default this machine's own, so that nobody else reaches it.
        port: to listen at.
        backend_url: where the Label Studio server reaches the backend, if not at host and port.
        url: address of your own Label Studio; by default LABEL_STUDIO_URL, else the local one.
        token: access token for it; by default LABEL_STUDIO_TOKEN, else the local one's.
        settings: anything else is set in inference.json, as `--checkpoint FILE`.
    """
    check_paths(
        bundle=bundle, project=project, overlays=overlays, data=data, host=host, backend_url=backend_url, url=url, token=token
    )
    number = whole("port", port, least=1)
    from integrations.label_studio.backend.app import create_app, register, running
    from integrations.label_studio.backend.model import BundleModel
    from integrations.label_studio.client import connect
    from integrations.label_studio.workspace import Workspace

    workspace, address = Workspace(Path(data)), backend_url or f"http://{host}:{number}"
    model = BundleModel(bundle, overlays.split(",") if overlays else [], {key: typed(value) for key, value in settings.items()})
    password = workspace.make_backend_password()
    client = connect(workspace, url, token) if project else None
    with running(create_app(model, workspace, password), host, number) as thread:
        if client:
            register(client, project, address, password, model)
        print(f"{model.version} at {address}, password in {workspace.backend_password}; Ctrl-C ends it", flush=True)
        thread.join()


def agreement_command(
    *,
    reviews: str,
    output: str | None = None,
    only_random: bool = False,
    tracking_uri: str | None = None,
    run_id: str | None = None,
) -> None:
    """Measure how far models and experts agree: kappa, Dice, IoU, acceptance, time, with 95% intervals over patients.

    Writes agreement.csv and agreement.png, and an MLflow run for each model version, beneath the training that it comes from.

    Examples:
        python -m integrations.label_studio agreement --reviews data/reviewed_films/reviews.jsonl
        python -m integrations.label_studio agreement --reviews data/reviewed_films --only_random --output runs/agreement

    Args:
        reviews: reviews.jsonl that `pull` wrote, or its folder.
        output: folder for what is written; by default the reviews'.
        only_random: measure only cases that `push --random_share` has drawn at random; the others that come first are hard ones.
        tracking_uri: store; by default MLFLOW_TRACKING_URI, else mlflow.db in the project folder.
        run_id: training of the model, where its checkpoint does not tell.
    """
    check_paths(reviews=reviews, output=output, tracking_uri=tracking_uri, run_id=run_id)
    random_alone = yes_or_no("only_random", only_random)
    from integrations.review.agreement import agree, summary

    table, tracked = agree(reviews, output, only_random=random_alone, tracking_uri=tracking_uri, run_id=run_id)
    print(summary(table))
    for one in tracked:
        print(f"{one.model_version}: run {one.run_id}{f' beneath training {one.parent_run}' if one.parent_run else ''}")


VERBS = {
    "serve": serve_command,
    "stop": stop_command,
    "push": push_command,
    "pull": pull_command,
    "backend": backend_command,
    "agreement": agreement_command,
}


def _share(name: str, value: float | str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise UsageError(f"--{name} is {value}; give a number from 0 to 1")
    return share


def main() -> int:
    """Run the command line; returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_command(VERBS, "integrations.label_studio", sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
