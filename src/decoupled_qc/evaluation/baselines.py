"""Scores of the leaderboard that need other networks or several looks at a scan, for the same scans as ours."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from decoupled_qc import measures
from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.evaluation import metrics
from decoupled_qc.evaluation.evidence import Looks
from decoupled_qc.inference import predict
from decoupled_qc.models import load_model
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.precision import best_device
from decoupled_qc.scan_table import read_scan_table
from decoupled_qc.score_table import COLUMNS
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.bias import bias_field
from decoupled_qc.simulation.kspace import rescale
from decoupled_qc.training.draws import drawing_for


def score_baseline(
    model_folders: Sequence[Path],
    scans_table: Path,
    *,
    name: str,
    about: tuple[str, int],
    vary: str,
    draws: int,
    augmentation: dict,
    inference: dict,
    seed: int,
) -> pd.DataFrame:
    """Return a baseline's scores of every scan of a condition.

    Several segmentations of a scan, from several networks or from several draws of one, give every score of
    :mod:`decoupled_qc.measures` that compares them, such as Roy's four; a single one gives every score of one look. Every
    baseline also gives the Dice of its own segmentation, the mean of its probabilities, which is no score of the scan.

    Args:
        model_folders: Networks that take part.
        scans_table: ``scans.tsv`` of the condition.
        name: Of the baseline; the scores' ``aggregation``.
        about: Model and replicate whose segmentations the scores are to rank: the rows join that network's.
        vary: What differs between the draws of one network: ``network`` for nothing, ``view`` for a random flip and bias field,
            ``dropout`` for the channels dropped.
        draws: Segmentations by each network.
        augmentation: The training's; flips and bias field of a view are drawn as there.
        inference: Keyword arguments of :func:`decoupled_qc.inference.predict`, without epsilon. Draws of one network are not
            averaged with the mirrored scan's: what they differ in would be halved.
        seed: The run's.

    Returns:
        The columns of ``scores.csv``; ``note`` says why a value is NaN.

    Source: Roy et al. 2019 (MC-dropout); Wang et al. 2019 (test-time augmentation); Lakshminarayanan et al. 2017 (ensembles).
    """
    networks = []
    for folder in model_folders:
        network, card = load_model(folder)
        network.to(best_device(), memory_format=torch.channels_last_3d)
        networks.append((network, card["epsilon"]))
    rows = []
    for scan in read_scan_table(scans_table).itertuples():
        image = torch.from_numpy(nib.load(scans_table.parent / scan.image).get_fdata(dtype=np.float32))
        reference = np.asanyarray(nib.load(scans_table.parent / scan.dseg).dataobj) == GREY_MATTER
        found = [
            look
            for member, (network, epsilon) in enumerate(networks)
            for look in _looks(
                network,
                image,
                vary,
                draws,
                augmentation,
                (seed, scan.scan, name, member),
                inference | {"epsilon": epsilon, "mirror": inference["mirror"] and vary == "network"},
            )
        ]
        identity = (scan.subject, scan.scan, *about, scan.condition, scan.artefact, scan.severity)
        for metric, value in _measures(found, reference):
            note = "" if math.isfinite(value) else measures.entry(metric, "MISSING", "not a finite number")
            rows.append((*identity, metric, name, value, note))
    return pd.DataFrame(rows, columns=[*COLUMNS, "note"])


def _measures(found: list[tuple[Tensor, float]], reference: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yield (metric, value) of one scan from the probability and the mean total variance of every look at it."""
    probabilities = np.stack([probability.numpy() for probability, _ in found])
    mean = probabilities.mean(axis=0)
    yield "dice", metrics.dice(mean > 0.5, reference)
    looks = Looks(probabilities > 0.5, mean, float(np.mean([variance for _, variance in found])))
    function = "look" if len(found) == 1 else "compare"
    for name in measures.with_function(function):
        yield name, getattr(measures.load(name), function)(looks)


def _looks(
    network: DecoupledUNet, image: Tensor, vary: str, draws: int, augmentation: dict, names: tuple, inference: dict
) -> Iterator[tuple[Tensor, float]]:
    """Yield one network's grey-matter probability (D, H, W) and mean total variance, ``draws`` times."""
    network.train(vary == "dropout")
    for draw in range(draws):
        see, back = _view(image, augmentation, rng_for(*names, draw)) if vary == "view" else (image, lambda seen: seen)
        with drawing_for(*names, draw):
            found = predict(network, see, **inference)
        yield back(found.probability), float(sum(found.variance.values()).mean())


def _view(image: Tensor, augmentation: dict, rng: np.random.Generator) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the image flipped and biased as in training, and the function that turns a map of it back.

    Rotation and scaling are left out: the resampling would be a blur of its own, the very thing to be rated.
    """
    axes = [axis for axis, probability in enumerate(augmentation["flip_probability"]) if rng.random() < probability]
    field = bias_field(image.shape, rng, augmentation["bias_order"], augmentation["bias_coefficient"])
    return rescale(image * field).flip(axes), lambda seen: seen.flip(axes)
