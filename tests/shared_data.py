"""Where real data lie that some tests want: ``DECOUPLED_QC_SHARED_DATA``, or a folder beside the repository."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("DECOUPLED_QC_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
