"""The verb of `python -m scripts` that makes a bundle stand alone."""

from typing import Any

from scripts.commands.command_line import check_paths


def export_bundle_command(
    bundle: str, *, output: str, checkpoint: str | None = None, overlays: str | None = None, **files: Any
) -> None:
    """Make a folder or archive of a bundle that runs without this project: configs, documents, weights, hashes and code.

    `docs/README.md` in it says how it is run, verified and turned into TorchScript and ONNX. Without --checkpoint it gets the
    bundle's models/model.pt or, where there is none, the phantom weights that ship, with phantom.json.

    Examples:
        python -m scripts export-bundle bundles/cxr_localization --output cxr_localization.zip
        python -m scripts export-bundle bundles/npc_screening --output out/npc --checkpoint runs/mine/checkpoint_best.pt
        python -m scripts export-bundle bundles/ct_anatomy_zeroshot --output ct.zip --prompts data/phantoms/ct_raw/prompts.json

    Args:
        bundle: its folder.
        output: a new or empty folder, or a file that ends in .zip.
        checkpoint: weights, with text_model and calibration.pt beside them.
        overlays: configs to merge in, those that the weights were trained with: phantom, or several with commas.
        files: files that values of inference.json name, such as --prompts FILE or --anatomies FILE; they come along.
    """
    check_paths(bundle=bundle, output=output, checkpoint=checkpoint, overlays=overlays, **files)
    from scripts.export import MAX_BYTES, export_bundle

    names = [name.strip() for name in overlays.split(",")] if overlays else []
    export = export_bundle(bundle, output, checkpoint, names, files)
    print(f"wrote {export.path}; models/model.pt has SHA-256 {export.model_sha256}")
    for file, size in export.too_large.items():
        megabytes, most = size / 2**20, MAX_BYTES / 2**20
        print(f"{file} has {megabytes:.0f} MB; the model zoo stores {most:.0f} at most: see its large_files.yml")
