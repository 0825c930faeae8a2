"""Whether error bars of the grey-matter volume hold the true volume as often as they say."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.conformal import (
    OTHERS,
    VALIDATION,
    conformal_quantile,
    crps_normal,
    held_out,
    interval_score,
    likelihood_ratio,
    weighted_quantiles,
)
from decoupled_qc.analysis.resampling import SHARE, mean_interval
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "bars", "calibrated_on", "scans", "level", "coverage", "ci_low", "ci_high", "width_ml",
    "interval_score_ml", "crps_ml", "z_rms", "n_scans", "n_subjects", "n_anatomies", "n_calibration_subjects", "n_boot", "note",
)  # fmt: skip
LEVELS = (0.5, 0.8, 0.9, 0.95)
NEEDED = [
    "volume_ml:gm",
    "reference_volume_ml:gm",
    "volume_variance_ml:gm",
    "volume_variance_ml:above_certain",
    "volume_sd_ml:gm",
]
NOTHING = "nothing"
WEIGHTED = "conformal_weighted"
CONFORMAL = ("conformal", WEIGHTED)  # intervals without a distribution
SMALLEST_ML = 1e-6  # so that a scan of certain voxels only has a scale to divide by
WITH_ARTEFACT = "with an artefact"  # the scans that all kinds of bars are compared on
ABOVE_CLEAN = ("sum_var", "sqrt_sum_var", "sum_sd")  # 0 on a clean scan by construction, so none exists there
SEVERITY_BINS = (("severity up to 1/2", 0.0, 0.5), ("severity above 1/2", 0.5, 1.0))


def volumes(scores: pd.DataFrame, subjects: pd.DataFrame, *, voxel_ml: float, n_boot: int, seed: int) -> pd.DataFrame:
    """Return coverage, width and interval score of seven kinds of error bars, on the simulated scans.

    An interval is V +- q s, V the predicted volume; q is the normal quantile but for the last two kinds:

    - ``sum_var``: s = the sum of the voxels' variances above the same subject's clean scan, in mL, as the paper's
      figure 5 must have it;
    - ``sqrt_sum_var``: s = its square root, the standard deviation if voxels erred independently;
    - ``sum_sd``: s = the sum of the voxels' standard deviations above clean, as if all erred together;
    - ``scaled``: s = c u, u the sum of the voxels' variances above that of certain voxels (0.0585 each, eq. 8) and c
      such that the mean of (error / s)^2 is 1 on the calibration scans;
    - ``scaled_sd``: the same of u, the sum of the voxels' standard deviations;
    - ``conformal``: s = the u of ``scaled``, q from :func:`decoupled_qc.analysis.conformal.conformal_quantile`;
    - ``conformal_weighted``: the same, calibration scans weighed by how much likelier their u is among the test scans, by
      :func:`decoupled_qc.analysis.conformal.likelihood_ratio`, for test scans that are worse or better than those.

    Sets are all scans, those with an artefact, each artefact's, those of a severity up to 1/2 and above, and each artefact's
    of either. The first three kinds do not exist for a clean scan, whose own value they are above, so they have no number on
    sets that hold any; ``scans`` ``with an artefact`` compares all kinds. The others need no clean scan. They are calibrated
    on the validation subjects' scans where there are any and, in further rows but for the last kind, on the test subjects
    other than the one at hand.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        voxel_ml: Volume of a voxel.
        n_boot: Draws of the subject bootstrap behind the coverage's interval (95 %).
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; an infinite width is empty, and ``note`` says so. Of the whole normal distribution of a bar, the
        same at every level: ``crps_ml``, lower is better, and ``z_rms``, the root mean square of error / s, 1 if bars are as wide
        as errors are large, above 1 if too narrow. Conformal intervals have none.

    Source: Shaw et al. 2021, eq. 8 and Fig. 5; the calibrated kinds are ours.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        if all(column in one for column in NEEDED):
            test, validation = _with_scales(one, voxel_ml)
            if len(test):
                rows += [{**names, **row} for row in _rows(test, validation, n_boot, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _with_scales(wide: pd.DataFrame, voxel_ml: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return simulated test scans and validation scans with their error and the scale s of each kind, mL.

    Column ``known`` says of test scans whether all is known, of the scan and of its clean one; validation scans are complete.
    """
    complete = wide[NEEDED].notna().all(axis=1)
    variance, spread = wide["volume_variance_ml:gm"], wide["volume_sd_ml:gm"]
    clean = wide[complete & (wide["condition"] == "clean")].groupby("subject")[NEEDED].mean()
    above = (variance - wide["subject"].map(clean["volume_variance_ml:gm"])).clip(lower=0)
    wide = wide.assign(
        error_ml=wide["volume_ml:gm"] - wide["reference_volume_ml:gm"],
        sum_var=above,
        sqrt_sum_var=np.sqrt(above * voxel_ml),
        sum_sd=(spread - wide["subject"].map(clean["volume_sd_ml:gm"])).clip(lower=0),
        uncertain=wide["volume_variance_ml:above_certain"].clip(lower=SMALLEST_ML),
        summed_sd=spread.clip(lower=SMALLEST_ML),
    )
    wide["known"] = complete & wide[["sum_var", "sum_sd"]].notna().all(axis=1)
    return wide[tables.simulated(wide)], wide[complete & (wide["condition"] == "validation")]


def _rows(test: pd.DataFrame, validation: pd.DataFrame, n_boot: int, seed: int) -> Iterator[dict]:
    """Yield the rows of one network."""
    with_artefact = (test["artefact"] != NO_ARTEFACT).to_numpy()
    for bars in ABOVE_CLEAN:
        half = {level: np.where(with_artefact, test[bars] * _normal(level), np.nan) for level in LEVELS}
        yield from _scored(test, half, bars, NOTHING, np.zeros(len(test)), n_boot, seed)
    every = np.ones(len(test), bool)
    for calibrated_on in (VALIDATION, OTHERS):
        if calibrated_on == VALIDATION and validation.empty:
            continue
        parts = [(every, validation)]
        if calibrated_on == OTHERS:
            parts = [(own, test[~own & test["known"]]) for own in held_out(test["subject"].to_numpy())]
        for bars, width, scale in CALIBRATED:
            half = {level: np.full(len(test), np.nan) for level in LEVELS}
            n_calibration = np.zeros(len(test))
            for own, calibration in parts:
                n_calibration[own] = calibration["subject"].nunique()
                for level in LEVELS:
                    half[level][own] = width(calibration, scale, test[scale].to_numpy()[own], level)
            yield from _scored(test, half, bars, calibrated_on, n_calibration, n_boot, seed)
    if len(validation):
        n_calibration = np.full(len(test), validation["subject"].nunique())
        yield from _scored(test, _weighted(validation, test), WEIGHTED, VALIDATION, n_calibration, n_boot, seed)


def _weighted(calibration: pd.DataFrame, test: pd.DataFrame) -> dict[float, np.ndarray]:
    """Return half-widths of weighted split-conformal intervals at each level."""
    residuals = (calibration["error_ml"].abs() / calibration["uncertain"]).to_numpy()
    known, scale = test["known"].to_numpy(), test["uncertain"].to_numpy()
    half = {level: np.full(len(test), np.nan) for level in LEVELS}
    if known.any():
        subjects = calibration["subject"].to_numpy()
        weights, of_new = likelihood_ratio(np.log(calibration["uncertain"].to_numpy()), subjects, np.log(scale[known]))
        for level, widths in half.items():
            ratios = weighted_quantiles(residuals, subjects, level, weights, of_new)
            widths[known] = ratios * scale[known]
    return half


def _normal(level: float) -> float:
    return float(stats.norm.ppf(0.5 + level / 2))


def _scaled(calibration: pd.DataFrame, scale: str, values: np.ndarray, level: float) -> np.ndarray:
    """Return half-widths of normal intervals whose scale was learnt by maximum likelihood."""
    if calibration.empty:
        return np.full(len(values), np.nan)
    ratio = np.sqrt(((calibration["error_ml"] / calibration[scale]) ** 2).mean())
    return _normal(level) * ratio * values


def _conformal(calibration: pd.DataFrame, scale: str, values: np.ndarray, level: float) -> np.ndarray:
    """Return half-widths of split-conformal intervals."""
    residuals = (calibration["error_ml"].abs() / calibration[scale]).to_numpy()
    return conformal_quantile(residuals, calibration["subject"].to_numpy(), level) * values


# (kind, its half-widths, the scale u that they rest on)
CALIBRATED = (
    ("scaled", _scaled, "uncertain"),
    ("scaled_sd", _scaled, "summed_sd"),
    ("conformal", _conformal, "uncertain"),
)


def _scored(
    test: pd.DataFrame,
    half_widths: dict[float, np.ndarray],
    bars: str,
    calibrated_on: str,
    n_calibration: np.ndarray,
    n_boot: int,
    seed: int,
) -> Iterator[dict]:
    """Yield a row per level and group of scans."""
    volume, truth = test["volume_ml:gm"].to_numpy(), test["reference_volume_ml:gm"].to_numpy()
    for group, of_group in _groups(test):
        member = of_group & test["known"].to_numpy()
        missing = "a value is missing, here or of the clean scan"
        notes_on_group = tables.left_out(int(member.sum()), int(of_group.sum()), missing)
        subject = test["subject"].to_numpy()[member]
        for level, half in half_widths.items():
            exists = member & ~np.isnan(half)
            row = {
                "bars": bars,
                "calibrated_on": calibrated_on,
                "scans": group,
                "level": level,
                **tables.counted(test[exists]),
                "n_calibration_subjects": int(n_calibration[of_group].max()),
                "n_boot": n_boot,
            }
            if not member.any() or not exists[member].all():
                if not member.any():
                    why = "no scan"
                elif bars in ABOVE_CLEAN:
                    why = "a bar above clean does not exist for a clean scan"
                else:
                    why = "no subject to calibrate on"
                yield {**row, "note": "; ".join([*notes_on_group, f"no value: {why}"])}
                continue
            low, high = volume[member] - half[member], volume[member] + half[member]
            covered = ((low <= truth[member]) & (truth[member] <= high)).astype(float)
            row["coverage"] = covered.mean()
            rng = rng_for(seed, "coverage", bars, calibrated_on, group, level)
            row["ci_low"], row["ci_high"], note = mean_interval(covered, subject, n_boot, rng, bounds=SHARE)
            notes = [*notes_on_group, *([note] if note else [])]
            if bars not in CONFORMAL:
                error, sd = volume[member] - truth[member], half[member] / _normal(level)
                row["crps_ml"] = float(crps_normal(error, sd).mean())
                if (sd > 0).any():
                    row["z_rms"] = float(np.sqrt(((error[sd > 0] / sd[sd > 0]) ** 2).mean()))
                if not (sd > 0).all():
                    notes.append(f"z without {int((sd == 0).sum())} of {len(sd)} scans whose bar has no width")
            if np.isfinite(half[member]).all():
                row["width_ml"] = float(2 * half[member].mean())
                row["interval_score_ml"] = float(interval_score(truth[member], low, high, level).mean())
            else:
                endless = int(np.isinf(half[member]).sum())
                where = (
                    f" in {endless} of {member.sum()} scans, and counted as holding" if endless < member.sum() else ""
                )
                too_few = f"{row['n_calibration_subjects']} calibration subjects are too few for this level"
                notes.append(f"unbounded{where}: {too_few}")
            yield {**row, "note": "; ".join(notes)}


def _groups(test: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, which scans): all, those with an artefact, each artefact's, weak and strong ones, and these of each."""
    yield "all", np.ones(len(test), bool)
    with_artefact = (test["artefact"] != NO_ARTEFACT).to_numpy()
    if with_artefact.any():
        yield WITH_ARTEFACT, with_artefact
    for artefact in sorted(test["artefact"].unique()):
        name = "clean" if artefact == NO_ARTEFACT else artefact
        yield name, (test["artefact"] == artefact).to_numpy()
    for name, above, up_to in SEVERITY_BINS:
        member = ((test["severity"] > above) & (test["severity"] <= up_to)).to_numpy()
        if member.any():
            yield name, member
        for artefact in sorted(test.loc[member & with_artefact, "artefact"].unique()):
            yield f"{artefact}, {name}", member & (test["artefact"] == artefact).to_numpy()
