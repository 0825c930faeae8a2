"""Take a model folder into the package, or make anew what the package says of the weights that it has.

    python benchmarks/ship_weights.py results/release/model      # weights and all, into the package
    python benchmarks/ship_weights.py --measure results/release  # those weights on the run's validation scans again
    python benchmarks/ship_weights.py                            # reference and card from the tables in benchmarks/release

The last is the end of the other two, and takes seconds. `validation.csv` holds what was measured on the validation scans,
`subjects.csv` who was trained and validated on, the others what `benchmarks/release.py` measured on real scans; none of the
card's numbers is typed. Without `validation.csv` the reference stays, and of the card all but the section on real scans.
The self-test's expected numbers are measured when weights are taken.
"""

import argparse
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml
from quality import PLAUSIBLE_ML

from decoupled_qc.analysis.dice_interval import spread
from decoupled_qc.analysis.naming import lead
from decoupled_qc.apply.folder import MODEL_CARD, SHIPPED, open_model
from decoupled_qc.apply.model_card import model_card
from decoupled_qc.apply.predictor import Predictor
from decoupled_qc.apply.reference import VALIDATION, measure_scans, read_measured, summarise
from decoupled_qc.apply.results_folder import REFERENCE
from decoupled_qc.apply.self_test import write_expected
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.files import write_whole
from decoupled_qc.models import CARD, WEIGHTS

TABLES = Path(__file__).parent / "release"
SUBJECTS = "subjects.csv"
RECIPE = Path(__file__).parents[1] / "config" / "release.yaml"
SECTION = "\n## On real scans\n"
MAX_BYTES = 20_000_000
WIDE = 0.25  # half-width, at the cut, of an interval of Dice that separates nothing
USABLE_DICE = 0.70  # on the labelled brain; below it the card warns first of all
SETS = {"labelled_brain": "voxelmorph's test scan, brain", "ds002748": "brains", "ds000011": "defaced heads"}


def real_scans(reference: dict, spacing_mm: float) -> Iterator[str]:
    """Yield the card's section on real scans, as Markdown."""
    ours, classical = (pd.read_csv(TABLES / f"{name}.csv").iloc[0] for name in ("labelled", "classical"))
    yield SECTION
    if ours["dice"] < USABLE_DICE:
        yield "**These weights are not good enough for use: see their Dice on a real scan.**\n"
    ml = {"ours": ours["gm_volume_ml"], "FreeSurfer": ours["freesurfer_ml"], "classical": classical["gm_volume_ml"]}
    yield f"""\
None of these scans was trained on, but they are not untouched: earlier weights had been measured on them when the student's
learning rate was lowered, the trainings were lengthened, seven of them took the place of two, and a discriminant that of "the
output that rises most". All four were decided on validation scans, and so was that an interval is narrower the better the scan.
The mean with the mirrored scan's maps was decided on these scans.

- Grey-matter Dice with FreeSurfer's labels on one labelled brain (n = 1): **{ours["dice"]:.2f}**; of the classical route
  (registration, N4, Atropos) {classical["dice"]:.2f}
- Its grey matter: {ml["ours"]:.0f} mL; by FreeSurfer {ml["FreeSurfer"]:.0f} mL, by the classical route {ml["classical"]:.0f} mL
"""
    scans, corrupted, copies = (TABLES / f"{name}.csv" for name in ("scans", "corrupted", "round_trip"))
    if not scans.is_file():
        yield "\nOther real scans: not measured yet."
        return
    yield from _as_they_are(pd.read_csv(scans))
    if corrupted.is_file():
        yield from _corrupted(pd.read_csv(corrupted), pd.read_csv(scans), reference, spacing_mm)
    if copies.is_file():
        yield from _copies(pd.read_csv(copies))


