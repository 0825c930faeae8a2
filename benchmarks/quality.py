"""What the committed results must show, target by target: the demo's tables, and the released weights on real scans.

Seconds and memory of a run depend on the machine and are not kept with the results: `decoupled-qc status` and report.html of a
run have them.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
SIMULATED = "simulated"
PLAUSIBLE_ML = (450, 900)  # grey matter of adults


def quality_verdicts() -> Iterator[tuple]:
    """Yield the cells of each target (where, what, n, measured, asked) and whether it is met; missing is not met."""
    for part in (
        _demo,
        _outside,
        _effect,
        _coverage,
        _mrart,
        _package,
        _labelled,
        _volumes,
        _heads,
        _corrupted,
        _round_trip,
    ):
        try:
            yield from part()
        except FileNotFoundError as error:
            yield Path(error.filename).name, "everything", "", "not measured", "", False


def _demo() -> Iterator[tuple]:
    """Yield the demo's: Dice on an unseen anatomy, and the correlations of Table 1."""
    scores = pd.read_csv(ROOT / "results/demo/scores.csv")
    dice = scores[
        (scores["metric"] == "dice")
        & (scores["aggregation"] == "gm")
        & (scores["condition"] == "clean")
        & (scores["model"] == "student")
    ]["value"]
    yield (
        "demo",
        "mean clean Dice, unseen anatomy",
        f"{len(dice)} scans",
        f"{dice.mean():.3f}",
        "≥ 0.85",
        dice.mean() >= 0.85,
    )
    table = pd.read_csv(ROOT / "results/demo/tables/table_1.csv").set_index(["set", "score"]).loc[SIMULATED]
    ours = table.loc["artefact_uncertainty"]
    n = f"{ours['n_scans']:.0f} scans, {ours['n_subjects']:.0f} subjects"
    yield "demo", "rho of artefact uncertainty with Dice", n, f"{ours['rho']:.3f}", "≤ −0.80", ours["rho"] <= -0.8
    for name in ("snr", "cnr", "snr_predicted_masks", "cnr_predicted_masks"):
        other = abs(table.loc[name, "rho"])
        asked = f"> {other:.3f}, {name.partition('_')[0].upper()} in {'predicted' if 'predicted' in name else 'reference'} masks"
        yield "demo", "the same, absolute", n, f"{abs(ours['rho']):.3f}", asked, abs(ours["rho"]) > other


def _outside() -> Iterator[tuple]:
    """Yield how far the score moves with an artefact that leaves the brain as it is, against a measure of the whole image."""
    table = pd.read_csv(ROOT / "results/demo/analysis/outside.csv").set_index(
        ["where", "artefact", "measure", "aggregation"]
    )
    ours, efc = (table.loc[("outside", "all", *name)] for name in (("artefact_uncertainty", "mean"), ("efc", "scan")))
    n = f"{ours['n_scans']:.0f} scans, {ours['n_subjects']:.0f} subjects"
    what = "artefacts outside the brain alone: rise of the uncertainty, in SD of clean scans"
    moved, most = ours["change_sd"], abs(efc["change_sd"])
    yield "demo", what, n, f"{moved:.1f}", f"< {most:.1f}, that of EFC", moved < most


def _effect() -> Iterator[tuple]:
    """Yield in which share of subjects each artefact changes a head more at every severity than at the one before."""
    table = pd.read_csv(ROOT / "benchmarks/effect.csv")
    for artefact, one in table.groupby("artefact"):
        least, n = one["share_rising"].min(), f"{one['n_subjects'].max()} subjects, {len(one)} severities"
        yield (
            "simulator",
            f"1 − SSIM of {artefact} rises with severity",
            n,
            f"{least:.0%}",
            "in all subjects",
            least == 1,
        )


def _coverage() -> Iterator[tuple]:
    """Yield how often the interval of rho in every table holds the truth, where scans of a subject correlate by 0.6."""
    table = pd.read_csv(ROOT / "benchmarks/coverage.csv")
    ours = table[(table["statistic"] == "rho") & (table["interval"] == "expanded")]
    for subjects, one in ours.groupby("subjects", sort=False):
        n, least = f"{one['simulations'].sum()} simulations", one["coverage"].min()
        yield (
            "analysis",
            f"95 % interval of rho, {subjects} subjects: coverage",
            n,
            f"{least:.3f}",
            "≥ 0.90",
            least >= 0.9,
        )


