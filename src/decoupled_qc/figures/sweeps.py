"""The scans behind a curve along severity."""

from collections.abc import Iterable

import pandas as pd


def swept_scans(wide: pd.DataFrame, artefacts: Iterable[str]) -> pd.DataFrame:
    """Return the scans of artefacts' sweeps, and the same subjects' clean scans as severity 0 of those that have none.

    Args:
        wide: One row a scan.
        artefacts: Names; one without a sweep adds nothing.

    Returns:
        Rows of ``wide``; ``artefact`` is the sweep's, of clean scans too.
    """
    parts, clean = [], wide[wide["condition"] == "clean"]
    for name in artefacts:
        sweep = wide[wide["condition"] == f"sweep-{name}"]
        without = set(sweep["subject"]) - set(sweep.loc[sweep["severity"] == 0, "subject"])
        parts += [clean[clean["subject"].isin(without)].assign(artefact=name, severity=0.0), sweep]
    return pd.concat(parts, ignore_index=True)