def _as_they_are(scans: pd.DataFrame) -> Iterator[str]:
    low, high = PLAUSIBLE_ML
    verdicts = "pass / review / fail | unlike training | noise σ², median | cause named"
    yield f"| scans as they are | n | grey matter, mL: median (range) | {low} to {high} mL | {verdicts} |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, what in SETS.items():
        rows = scans[scans["set"] == name]
        if rows.empty:
            continue
        volume, noise, decided = rows["gm_volume_ml"], rows["uncertainty_noise"], rows["decision"].value_counts()
        causes = ", ".join(f"{cause} {count}" for cause, count in rows["cause"].value_counts().items())
        counts = " / ".join(str(decided.get(key, 0)) for key in ("pass", "review", "fail"))
        yield (
            f"| {name} ({what}) | {len(rows)} | {volume.median():.0f} ({volume.min():.0f} to {volume.max():.0f}) | "
            f"{volume.between(low, high).sum()} | {counts} | {rows['unlike_training'].sum()} | {noise.median():.3f} | {causes} |"
        )


def _corrupted(scans: pd.DataFrame, clean: pd.DataFrame, reference: dict, spacing_mm: float) -> Iterator[str]:
    severities = sorted(scans["severity"].unique())
    right = scans["cause"] == scans["artefact"]
    functions, artefacts = reference["cause_model"]["functions"], reference["artefacts"]
    likeliest = pd.Series([lead(scan, functions, artefacts)[0] for scan in scans.to_dict("records")])
    forced, clear = (likeliest == scans["artefact"]).mean(), (clean["cause"] == NO_ARTEFACT).sum()
    n, chance = scans.groupby("set")["scan"].nunique().sum(), 1 / scans["artefact"].nunique()
    yield f"""
The same {n} scans with one simulated artefact each, put on all over a scan that was already on the model's grid of
{spacing_mm:g} mm, not on a scanner's raw data: {right.mean():.0%} of {len(scans)} were given their own artefact as the cause
(chance {chance:.0%}), {forced:.0%} where `none` is no answer; of the {len(clean)} scans as they are {clear} were given `none`.
Share right, and mean predicted Dice ({clean["predicted_dice"].mean():.2f} without artefact), by severity:
"""
    yield "| artefact | " + " | ".join(f"severity {value:g}" for value in severities) + " |"
    yield "|---" * (len(severities) + 1) + "|"
    for artefact, own in scans.groupby("artefact", sort=False):
        cells = [own[own["severity"] == value] for value in severities]
        texts = [
            f"{(c['cause'] == artefact).mean():.0%}, {c['predicted_dice'].mean():.2f} (n = {len(c)})" for c in cells
        ]
        yield f"| {artefact} | " + " | ".join(texts) + " |"
    causes = [NO_ARTEFACT, *artefacts]
    yield "\nWhich cause they were given, all severities together. Rows: what was simulated; columns: what was named.\n"
    yield "|  | " + " | ".join(causes) + " | n |"
    yield "|---" * (len(causes) + 2) + "|"
    for artefact, own in scans.groupby("artefact", sort=False):
        counts = [str((own["cause"] == cause).sum()) for cause in causes]
        yield f"| {artefact} | " + " | ".join(counts) + f" | {len(own)} |"


def _copies(copies: pd.DataFrame) -> Iterator[str]:
    n = copies.groupby(["set", "scan"]).ngroups
    yield f"""
Copies of the same {n} scans that hold the same head: Dice of their grey matter with the scan's, and their artefact uncertainty
over the scan's:
"""
    yield "| copy | Dice: median (lowest) | uncertainty, ratio: lowest to highest | other verdict |"
    yield "|---|---|---|---|"
    for name, rows in copies.groupby("copy", sort=False):
        dice, ratio = rows["dice"], rows["artefact_uncertainty_ratio"]
        other = (rows["decision"] != rows["decision_original"]).sum()
        agree, low, high = f"{dice.median():.2f} ({dice.min():.2f})", ratio.min(), ratio.max()
        yield f"| {name} | {agree} | {low:.2f} to {high:.2f} | {other} of {len(rows)} |"


