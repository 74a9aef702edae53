#!/usr/bin/env bash
# MLflow's pages for one person: this project's own runs, seen from this machine alone.
#   mlflow/serve.sh [PORT]
set -euo pipefail
cd "$(dirname "$0")/.."
export MLFLOW_DISABLE_TELEMETRY=true
exec "${PYTHON:-.venv/bin/python}" -m mlflow server --host 127.0.0.1 --port "${1:-5000}" --workers 1 \
    --backend-store-uri sqlite:///mlflow.db --artifacts-destination mlartifacts
