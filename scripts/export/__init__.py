"""Bundles -> folders and archives that stand alone: configs, documents, weights and the Python that they need."""

from scripts.export.bundle import Export as Export
from scripts.export.bundle import export_bundle as export_bundle
from scripts.export.rules import MAX_BYTES as MAX_BYTES