def _mrart() -> Iterator[tuple]:
    """Yield rho of MR-ART's expert scores with MRIQC's measures, against what these published tables are known to give."""
    table = pd.read_csv(ROOT / "benchmarks/mrart.csv", index_col="score")
    for name, asked in (("cjv", 0.78), ("snr_total", -0.81), ("cnr", -0.77), ("efc", 0.48)):
        row = table.loc[name]
        n = f"{row['n_scans']:.0f} scans, {row['n_subjects']:.0f} subjects"
        yield (
            "analysis",
            f"rho of MR-ART's score with {name}",
            n,
            f"{row['rho']:.2f}",
            f"{asked}",
            round(row["rho"], 2) == asked,
        )


def _package() -> Iterator[tuple]:
    """Yield the size of the weights in the package."""
    folder = ROOT / "src/decoupled_qc/weights"
    mb = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    yield "release", "weights in the package", "", f"{mb:.1f} MB", "≤ 20 MB", mb <= 20


def _labelled() -> Iterator[tuple]:
    """Yield Dice with FreeSurfer's grey matter on one labelled brain."""
    for name, what, least in (("labelled", "released weights", 0.75), ("classical", "classical labels", 0.80)):
        dice = pd.read_csv(ROOT / f"benchmarks/release/{name}.csv")["dice"]
        yield (
            "release",
            f"Dice with FreeSurfer, {what}",
            f"{len(dice)} scan",
            f"{dice.mean():.3f}",
            f"≥ {least}",
            (dice >= least).all(),
        )


def _volumes() -> Iterator[tuple]:
    """Yield how many real scans have a plausible volume; the labelled brain, whose volume is known, is compared by Dice."""
    scans = pd.read_csv(ROOT / "benchmarks/release/scans.csv")
    volumes = scans.loc[scans["set"] != "labelled_brain", "gm_volume_ml"]
    inside = volumes.between(*PLAUSIBLE_ML)
    asked = f"all within {PLAUSIBLE_ML[0]} to {PLAUSIBLE_ML[1]} mL"
    yield (
        "release",
        "grey-matter volume of real scans",
        f"{len(volumes)} scans",
        f"{inside.sum()} within",
        asked,
        inside.all(),
    )


def _heads() -> Iterator[tuple]:
    """Yield in how many corrupted real scans the artefact's own variance rose most against the scan's as it was, as a ratio."""
    scans = pd.read_csv(ROOT / "benchmarks/release/scans.csv").set_index(["set", "scan"])
    corrupted = pd.read_csv(ROOT / "benchmarks/release/corrupted.csv").set_index(["set", "scan"])
    heads = [f"uncertainty_{artefact}" for artefact in corrupted["artefact"].unique()]
    rise = corrupted[heads] / scans.loc[corrupted.index, heads].to_numpy()
    first = rise.idxmax(axis=1).str.removeprefix("uncertainty_") == corrupted["artefact"]
    for artefact, own in first.groupby(corrupted["artefact"], sort=False):
        what, asked = f"its own variance rises most under {artefact}", "> 50 %"
        yield "release", what, f"{len(own)} artefacts", f"{own.mean():.0%}", asked, own.mean() > 0.5
    named = corrupted["cause"] == corrupted["artefact"]
    yield (
        "release",
        "the artefact is named",
        f"{len(named)} artefacts",
        f"{named.mean():.0%}",
        "> 50 %",
        named.mean() > 0.5,
    )


def _corrupted() -> Iterator[tuple]:
    """Yield how far predicted Dice falls with severity, on real scans: from none to the least, and from there to the most."""
    scans = pd.read_csv(ROOT / "benchmarks/release/corrupted.csv")
    plain = pd.read_csv(ROOT / "benchmarks/release/scans.csv")["predicted_dice"].mean()
    mean = scans.groupby(["artefact", "severity"])["predicted_dice"].mean().unstack()
    n = f"{scans.groupby(['set', 'scan']).ngroups} scans, {len(scans)} artefacts"
    for artefact, of_it in mean.iterrows():
        for to, moved in (
            ("none to the least", of_it.iloc[0] - plain),
            ("the least to the most", of_it.iloc[-1] - of_it.iloc[0]),
        ):
            yield "release", f"predicted Dice, {artefact} from {to} severity", n, f"{moved:+.3f}", "< 0", moved < 0


def _round_trip() -> Iterator[tuple]:
    """Yield how well copies of real scans agree with the scans."""
    copies = pd.read_csv(ROOT / "benchmarks/release/round_trip.csv")
    for copy, one in copies.groupby("copy", sort=False):
        n, worst = f"{len(one)} scans", one["dice"].min()
        yield "release", f"{copy} copy: lowest Dice with the scan's", n, f"{worst:.3f}", "≥ 0.95", worst >= 0.95
        off = (one["artefact_uncertainty_ratio"] - 1).abs().max()
        yield "release", f"{copy} copy: largest change of the score", n, f"{off:.1%}", "≤ 10 %", off <= 0.1
