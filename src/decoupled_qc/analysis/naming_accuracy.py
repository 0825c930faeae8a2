"""How often the cause that a verdict would name is the right one, on test scans."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.decoupling import COLUMNS, TASK, heads_of, variance_of
from decoupled_qc.analysis.naming import cause_model, lead
from decoupled_qc.analysis.resampling import SHARE, mean_interval
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.seeds import rng_for

VALIDATION = "validation"  # the condition
ACCURACY, FORCED = (
    {"quantity": name, "artefact": "all", "head": "all"} for name in ("naming_accuracy", "naming_accuracy_if_forced")
)
LEAST_SUBJECTS = 2  # with validation scans of each kind, since one at a time is left out


def naming_accuracy(
    scores: pd.DataFrame, subjects: pd.DataFrame, *, error_rate: float, n_boot: int, seed: int
) -> pd.DataFrame:
    """Return what is named on test scans by a discriminant of the heads' variances that was fitted on validation scans.

    Attribution, in :func:`decoupled_qc.analysis.decoupling.decoupling`, asks each head alone how far it rises; this asks what
    all of them together tell, as a verdict does (:func:`decoupled_qc.analysis.naming.cause_model`). Quantities:

    - ``naming_accuracy``: share of corrupted scans of which the right artefact is named, ``none`` being an answer too.
    - ``naming_accuracy_if_forced``: the same of the likeliest artefact, ``none`` being no answer; chance is 1 / artefacts.
    - ``named``: share of an artefact's scans (``none``: of clean ones) that are given this cause.

    Sets: ``simulated`` and ``matched``, as there. Higher is better but for what is named wrongly.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        error_rate: Share of clean validation scans that may be given an artefact, (0, 1).
        n_boot: Draws of the subject bootstrap, of test subjects; the discriminant stays.
        seed: The run's.

    Returns:
        The columns of :data:`decoupled_qc.analysis.decoupling.COLUMNS`; NaN with a reason in ``note`` where there is no number.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        heads = [head for head in heads_of(one) if head != TASK]
        measured = one.rename(columns={variance_of(head): f"uncertainty_{head}" for head in heads})
        measured = measured.dropna(subset=[f"uncertainty_{head}" for head in heads])
        validation = measured[measured["condition"] == VALIDATION]
        n_subjects = validation.groupby("artefact")["subject"].nunique()
        artefacts = [head for head in heads if n_subjects.get(head, 0) >= LEAST_SUBJECTS]
        known = measured["artefact"].isin([*artefacts, NO_ARTEFACT])
        sets = {
            "simulated": tables.simulated(measured),
            "matched": measured["condition"].str.startswith("sweep-"),
        }
        if len(artefacts) < 2 or n_subjects.get(NO_ARTEFACT, 0) < LEAST_SUBJECTS:
            row = {"set": "simulated", **ACCURACY, **tables.counted(measured[sets["simulated"]]), "n_boot": n_boot}
            note = f"no value: no validation scans of {LEAST_SUBJECTS} subjects, clean and with two artefacts"
            rows.append({**names, **row, "note": note})
            continue
        model, _ = cause_model(measured[(measured["condition"] == VALIDATION) & known], artefacts, 1 - error_rate)
        for set_name, members in sets.items():
            scans = measured[members & known]
            if scans["artefact"].isin(artefacts).any():
                found = _rows(scans, model, artefacts, set_name, n_boot, seed)
                rows += [{**names, "set": set_name, **row} for row in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(
    scans: pd.DataFrame, model: dict, artefacts: list[str], set_name: str, n_boot: int, seed: int
) -> Iterator[dict]:
    """Yield the accuracies, then the confusions, of one network and set."""
    found = [lead(scan, model["functions"], artefacts) for scan in scans.to_dict("records")]
    likeliest, excess = map(np.array, zip(*found, strict=True))
    named = np.where(excess > model["threshold"], likeliest, NO_ARTEFACT)
    truth = scans["artefact"].to_numpy()
    corrupted = truth != NO_ARTEFACT
    cells = [(ACCURACY, corrupted, named == truth), (FORCED, corrupted, likeliest == truth)]
    cells += [
        ({"quantity": "named", "artefact": kind, "head": cause}, truth == kind, named == cause)
        for kind in (NO_ARTEFACT, *artefacts)
        if (truth == kind).any()
        for cause in (NO_ARTEFACT, *artefacts)
    ]
    for cell, member, right in cells:
        of_it, values = scans[member], right[member].astype(float)
        rng = rng_for(seed, "naming", set_name, *cell.values())
        low, high, note = mean_interval(values, of_it["subject"].to_numpy(), n_boot, rng, bounds=SHARE)
        yield {
            **cell,
            "value": values.mean(),
            "ci_low": low,
            "ci_high": high,
            **tables.counted(of_it),
            "n_boot": n_boot,
            "note": note,
        }
