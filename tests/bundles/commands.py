"""How tests run a bundle: as its users do, from the repository's root."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = "bundles/cxr_localization"
BUNDLE_RUN = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root", BUNDLE]


def configs(*names):
    return "[" + ",".join(f"'{BUNDLE}/configs/{name}.json'" for name in names) + "]"


def run(command, *arguments):
    result = subprocess.run([*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout + result.stderr
