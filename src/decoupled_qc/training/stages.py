"""The three stages of training as one function: what differs between them is what is frozen and what is drawn."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from decoupled_qc.causes import TASK, TOTAL
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.models import WEIGHTS, load_model, save_model
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.provenance import versions
from decoupled_qc.threads import side_by_side
from decoupled_qc.training.checkpoint import Checkpoint, key_of
from decoupled_qc.training.diagnostics import diagnose
from decoupled_qc.training.draws import drawing_for
from decoupled_qc.training.held_out import HeldOut
from decoupled_qc.training.loop import fit
from decoupled_qc.training.parallel import ALONE, Team
from decoupled_qc.training.recipe import Recipe
from decoupled_qc.training.sampling import Corruption, PatchStream, load_case

log = logging.getLogger(__name__)


def train_stage(
    manifest: Path,
    frozen_folders: Sequence[Path],
    folder: Path,
    *,
    checkpoint: Path,
    checkpoint_minutes: float,
    fingerprint: str,
    seed: int,
    spacing_mm: float,
    network: dict,
    augmentation: dict,
    corruption: dict,
    inference: dict,
    training: dict,
    artefacts: dict[str, dict],
    others: dict[str, dict],
    coupled: bool,
    team: Team = ALONE,
) -> None:
    """Train one network and write its folder: weights, card, ``metrics.csv``, ``held_out.csv`` and ``diagnostics.csv``.

    Task network: no artefacts, nothing frozen. Teacher: one artefact, the task network frozen. Student: all artefacts,
    the task network and all teachers frozen. Gated, without teachers: all artefacts, the task network frozen, and routed as
    a teacher. Coupled: all artefacts, one variance, for which nothing frozen has a pseudo-label.

    Args:
        manifest: The cohort; subjects with role ``train`` and ``validation`` are used.
        frozen_folders: Model folders to start from, the task network first; each also gives the pseudo-label of its cause, if
            this network has that cause.
        folder: Existing folder for the results.
        checkpoint: File to go on from and to leave the state in; it stays when the training has ended, so that it is not
            lost before the results are in their place.
        checkpoint_minutes: Between two savings.
        fingerprint: Of the code, for the card.
        seed: The run's.
        spacing_mm: Of the cohort's volumes.
        network, augmentation, corruption, inference, training: The config's blocks.
        artefacts: name → settings, of the artefacts this network learns.
        others: name → settings, of artefacts that it may see and must not answer to.
        coupled: One variance for all causes together (eq. 4 on corrupted images), instead of one for each.
        team: The processes that train it together; the first writes the folder.
    """
    names = list(artefacts)
    causes = (TOTAL,) if coupled else (TASK, *names)
    donors = {}
    for donor in frozen_folders:
        model, card = load_model(donor)
        donors[card["network"]["causes"][-1]] = model  # a teacher is frozen for its artefact, the task net for "task"
    shape = {"causes": list(causes), **network}
    with drawing_for(seed, *causes, "weights"):
        net = DecoupledUNet(**shape)
    if training["init"] != "scratch":
        net.start_from(*donors.values(), merged=training["init"] == "merged")
    frozen = {cause: model for cause, model in donors.items() if cause in causes}

    subjects = read_manifest(manifest)
    plan = Corruption(names, list(others), artefacts | others, spacing_mm=spacing_mm, **corruption)
    stream = PatchStream(
        _cases(manifest, subjects, "train"),
        plan,
        augmentation,
        patch_size=training["patch_size"],
        batch_size=training["batch_size"],
        patches_per_volume=training["patches_per_volume"],
        seed=seed,
        name="+".join(causes),
    )
    recipe = Recipe(**{key: training[key] for key in Recipe.__dataclass_fields__})
    blocks = {
        "seed": seed,
        "spacing_mm": spacing_mm,
        "network": shape,
        "augmentation": augmentation,
        "corruption": corruption,
        "training": training,
        "artefacts": artefacts,
        "others": others,
        "code": fingerprint,
    }
    read = [donor / WEIGHTS for donor in frozen_folders] + _volumes(manifest, subjects, "train")
    wanted = training["diagnostics"]
    watched, held_out = [], None
    if team.first:
        watched = _spread(_cases(manifest, subjects, "validation"), wanted["n_scans"])
        held_out = HeldOut(watched, plan, patch_size=training["patch_size"], severity=wanted["severity"], seed=seed)
    state = Checkpoint(checkpoint, checkpoint_minutes, key_of(blocks, read), team)
    epsilon = fit(net, frozen, stream, recipe, folder, state, held_out=held_out, team=team)
    if not team.first:
        return

    table = diagnose(
        net,
        watched,
        plan,
        epsilon=epsilon,
        severity=wanted["severity"],
        seed=seed,
        inference=inference,
    )
    log.info(
        "On validation scans (severity %s):\n%s", wanted["severity"], table.to_string(index=False, float_format="%.4f")
    )
    table.to_csv(folder / "diagnostics.csv", index=False)
    save_model(
        folder,
        net,
        {
            **blocks,
            "epsilon": epsilon,
            "intensity": "min-max of the whole volume to [0, 1]",
            "versions": versions(),
        },
    )


def _volumes(manifest: Path, subjects, role: str) -> list[Path]:
    chosen = subjects[subjects["role"] == role]
    return [manifest.parent / name for name in (*chosen["image"], *chosen["dseg"])]


def _spread(cases: list, n: int) -> list:
    """Return n cases from all over a list, so that every anatomy has its share."""
    places = np.linspace(0, len(cases) - 1, min(n, len(cases))).round().astype(int)
    return [cases[place] for place in places]


def _cases(manifest: Path, subjects, role: str) -> list:
    chosen = subjects[subjects["role"] == role]

    def load(row):
        return load_case(row.subject, manifest.parent / row.image, manifest.parent / row.dseg)

    found = side_by_side(load, chosen.itertuples())  # hundreds of compressed volumes take minutes
    # Augmentation and k-space run where the volumes are; of noise, only the random bits are drawn on the CPU.
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return [replace(case, image=case.image.to(device), label=case.label.to(device)) for case in found]
