"""Domains: what differs between chest films, endoscopic exams, chest CT and others, as data in `scripts/domains`."""

import json
from pathlib import Path

DOMAINS = Path(__file__).resolve().parents[1] / "domains"
"""One folder a domain that ships."""
REGIONS: tuple[str, ...] = tuple(json.loads((DOMAINS / "nasal" / "regions.json").read_text(encoding="utf-8")))
"""Regions of the nose and nasopharynx, in the order of their numbers."""
LABELS = ("NOR", "BH", "NPC")