def _warned(text: str, reference: dict) -> str:
    """Return a card that says first of all if its intervals are too wide for any scan to pass or fail."""
    ratio, cut = reference["dice_model"]["ratio"], reference["decision"]["dice_cut"]
    half = math.inf if ratio is None else ratio * float(spread(cut))
    if half < WIDE:
        return text
    width = "unbounded" if ratio is None else f"± {half:.2f} at {cut}"
    warning = (
        f"**Weak weights.** They were trained briefly. The interval of a predicted Dice is {width}, so nearly every scan is "
        f"to review, and of corrupted validation scans only {reference['cause_accuracy']['overall']:.0%} were given the right "
        "cause. Use the maps and the order of scans, not the verdicts; train longer by `config/release.yaml`."
    )
    title, _, rest = text.partition("\n")
    return f"{title}\n\n{warning}\n{rest}"


def _bands(reference: dict) -> list[float]:
    """Return the rising ends of a reference's bands of severity."""
    bands = next(iter(reference["severity"].values()))
    return sorted({float(end) for band in bands for end in band.split("-")})


def shipped_reference() -> dict:
    """Return the package's reference as it follows from the validation scans; as it is where these are not at hand."""
    there = json.loads((SHIPPED / REFERENCE).read_text())
    if not (TABLES / VALIDATION).is_file():
        return there
    measured, decision = read_measured(TABLES / VALIDATION), there["decision"]
    found = summarise(measured, there["artefacts"], _bands(there), decision["dice_cut"], decision["error_rate"])
    return {**found, "sha256": there["sha256"]}


def shipped_card() -> str:
    """Return the package's card as it follows from its reference and the tables; what these do not hold as it is."""
    reference, card = (json.loads((SHIPPED / name).read_text()) for name in (REFERENCE, CARD))
    text = (SHIPPED / MODEL_CARD).read_text().partition(SECTION)[0]
    if (TABLES / VALIDATION).is_file():
        measured, subjects = read_measured(TABLES / VALIDATION), pd.read_csv(TABLES / SUBJECTS)
        data = yaml.safe_load(RECIPE.read_text())["reference"]["data"]
        text = _warned(model_card(SHIPPED, measured, subjects, _bands(reference), data), reference)
    return text.rstrip() + "\n" + "\n".join(real_scans(reference, card["spacing_mm"])) + "\n"


def rewrite() -> None:
    """Write reference and card of the package anew."""
    reference = shipped_reference()
    with write_whole(SHIPPED / REFERENCE) as partial:
        partial.write_text(json.dumps(reference, indent=1, allow_nan=False) + "\n")
    card = shipped_card()
    with write_whole(SHIPPED / MODEL_CARD) as partial:
        partial.write_text(card)


def keep_subjects(run: Path) -> None:
    """Keep of a run's cohort what the card says of it."""
    manifest = read_manifest(run / "cohort" / "manifest.tsv")
    manifest[["role", "anatomy", "label_source"]].to_csv(TABLES / SUBJECTS, index=False)


def take(source: Path) -> None:
    """Take a run's model folder into the package."""
    open_model(source)
    if (source / WEIGHTS).stat().st_size > MAX_BYTES:
        raise SystemExit(f"{source / WEIGHTS} is larger than {MAX_BYTES / 1e6:.0f} MB: too large for the package.")
    keep_subjects(source.parent)
    shutil.copy(source / VALIDATION, TABLES / VALIDATION)
    with write_whole(SHIPPED) as target:
        target.mkdir()
        for name in (WEIGHTS, CARD, REFERENCE, MODEL_CARD):
            shutil.copy(source / name, target / name)
        write_expected(target)


def measure(run: Path) -> None:
    """Measure the package's weights on the validation scans of a run, which needs no training of its own."""
    keep_subjects(run)
    scans = measure_scans(Predictor(open_model(SHIPPED)), run / "conditions" / "reference" / "scans.tsv")
    scans.to_csv(TABLES / VALIDATION, index=False, float_format="%.6g")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="model folder to take into the package")
    parser.add_argument("--measure", type=Path, metavar="RUN", help="folder of a run with conditions/reference")
    arguments = parser.parse_args()
    if arguments.folder:
        take(arguments.folder)
    if arguments.measure:
        measure(arguments.measure)
    rewrite()


if __name__ == "__main__":
    main()
