"""One HTML page for all scans: a table, linked plots and a mosaic, outliers first."""

from pathlib import Path
from urllib.parse import quote

import pandas as pd

from decoupled_qc.apply.results_folder import PAGE, TABLE
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.report import wording
from decoupled_qc.templates import environment

ORDER = ("error", "fail", "review", "pass")
# Column, heading, decimals; those of each artefact come after them.
NUMBERS = (  # column, heading, digits of wording.number
    ("predicted_dice", "predicted Dice", 2),
    ("artefact_uncertainty", "artefact uncertainty", -3),
    ("percentile_clean", "% of clean below", 0),
    ("gm_volume_ml", "GM volume, mL", 0),
    ("snr", "SNR", 1),
    ("cnr", "CNR", 2),
    ("task_uncertainty", "task uncertainty", -3),
)
PREFIX = "uncertainty_"


def write_group_page(out: Path) -> Path:
    """Write ``out/index.html`` from ``out/predictions.csv``.

    Raises:
        InputError: There is no such table, or it has no row.
    """
    out = Path(out)
    table = out / TABLE
    if not table.is_file():
        raise InputError(f"{table} does not exist: give the folder that `decoupled-qc predict` wrote.")
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    if rows.empty:
        raise InputError(f"{table} has no scan: run `decoupled-qc predict` on some first.")
    artefacts = [name for name in rows.columns if name.startswith(PREFIX)]
    columns = [*NUMBERS, *((name, name.removeprefix(PREFIX) + " uncertainty", -3) for name in artefacts)]
    columns = [column for column in columns if column[0] in rows]
    scans = sorted((_scan(row, columns) for row in rows.to_dict("records")), key=_outliers_first)
    counts = {decision: sum(scan["decision"] == decision for scan in scans) for decision in ORDER}
    page = (
        environment("decoupled_qc.report")
        .get_template("group_page.html")
        .render(
            n_scans=len(scans),
            counts=counts,
            n_unlike=sum(bool(scan["unlike"]) for scan in scans),
            data={
                "scans": scans,
                "columns": [{"heading": heading, "digits": digits} for _, heading, digits in columns],
            },
        )
    )
    target = out / PAGE
    with write_whole(target) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def _scan(row: dict, columns: list) -> dict:
    """Return what the page needs of a row."""
    good = row["status"] == "ok"
    place = quote(f"{row['folder']}/{row['scan']}")
    return {
        "name": row["scan"],
        "page": f"{place}.html" if good else "",
        "picture": f"{place}_thumbnail.png" if good else "",
        "decision": row["decision"] if good else "error",
        "cause": row["cause"] if good else "",
        "note": row["error"] if not good else row["unlike_reason"],
        "unlike": good and wording.as_bool(row["unlike_training"]),
        "low": wording.as_float(row["predicted_dice_low"]),
        "high": wording.as_float(row["predicted_dice_high"]),
        "values": [_short(wording.as_float(row[name])) for name, _, _ in columns],
    }


def _short(value: float | None) -> float | None:
    """Return a number without the digits that nobody sees; they would double the page."""
    return None if value is None else float(f"{value:.5g}")


def _outliers_first(scan: dict) -> tuple:
    """Sort errors, then fail, review and pass; in each, unlike the training data first, then the lowest predicted Dice."""
    decision = ORDER.index(scan["decision"]) if scan["decision"] in ORDER else 0
    dice = scan["values"][0]
    return decision, not scan["unlike"], dice if dice is not None else 0.0, scan["name"]
