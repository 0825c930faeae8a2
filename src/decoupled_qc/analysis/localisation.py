"""Whether a head's variance lies where its artefact is."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.decoupling import COLUMNS
from decoupled_qc.analysis.resampling import mean_interval
from decoupled_qc.seeds import rng_for

PREFIX = "share_inside:"
VOLUME = "volume"


def localisation(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return which share of each head's variance lies inside the part of the scan that an artefact covers.

    Taken on simulated scans with one artefact that covers a part, the share as
    :func:`decoupled_qc.simulation.affected.share_inside` defines it. Quantities:

    - ``share_inside``: mean over an artefact's scans, a row per head; ``head`` ``volume`` is the part's share of the volume,
      which a map without any idea of the part would have.
    - ``share_inside_gain``: mean over scans of the own head's share less the volume's: 0 if its map is no denser where the
      artefact is, at most 1 less the volume's share. Also over all artefacts, ``all``.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap.
        seed: The run's.

    Returns:
        The columns of :data:`decoupled_qc.analysis.decoupling.COLUMNS`; NaN with a reason in ``note`` where a number does not
        exist. No row where no artefact is local.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        if PREFIX + VOLUME in one:
            local = one[one["condition"].str.startswith("sim-") & one[PREFIX + VOLUME].notna()]
            rows += [{**names, "set": "simulated", **row} for row in _rows(local, n_boot, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(local: pd.DataFrame, n_boot: int, seed: int) -> Iterator[dict]:
    """Yield the rows of one network."""
    heads = [name.removeprefix(PREFIX) for name in local if name.startswith(PREFIX)]
    known = local[local["artefact"].isin(heads)]
    for artefact, scans in known.groupby("artefact", sort=True):
        for head in heads:
            yield _mean(scans, scans[PREFIX + head], "share_inside", artefact, head, n_boot, seed)
    gains = [scans[PREFIX + name] - scans[PREFIX + VOLUME] for name, scans in known.groupby("artefact", sort=True)]
    for own in gains:
        artefact = known.loc[own.index[0], "artefact"]
        yield _mean(known.loc[own.index], own, "share_inside_gain", artefact, artefact, n_boot, seed)
    if gains:
        every = pd.concat(gains)
        yield _mean(known.loc[every.index], every, "share_inside_gain", "all", "own", n_boot, seed)


def _mean(
    scans: pd.DataFrame, values: pd.Series, quantity: str, artefact: str, head: str, n_boot: int, seed: int
) -> dict:
    """Return the row of a mean over scans."""
    present = values.notna()
    of_it = scans[present]
    n_subjects = of_it["subject"].nunique()
    notes = tables.left_out(len(of_it), len(scans))
    rng = rng_for(seed, quantity, artefact, head)
    low, high, note = mean_interval(values[present].to_numpy(), of_it["subject"].to_numpy(), n_boot, rng)
    notes.append(note if n_subjects else "no value: no scan")
    return {
        "quantity": quantity,
        "artefact": artefact,
        "head": head,
        "value": float(values[present].mean()) if n_subjects else np.nan,
        "ci_low": low,
        "ci_high": high,
        **tables.counted(of_it),
        "n_boot": n_boot,
        "note": "; ".join(filter(None, notes)),
    }
