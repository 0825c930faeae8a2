"""Write RESULTS.md from the tables of all benchmarks: the machine, what was asked for, and what was measured.

    python benchmarks/results.py FOLDER

FOLDER holds the csv of each benchmark, made in one run of `make bench`. A table with a column ``ratio`` compares ours with a
reference; one named ``*scaling`` is drawn as curves; any other stands as it is.
"""

import csv
import platform
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import matplotlib
import pandas as pd
import psutil
import torch
from matplotlib import pyplot as plt
from matplotlib.ticker import EngFormatter, NullFormatter, NullLocator
from quality import quality_verdicts

from decoupled_qc.figures.style import COLOURS, MARKERS, RC

RUNS, HOSTILE = "runs.csv", "hostile.csv"
# (benchmark, name, reference) → largest ratio; a name or reference of None stands for all.
TARGETS = {
    ("simulate", None, "bare FFT pair"): 1.5,
    ("simulate", None, "TorchIO"): 0.5,
    ("simulate", "motion", "three FFT pairs and four resamplings"): 1.0,
    ("simulate_memory", "motion", "complex volume"): 6.0,
    ("simulate_gpu", None, "asked for"): 1.0,
    ("train", "task step", None): 1 / 0.85,
    ("train", "student step", None): 1 / 0.7,
    ("train", "bare step, plain heads", None): 1.0,
    ("train_memory", "bare step, plain heads", None): 1.0,
    ("inference", None, None): 1.0,
    ("inference_memory", None, None): 1.0,
    ("analysis_peers", None, "pingouin.compute_bootci, which draws scans"): 1.0,
    ("analysis_peers", None, "SciPy in a loop over drawn subjects"): 1.0,
}
NOT_ASKED = {("simulate", "bias", "bare FFT pair")}  # it acts on the image
# (benchmark, first cell of the row, column) → largest value, with its unit.
LIMITS = {
    ("dag", "full configuration", "seconds"): (10.0, "s"),
    ("dag", "10000 scans", "seconds"): (30.0, "s"),
    ("audit", "5000 scans", "audit_s"): (300.0, "s"),
    ("analysis", "all", "seconds"): (600.0, "s"),
    ("analysis", "all", "peak_gib"): (4.0, "GiB"),
    ("analysis", "demo", "seconds"): (180.0, "s"),
    ("predict", "second scan", "s"): (60.0, "s"),
    ("predict", "second scan", "peak_gib"): (4.0, "GiB"),
}
# Why a target is missed, by (benchmark, name, first word of the reference), None for all; as far as it was found out.
MORE_MAPS = "ours holds probabilities and variances beside the network's outputs, the peers the outputs alone"
K_SPACE = (
    "TorchIO drops planes and interpolates in the image; ours cuts k-space, as a scanner does, and a bare FFT pair alone takes "
    "about as long as TorchIO's whole transform"
)
RICIAN = "TorchIO adds real noise, one draw a voxel; ours complex noise, two draws, of which it takes the magnitude"
NOT_FOUND = "not found: widths, depth and number format are the same"
WHY = {
    ("inference_memory", None, None): MORE_MAPS,
    ("simulate", "blur", "TorchIO"): K_SPACE,
    ("simulate", "noise", "TorchIO"): RICIAN,
    ("simulate", "motion", "TorchIO"): "both resample the scan once a pose; rounds lie on both sides of the target",
    ("train", "bare step, plain heads", None): NOT_FOUND,
    ("train_memory", "bare step, plain heads", None): NOT_FOUND,
    ("simulate_gpu", None, None): "no GPU on the machine of this run",
}
QUALITY_WHY = {
    "demo": "the demo trains minutes, not days, and its test head is one that no network has seen: on validation scans Dice is "
    "0.87 and rho −0.86; contrast hardly varies between warps of one head, so CNR there follows the artefact alone",
    "release": "a copy resampled linearly is smoother and lies on another grid: 15 of the 17 score 6 to 29 % higher; a spike of "
    "the least of these severities takes as much Dice as of the most; scan by scan: `benchmarks/release`",
}
HEAD = ["benchmark", "what", "against", "measured", "asked", "met"]


