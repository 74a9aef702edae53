"""The verb that prepares CT volumes."""

from scripts.commands.command_line import check_paths, numbers, whole, yes_or_no


def preprocess_ct_command(
    datalist: str,
    *,
    output: str,
    anatomies: str = "ct_rate",
    label_table: str = "totalsegmentator_v2",
    spacing: str = "1,1,3",
    min_size: str = "112,256,352",
    segment: bool = False,
    language_model: str | None = None,
    workers: int | None = None,
) -> None:
    """Prepare CT volumes, their anatomy masks and reports for training: resampled, cropped, texts by anatomy.

    Goes on where a stopped run was. Volumes that cannot be prepared are set aside in rejected.jsonl with the reason.

    Examples:
        python -m scripts preprocess-ct data/ct_rate/raw.json --output data/ct_rate
        python -m scripts preprocess-ct raw.json --output data/mine --anatomies wide --segment --workers 8

    Args:
        datalist: records with image, report and, unless --segment, anatomy_mask.
        output: folder for the prepared volumes, masks and datalist.json.
        anatomies: ct_rate (4), wide (15), or the path of a table of your own.
        label_table: what the masks' values stand for: totalsegmentator_v2, or the path of a table.
        spacing: mm in x, y, z.
        min_size: voxels in z, y, x that a prepared volume has at least: what the network is trained on.
        segment: let TotalSegmentator, if installed, segment volumes that have no mask.
        language_model: folder or hub id of an instruction model that takes the reports apart; by default words do.
        workers: processes; by default one a processor.
    """
    check_paths(datalist=datalist, output=output, anatomies=anatomies, label_table=label_table, language_model=language_model)
    grid, least = numbers("spacing", spacing, 3, float), numbers("min_size", min_size, 3, int)
    processes, segmented = whole("workers", workers, least=1), yes_or_no("segment", segment)
    from scripts.preparation.prepare import prepare_datalist

    path = prepare_datalist(datalist, output, anatomies, label_table, grid, least, segmented, processes, language_model)
    print(f"wrote {path}")
