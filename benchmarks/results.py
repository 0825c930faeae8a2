"""Write RESULTS.md from the tables of all benchmarks: the machine, what was asked for, and what was measured.

    python benchmarks/results.py FOLDER

FOLDER holds the csv of each benchmark, and when and where each was run (``runs.csv``), as `make bench` leaves them. A table
with a column ``ratio`` compares ours with a reference; one named ``*scaling`` is drawn as curves; any other stands as it is.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter, NullLocator
from quality import quality_verdicts

from decoupled_qc.figures.style import MARKERS, RC, TONES, palette

RUNS, HOSTILE = "runs.csv", "hostile.csv"
# (benchmark, name, reference) → largest ratio; a reference is meant by its first words.
TARGETS = {
    **{
        ("simulate", artefact, "bare FFT pair"): 1.5
        for artefact in ("blur", "ghosting", "noise", "spike", "wrap", "zipper")
    },
    **{
        ("simulate", artefact, "TorchIO"): 0.5
        for artefact in ("bias", "blur", "ghosting", "motion", "noise", "spike", "wrap")
    },
    ("simulate", "motion", "three FFT pairs and four resamplings"): 1.0,
    ("simulate_memory", "motion", "complex volume"): 6.0,
    **{("gpu", what, "asked for"): 1.0 for what in ("motion", "noise", "spike", "blur", "wrap", "second scan")},
    ("gpu", "task step", "its bare step"): 1 / 0.85,
    ("gpu", "student step", "its bare step"): 1 / 0.7,
    ("gpu_memory", "paper's student step", "asked for"): 1.0,
    ("train", "task step", "its bare step"): 1 / 0.85,
    ("train", "student step", "its bare step"): 1 / 0.7,
    **{
        (benchmark, "bare step, plain heads", peer): 1.0
        for benchmark in ("train", "train_memory")
        for peer in ("MONAI", "nnU-Net")
    },
    **{
        (benchmark, "volume", peer): 1.0
        for benchmark in ("inference", "inference_memory")
        for peer in ("MONAI", "TorchIO")
    },
    ("analysis_peers", "interval of rho", "pingouin"): 1.0,
    ("analysis_peers", "interval of rho", "SciPy"): 1.0,
}
# (benchmark, first cell of the row, column) → largest value, with its unit.
LIMITS = {
    ("dag", "full configuration", "seconds"): (10.0, "s"),
    ("dag", "reproduction on MR-ART", "seconds"): (10.0, "s"),
    ("dag", "10000 scans", "seconds"): (30.0, "s"),
    ("dag", "verdicts on 10000 scans", "seconds"): (30.0, "s"),
    ("audit", "5000 scans", "audit_s"): (300.0, "s"),
    ("analysis", "all", "seconds"): (600.0, "s"),
    ("analysis", "all", "peak_gib"): (4.0, "GiB"),
    ("analysis", "demo", "seconds"): (180.0, "s"),
    ("demo", "make demo", "seconds"): (2400.0, "s"),
    ("suites", "make test", "seconds"): (900.0, "s"),
    ("suites", "make test-slurm", "seconds"): (900.0, "s"),
    ("suites", "make smoke", "seconds"): (180.0, "s"),
    ("demo", "make demo", "peak_gib"): (8.0, "GiB"),
    ("predict", "second scan", "s"): (60.0, "s"),
    ("predict", "second scan", "peak_gib"): (4.0, "GiB"),
}
# Why a target is missed, by (benchmark, name, first word of the reference), None for all; as far as it was found out.
RICIAN = "TorchIO adds real noise, one draw a voxel; ours complex noise, two draws, of which it takes the magnitude"
POOLING = (
    "the paper's network pools and interpolates where the peers' convolutions stride: in a profile of one thread max-pooling and "
    "trilinear interpolation are 7 % of our step, and both keep volumes (pooling its indices, 8 bytes each) for the way back"
)
SLOWER = (
    "from a fresh clone on a shared machine, with tests beside; one without these took 2826 s there. The recipe before, with 500 "
    "steps for each teacher in place of 750, took 1862 s on a machine that needed two thirds of the processor time a step"
)
SHEARS = (
    "four Fourier shears a pose keep the noise of what they move, of which a trilinear one, TorchIO's default, leaves a quarter; "
    "by B-splines TorchIO takes seven times as long as ours"
)
STARTS = "trainings of 16 steps, with what they do once before the first; not measured since that is taken off"
WHY = {
    ("simulate", "noise", "TorchIO"): RICIAN,
    (
        "simulate",
        "blur",
        "TorchIO",
    ): "0.46 the day before on a machine of the same kind; what slows it now was not found",
    ("simulate", "motion", None): SHEARS,
    ("inference", None, "MONAI"): "both are MONAI's sliding window; rounds lie on both sides of the target",
    ("train", "bare step, plain heads", None): POOLING,
    ("gpu", None, "its"): STARTS,
    ("demo", "make demo", None): SLOWER,
    (
        "suites",
        "make test-slurm",
        None,
    ): "two more tests than before and others longer, and another run beside; not timed alone",
    (
        "suites",
        "make smoke",
        None,
    ): "82 jobs, each a start of Python of some seconds; measured on the slower machine without AVX-512",
    ("gpu", "motion", None): "no GPU since it moves by shears; by interpolation, which it replaced, a volume took 7 ms",
    ("gpu", "second scan", None): "no GPU since it was asked for",
    ("gpu_memory", None, None): "no GPU since it was asked for",
}
UNKNOWN = "not looked into yet"
# What makes a table that `make bench` does not.
ELSEWHERE = {
    "baselines": "`benchmarks/baselines.py`, from the demo's run with `config/baselines.yaml`",
    "ds002748": "Table 1 of the run with `config/ds002748.yaml`",
    "effect": "`benchmarks/effect.py`, on the demo's test scans",
    "label_agreement": "`benchmarks/label_agreement.py`",
    "label_agreement_s1": "the rule that labels S1, in each run that uses that head",
    "mended": "written by hand, each row from two runs on one machine on the day that it names",
    "mrart": "`benchmarks/mrart.py`, from the published ratings and measures of MR-ART",
    "outside": "`benchmarks/outside.py`, from the demo's run and others that differ in `corruption.outside_probability`",
    "seeds": "`analysis/replicates.csv` of the demo with `--config replicates=3`",
    "suites": "written by hand, each row from a run on the day that it names",
    "variants": "`benchmarks/variants.py`, from the demo's run with its variants",
}
OF_ARTEFACT = palette(["spike", "noise", "blur", "wrap", "motion"], [])  # as in the figures of a run
QUALITY_WHY = {
    "simulator": "in 1 of 12 subjects motion, at two of six severities, in up to 2 wrap changes a head less at one severity "
    "than at the one before; the mean over subjects rises (`benchmarks/effect.csv`)",
    "demo": "CNR in reference masks sees the reference (`docs/results.md`); "
    "the network sees the surroundings of the brain (`config/README.md`, artefacts outside the brain)",
    "release": "a copy resampled linearly is smoother and lies on another grid: all 17 score 10 to 23 % higher; under wrap the "
    "variance of motion rises more often than wrap's; scan by scan: `benchmarks/release`",
}
HEAD = ["benchmark", "what", "against", "measured", "asked", "met"]


def asked_of(benchmark: str, name: str, reference: str) -> tuple[str, str, str] | None:
    """Return the key of the target of a measured ratio, if there is one."""
    for key in TARGETS:
        if key[0] == benchmark and name.startswith(key[1]) and reference.startswith(key[2]):
            return key
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
    runs = pd.read_csv(folder / RUNS, index_col="name", keep_default_na=False)
    yield "# Benchmarks"
    yield ""
    yield (
        "Medians, ours and its reference in turn in one process, so that the ratio holds on a busy machine where the seconds do "
        "not; in brackets the lowest and highest ratio of a single round. Ratio: ours over the reference, below 1 is better. "
        "A target is met by the median; where brackets reach beyond it, another run may miss it. "
        "`analysis`, `audit` and `demo` are timed once. "
        "Each table says when and where it was measured, or what makes it. Again: `make bench`, which measures on a GPU too "
        "where there is one."
    )
    yield from quality()
    found = list(verdicts(tables))
    yield from [
        "",
        "## Speed and memory",
        "",
        f"{sum(met for *_, met in found)} of {len(found)} targets are met.",
        "",
    ]
    yield from grid(HEAD, ([*cells, "yes" if met else "**no**"] for *cells, met in found))
    yield from reasons(found)
    yield from hostile(folder / HOSTILE)
    failed = runs[runs["reason"] != ""]
    if len(failed):
        yield from ["", "## What did not run", ""]
        yield from grid(["benchmark", "reason"], failed["reason"].items())
    if any(name.endswith("scaling") for name in tables):
        yield from [
            "",
            "## How it grows",
            "",
            "![Seconds and memory against size, threads, scans and draws](scaling.png)",
        ]
    for name, table in tables.items():
        yield from ["", f"## {name}", "", *measured_on(name, runs)]
        if "ratio" in table:
            yield from compared(table)
        else:
            yield from grid(list(table), ([short(cell) for cell in row] for row in table.to_numpy()))


def measured_on(table: str, runs: pd.DataFrame) -> Iterator[str]:
    """Yield when `make bench` ran what wrote a table; of any other table what makes it."""
    for name, run in runs.iterrows():
        if table == name or table.startswith(f"{name}_"):
            yield from [f"Measured on {run['date']}, {run['machine']}.", ""]
            return
    yield from [f"Not by `make bench`: {ELSEWHERE[table]}.", ""]


def verdicts(tables: dict[str, pd.DataFrame]) -> Iterator[tuple]:
    """Yield the cells of each target and whether it is met; what was asked and not measured is not met."""
    measured = set()
    for name, table in tables.items():
        for _, row in table.iterrows():
            key = asked_of(name, row["name"], row["reference"]) if "ratio" in table else None
            if key:
                digits = 3 if f"{row['ratio']:.2f}" == f"{TARGETS[key]:.2f}" else 2
                ratio = f"{row['ratio']:.{digits}f}{spread(row)}"
                yield name, row["name"], row["reference"], ratio, f"≤ {TARGETS[key]:.3g}", row["ratio"] <= TARGETS[key]
                measured.add(key)
            for limit, (most, unit) in LIMITS.items():
                if limit[:2] == (name, row.iloc[0]):
                    value = float(row[limit[2]])
                    yield name, limit[1], "", f"{short(value)} {unit}", f"≤ {most:g} {unit}", value <= most
                    measured.add(limit)
    for benchmark, name, reference in (key for key in (*TARGETS, *LIMITS) if key not in measured):
        yield benchmark, name or "everything", reference, "not measured", "", False


def reasons(found: list[tuple]) -> Iterator[str]:
    """Yield why each target of speed or memory that is missed is."""
    missed = [(benchmark, name, reference) for benchmark, name, reference, *_, met in found if not met]
    rows = []
    for benchmark, name, reference in missed:
        first = reference.partition(" ")[0]
        keys = ((benchmark, name, first), (benchmark, None, first), (benchmark, name, None), (benchmark, None, None))
        rows.append([benchmark, name, reference, next((WHY[key] for key in keys if key in WHY), UNKNOWN)])
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
    """Return a cell with three digits; a whole number from a thousand to a million; nothing for what does not exist."""
    if pd.isna(cell):
        return ""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if 1e3 <= abs(cell) < 1e6 else f"{cell:.3g}"


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
                colour = OF_ARTEFACT.get(name.split(",")[0], TONES[number % len(TONES)])
                look = {"color": colour, "marker": MARKERS[number], "markersize": 3, "label": name}
                axes[0, column].plot(one["value"], one["seconds"], **look)
                axes[1, column].plot(one["value"], one["mib"].clip(lower=0.1), **look)
            for row, unit in enumerate(("seconds", "peak memory above\nthe start (MiB)")):
                axis = axes[row, column]
                drawn = [value for line in axis.get_lines() for value in line.get_ydata()]
                # At least a decade and a half, so that what hardly grows looks so.
                limits = min(drawn) / 2, max(2 * max(drawn), 15 * min(drawn))
                axis.set(xscale="log", yscale="log", ylim=limits, ylabel=unit if column == 0 else "")
                few = limits[1] < 100 * limits[0]
                axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
                axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.yaxis.set_minor_formatter(NullFormatter())
            lowest = axes[1, column]
            lowest.set(xlabel=against, xticks=sorted(found.loc[found["against"] == against, "value"].unique()))
            lowest.xaxis.set_major_formatter(EngFormatter(places=0, sep=""))
            lowest.xaxis.set_minor_locator(NullLocator())
            lowest.tick_params("x", rotation=45)
            axes[0, column].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.3)
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
