"""Where runs are tracked; alone in a file so that asking does not cost the import of PyTorch and MONAI."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def store_address(tracking_uri: str | None) -> tuple[str, str | None]:
    """Tracking address with absolute paths, and where artifacts go (None: the server decides).

    Raises:
        ValueError: a folder, which MLflow no longer takes.
    """
    uri = str(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{PROJECT / 'mlflow.db'}")
    if "://" not in uri or uri.startswith("file:"):
        raise ValueError(
            f"tracking_uri '{uri}' is a folder, which MLflow no longer takes: "
            "use a database (sqlite:///path/mlflow.db) or a server (http://host:5000)"
        )
    if not uri.startswith("sqlite:///"):
        return uri, None
    database = Path(uri.removeprefix("sqlite:///")).resolve()
    return f"sqlite:///{database}", (database.parent / "mlartifacts").as_uri()
