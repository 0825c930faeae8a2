"""Tables 1 and 2 with the footnotes that follow from a run's own scans, labels and raters."""

import pandas as pd

from decoupled_qc.analysis.scores import is_rated_stand_in, is_stand_in
from decoupled_qc.paper import tables
from decoupled_qc.rating.agreement import agreement


def table_of_run(
    table: pd.DataFrame, wide: pd.DataFrame, manifest: pd.DataFrame, ratings: list[pd.DataFrame]
) -> tuple[str, pd.DataFrame, list[str]]:
    """Return a table's title, cells and footnotes by what the run says of its scans, labels and raters.

    Args:
        table: As :func:`decoupled_qc.paper.tables.correlation_table` returns it.
        wide: As :func:`decoupled_qc.analysis.scores.read_wide` returns it.
        manifest: The cohort.
        ratings: As :func:`decoupled_qc.rating.judgements.read_rater_table` returns them, for Table 2.
    """
    set_name, stand_in = table["set"].iloc[0], is_stand_in(wide)
    labels = tables.labels_of(manifest, set_name, stand_in)
    name, cells, lines = tables.parts(table, stand_in, is_rated_stand_in(wide), labels)
    subjects = wide[wide["condition"] == "real"].set_index("scan")["subject"]
    for one in ratings:
        lines += tables.rater_notes(agreement(one[one["scan"].isin(subjects.index)], subjects))
    return name, cells, lines
