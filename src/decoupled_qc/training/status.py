"""Show how far each network of a run is, with the time left, from the logs; reads only, at any moment."""

import argparse
import re
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pandas as pd

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.training.pieces import STEP, gpus, share_of_last_piece

TIME = "%Y-%m-%d %H:%M:%S"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("results", type=Path, help="folder of the run, such as results/full")


def run(arguments: argparse.Namespace) -> None:
    """Print one line per network that has begun, and the sums of hours.

    Raises:
        InputError: No training has begun there.
    """
    table = read_status(arguments.results)
    if table.empty:
        raise InputError(f"{arguments.results / 'logs' / 'models'} holds no log: give the folder of a run that trains.")
    done = (table["state"] == "done").sum()
    print(table.to_string(index=False, na_rep="", float_format="{:.2f}".format))
    hours, gpu_hours = table[["hours", "gpu_hours"]].sum()
    print(f"{done} of {len(table)} begun networks are done; {hours:.2f} h of training, {gpu_hours:.2f} GPU hours")


def read_status(folder: Path) -> pd.DataFrame:
    """Return where each network stands.

    Args:
        folder: ``results/<run>``.

    Returns:
        ``network``; ``state``: done, failed, saved (stopped, goes on when started again) or training; ``step`` (of how many)
        as text; ``left_min``, minutes; ``hours``, of a training in pieces those of all, earlier ones at the last one's speed;
        ``gpu_hours``, these times the GPUs that the training said it is on; ``last_word``, time of the log's last line.
    """
    logs = sorted(Path(folder, "logs", "models").glob("*/rep-*.log"))
    return pd.DataFrame([_network(folder, log) for log in logs])


def _elapsed_s(stamps: list[str]) -> float:
    """Return the seconds between the first and the last stamp; where the clock was set back, none pass."""
    seconds = []
    for stamp in stamps:
        with suppress(ValueError):  # a damaged line
            seconds.append(datetime.strptime(stamp, TIME).timestamp())
    return sum(max(later - earlier, 0.0) for earlier, later in pairwise(seconds))


def _network(folder: Path, log: Path) -> dict[str, object]:
    """Return one row; a log that is still empty has begun and nothing else."""
    name = f"{log.parent.name}/{log.stem}"
    text = log.read_text(errors="replace")
    stamps = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", text, re.MULTILINE)
    hours = _elapsed_s(stamps) / 3600
    at = list(STEP.finditer(text))
    row = {"network": name, "state": "training", "step": "", "left_min": float("nan"), "hours": hours}
    if at:
        row |= {"step": f"{int(at[-1]['step']) + 1}/{at[-1]['steps']}", "left_min": float(at[-1]["left"])}
    if (folder / "models" / name).is_dir():
        benchmark = folder / "benchmarks" / "models" / f"{name}.tsv"
        row |= {"state": "done", "left_min": float("nan")}
        if benchmark.is_file():
            with suppress(LookupError, ValueError):  # not yet written to its end
                row["hours"] = float(read_cells(benchmark, "\t")["s"].iloc[-1]) / 3600
    elif "the state is saved in" in text:
        row["state"] = "saved"
    elif re.search(r"^\S+ \S+  \w*(Error|Exception): ", text, re.MULTILINE):
        row["state"] = "failed"
    row["hours"] /= share_of_last_piece(text)
    row["gpu_hours"] = row["hours"] * (gpus(text) or 0)
    return row | {"last_word": stamps[-1] if stamps else ""}
