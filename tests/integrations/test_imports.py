"""Reviews and the commands that move JSON do without PyTorch: they start at once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIGHT = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for room in ("integrations/review", "integrations/dicom", "integrations/label_studio")
    for file in (ROOT / room).rglob("*.py")
    # These two hand what they are given to MLflow and to a network.
    if file.name not in ("__init__.py", "tracking.py") and file.parent.name != "backend"
)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_no_module_but_the_backend_and_tracking_loads_a_network():
    assert "integrations.label_studio.push" in LIGHT and "integrations.review.agreement" in LIGHT
    imports = "; ".join(f"import {name}" for name in LIGHT)
    assert run(f"import sys; {imports}; print([name for name in ('torch', 'monai', 'mlflow') if name in sys.modules])") == "[]"


@pytest.mark.parametrize("module", ["integrations.review", "integrations.label_studio.__main__"])
def test_the_command_line_loads_no_pictures_either(module):
    heavy = ("torch", "monai", "mlflow", "label_studio_sdk", "cv2", "nibabel", "matplotlib")
    assert run(f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])") == "[]"
