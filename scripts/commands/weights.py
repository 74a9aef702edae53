"""Verbs that convert and export weights."""

from scripts.commands.command_line import check_paths, known, whole, yes_or_no

WEIGHT_METHODS = ("afloc", "fvlm")


def convert_weights_command(method: str, checkpoint: str, *, output: str, attention_heads: int | None = None) -> None:
    """Convert a published checkpoint into a file of this project's network; only tensors are taken from it.

    Methods: afloc, fvlm. The latter is the released CT-RATE model of 4 organs.

    Examples:
        python -m scripts convert-weights afloc afloc.ckpt --output bundles/cxr_localization/models/afloc.pt
        python -m scripts convert-weights fvlm model.pth --output bundles/ct_anatomy_zeroshot/models/fvlm.pt

    Args:
        method: whose checkpoint it is.
        checkpoint: the published file.
        output: file to write, for `torch.load(weights_only=True)`.
        attention_heads: of the text encoder, where its size does not follow BERT's one for 64 dimensions.
    """
    known("method", method, WEIGHT_METHODS)
    check_paths(checkpoint=checkpoint, output=output)
    heads = whole("attention_heads", attention_heads, least=1)
    if method == "fvlm":
        from scripts.weights.fvlm import convert
    else:
        from scripts.weights.afloc import convert
    for key, value in convert(checkpoint, output, heads).items():
        print(f"{key}: {value}")


def export_weights_command(checkpoint: str, *, output: str, half: bool = False) -> None:
    """Make a training's checkpoint ready to hand on: network and tokenizer alone, a fraction of the size.

    Examples:
        python -m scripts export-weights bundles/cxr_localization/runs/train/checkpoint_best.pt --output models/mine
        python -m scripts export-weights runs/train/checkpoint_last.pt --output models/mine --half

    Args:
        checkpoint: file that a training wrote, with `text_model` beside it.
        output: folder for model.pt and text_model; `evaluate.json` adds calibration.pt.
        half: weights in 16 bits.
    """
    check_paths(checkpoint=checkpoint, output=output)
    halved = yes_or_no("half", half)
    from scripts.weights import export_weights

    path = export_weights(checkpoint, output, halved)
    print(f"wrote {path}, {path.stat().st_size / 2**20:.1f} MiB")
