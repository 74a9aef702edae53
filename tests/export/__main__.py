"""Every bundle exported, unpacked elsewhere, run and checked there: `python -m tests.export [BUNDLE ...]`, a line for each."""

import sys
import tempfile
from pathlib import Path

from tests.export.trial import BUNDLES, try_bundle


def main() -> None:
    for name in sys.argv[1:] or BUNDLES:
        with tempfile.TemporaryDirectory() as work:
            trial = try_bundle(name, Path(work))
            size = sum(path.stat().st_size for path in trial.folder.rglob("*") if path.is_file())
        found, findings = trial.found, sum(len(case["findings"]) for case in trial.predictions)
        print(
            f"{name}: {size / 1e6:.1f} MB; {len(trial.predictions)} case, {findings} findings; output {found['shape']} of spread "
            f"{found['spread']:.3f}; largest difference traced {found['traced']:.1e}, ONNX {found['onnx']:.1e}"
        )


if __name__ == "__main__":
    main()
