"""What tells a folder of results of ours from any other."""

import json
from pathlib import Path

NAME = "decoupled-qc"
DESCRIPTION = "dataset_description.json"
REFERENCE = "reference.json"  # that of the model folder, copied
TABLE = "predictions.csv"
PAGE = "index.html"
ASSETS = "assets"  # the viewer of the pages
OWN_NAMES = (DESCRIPTION, REFERENCE, TABLE, PAGE, ASSETS)  # which no scan can have


def is_ours(folder: Path) -> bool:
    """Return whether the description in a folder, the first file that a run writes, names us as its maker."""
    try:
        makers = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["GeneratedBy"]
        return any(maker["Name"] == NAME for maker in makers)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
