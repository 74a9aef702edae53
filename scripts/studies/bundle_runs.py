"""Commands of bundles that a study is made of, each run once."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.files.atomic import write_json_atomically
from scripts.files.errors import UserError

COMMAND, SUCCESS, CHECKPOINT = "command.json", "success.json", "checkpoint_last.pt"


class BundleRuns:
    """Runs `python -m monai.bundle run` with a folder for each command; what has ended is not run again.

        runs = BundleRuns("runs/study", {"dataset_dir": "data/phantoms/ct"})
        trained = runs.run("plain_1", "bundles/ct_anatomy_zeroshot", ["train", "phantom"], {"calibrated": False})
        figures = runs.run("plain_1/test", "bundles/ct_anatomy_zeroshot", ["evaluate", "phantom"], {"checkpoint": ...})

    A training that was cut off goes on from its last checkpoint. What a command prints goes to log.txt in its folder.

    Args:
        folder: of the study.
        arguments: of all commands.
        threads: of each command; None leaves it to the machine.
    """

    def __init__(self, folder: str | Path, arguments: Mapping[str, Any], threads: int | None = None) -> None:
        self.folder = Path(folder)
        self.arguments = dict(arguments)
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if threads is not None:
            self.environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}

    def run(self, name: str, bundle: str, configs: Sequence[str], arguments: Mapping[str, Any]) -> Path:
        """Run a command where it has not ended yet.

        Args:
            name: its folder beneath the study's; `output_dir` of the command.
            bundle: folder of the bundle.
            configs: names of its config files, each merged over those before.
            arguments: values of the configs' ids, over those of all commands.

        Returns:
            the folder.

        Raises:
            UserError: the command failed (the end of its log says why), or the folder holds what another command made.
        """
        folder = self.folder / name
        asked = {
            "bundle": bundle,
            "configs": list(configs),
            "arguments": {k: str(v) for k, v in (self.arguments | dict(arguments)).items()},
        }
        self._check_same(folder, asked)
        if (folder / SUCCESS).is_file():
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json_atomically(folder / COMMAND, asked)
        command = self._command(folder, asked)
        if "train" in configs and (folder / CHECKPOINT).is_file():
            command += ["--resume", "True"]
        with open(folder / "log.txt", "a", encoding="utf-8") as log:
            status = subprocess.run(command, stdout=log, stderr=log, check=False, env=self.environment).returncode
        if status:
            raise UserError(f"{' '.join(command)} ended with status {status}; the end of {folder / 'log.txt'} says why")
        os.replace(folder / COMMAND, folder / SUCCESS)
        return folder

    def _check_same(self, folder: Path, asked: dict[str, Any]) -> None:
        """See that what has ended in a folder, or would be resumed there, is what is asked for now."""
        begun = (SUCCESS, COMMAND) if (folder / CHECKPOINT).is_file() else (SUCCESS,)
        made = next((json.loads((folder / file).read_text(encoding="utf-8")) for file in begun if (folder / file).is_file()), asked)
        differs = {key: (made.get(key), asked[key]) for key in asked if made.get(key) != asked[key]}
        if differs:
            what = "; ".join(f"{key} were {old}, are now {new}" for key, (old, new) in differs.items())
            raise UserError(f"{folder} was made by another command ({what}): give the study another folder, or delete this one")

    def _command(self, folder: Path, asked: dict[str, Any]) -> list[str]:
        files = ",".join(f"'{asked['bundle']}/configs/{name}.json'" for name in asked["configs"])
        command = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root", asked["bundle"], "--config_file", f"[{files}]"]
        values = {"output_dir": str(folder), "run_name": folder.relative_to(self.folder).as_posix(), **asked["arguments"]}
        return command + [part for key, value in values.items() for part in (f"--{key}", value)]