def target(benchmark: str, name: str, reference: str) -> float | None:
    """Return the largest ratio asked for, if any; a peer is meant by the first word of the reference."""
    if (benchmark, name, reference) in NOT_ASKED:
        return None
    of_peer = (benchmark, None, reference.split()[0])
    any_peer = (benchmark, None, None)
    for key in (
        (benchmark, name, reference),
        (benchmark, name, None),
        (benchmark, None, reference),
        of_peer,
        any_peer,
    ):
        if key in TARGETS:
            return TARGETS[key]
    return None


def write(folder: Path) -> Path:
    """Write the page and its curves; return its path."""
    page = folder / "RESULTS.md"
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv")) if path.name not in (RUNS, HOSTILE)}
    draw(tables, folder / "scaling.png")
    page.write_text("\n".join(lines(folder, tables)) + "\n")
    return page


def lines(folder: Path, tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Yield the page's lines."""
    memory_gib = psutil.virtual_memory().total / 2**30
    yield "# Benchmarks"
    yield ""
    yield (
        f"Measured on {date.today()}: {cpu()}, {psutil.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}. Medians, ours and its reference in turn in one "
        "process, so that the ratio holds on a busy machine where the seconds do not; in brackets the lowest and highest ratio "
        "of a single round. Ratio: ours over the reference, below 1 is better. Again: `make bench`."
    )
    found = list(verdicts(tables))
    yield from [
        "",
        "## What was asked for",
        "",
        f"{sum(met for *_, met in found)} of {len(found)} targets are met.",
        "",
    ]
    yield from grid(HEAD, ([*cells, "yes" if met else "**no**"] for *cells, met in found))
    yield from reasons(found)
    yield from quality()
    yield from hostile(folder / HOSTILE)
    if (folder / RUNS).is_file():
        failed = [row for row in csv.reader((folder / RUNS).open()) if row[2] and row[0] != "name"]
        if failed:
            yield from ["", "## What did not run", ""]
            yield from grid(["benchmark", "reason"], ([name, reason] for name, _, reason in failed))
    if any(name.endswith("scaling") for name in tables):
        yield from [
            "",
            "## How it grows",
            "",
            "![Seconds and memory against size, threads, scans and draws](scaling.png)",
        ]
    for name, table in tables.items():
        yield from ["", f"## {name}", ""]
        if "ratio" in table:
            yield from compared(table)
        else:
            yield from grid(list(table), ([short(cell) for cell in row] for row in table.to_numpy()))


def verdicts(tables: dict[str, pd.DataFrame]) -> Iterator[tuple]:
    """Yield the cells of each target and whether it is met; what was asked and not measured is not met."""
    measured = set()
    for name, table in tables.items():
        for _, row in table.iterrows():
            asked = target(name, row["name"], row["reference"]) if "ratio" in table else None
            if asked is not None:
                ratio = f"{row['ratio']:.2f}{spread(row)}"
                yield name, row["name"], row["reference"], ratio, f"≤ {asked:.3g}", row["ratio"] <= asked
                measured.add(name)
            for (benchmark, first, column), (most, unit) in LIMITS.items():
                if benchmark == name and first == row.iloc[0]:
                    yield name, first, "", f"{row[column]:.3g} {unit}", f"≤ {most:g} {unit}", row[column] <= most
                    measured.add(name)
    for name in sorted({key[0] for key in (*TARGETS, *LIMITS)} - measured):
        yield name, "everything", "", "not measured", "", False


def reasons(found: list[tuple]) -> Iterator[str]:
    """Yield why each target of speed or memory that is missed is."""
    missed = [(benchmark, name, reference) for benchmark, name, reference, *_, met in found if not met]
    rows = []
    for benchmark, name, reference in missed:
        keys = ((benchmark, name, reference.partition(" ")[0]), (benchmark, name, None), (benchmark, None, None))
        rows.append([benchmark, name, reference, next((WHY[key] for key in keys if key in WHY), "not found out yet")])
    if rows:
        yield from ["", "Why not:", "", *grid([*HEAD[:3], "reason"], rows)]


def quality() -> Iterator[str]:
    """Yield what the committed results had to show."""
    found = list(quality_verdicts())
    yield from ["", "## What the results had to show", ""]
    yield f"{sum(met for *_, met in found)} of {len(found)} targets are met, by the results in this repository."
    yield ""
    head = ["results", "what", "n", "measured", "asked", "met"]
    yield from grid(head, ([*cells, "yes" if met else "**no**"] for *cells, met in found))
    missed = dict.fromkeys(cells[0] for *cells, met in found if not met)
    yield from ["", *(f"- {name}: {QUALITY_WHY.get(name, 'not found out yet')}." for name in missed)]


def compared(table: pd.DataFrame) -> Iterator[str]:
    """Yield a table of comparisons, ratios first."""
    unit = table.columns[1]
    yield from grid(
        ["ratio", "ours", unit, "reference", unit],
        (
            [
                f"{row['ratio']:.2f}{spread(row)}",
                row["name"],
                short(row[unit]),
                row["reference"],
                short(row[f"reference_{unit}"]),
            ]
            for _, row in table.iterrows()
        ),
    )


def hostile(path: Path) -> Iterator[str]:
    """Yield how many hostile cases were tried, and how many failed."""
    if path.is_file():
        table = pd.read_csv(path)
        tried, failed = table["tried"].sum(), table["failed"].sum()
        yield from ["", "## Hostile input", ""]
        yield (
            f"{tried} cases tried, {failed} failed: a case fails if it ends in anything but a right result or one clear "
            "sentence, or leaves something half-written."
        )
        yield ""
        yield from grid(list(table), (map(str, row) for row in table.to_numpy()))


def grid(header: list[str], rows) -> Iterator[str]:
    """Yield a Markdown table."""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def short(cell: object) -> str:
    """Return a cell with three digits."""
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def spread(row: pd.Series) -> str:
    """Return the range of a ratio over the rounds, if it was kept."""
    return f" ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})" if "ratio_low" in row else ""


def draw(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw seconds and memory of every table of growth against what grows, on logarithmic axes."""
    curves = [table for name, table in tables.items() if name.endswith("scaling")]
    if not curves:
        return
    found = pd.concat(curves)
    kinds = list(found["against"].unique())
    with matplotlib.rc_context(RC):
        figure, axes = plt.subplots(2, len(kinds), figsize=(1.9 * len(kinds), 3.6), squeeze=False, sharex="col")
        for column, against in enumerate(kinds):
            groups = found[found["against"] == against].groupby("name", sort=False)
            for number, (name, one) in enumerate(groups):
                look = {"color": COLOURS[number], "marker": MARKERS[number], "markersize": 3, "label": name}
                axes[0, column].plot(one["value"], one["seconds"], **look)
                axes[1, column].plot(one["value"], one["mib"].clip(lower=0.1), **look)
            for row, unit in enumerate(("seconds", "MiB")):
                axis = axes[row, column]
                drawn = [value for line in axis.get_lines() for value in line.get_ydata()]
                # At least a decade and a half, so that what hardly grows looks so.
                limits = min(drawn) / 2, max(2 * max(drawn), 15 * min(drawn))
                axis.set(xscale="log", yscale="log", ylim=limits, ylabel=unit if column == 0 else "")
                axis.yaxis.set_minor_formatter(NullFormatter())
            lowest = axes[1, column]
            lowest.set(xlabel=against, xticks=sorted(found.loc[found["against"] == against, "value"].unique()))
            lowest.xaxis.set_major_formatter(EngFormatter(places=0, sep=""))
            lowest.xaxis.set_minor_locator(NullLocator())
            lowest.tick_params("x", rotation=45)
            axes[0, column].legend()
        figure.savefig(path)
        plt.close(figure)


def cpu() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        if named:
            return named[0]
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
