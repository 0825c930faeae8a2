"""The three stages of training as one function: what differs between them is what is frozen and what is drawn."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.causes import TASK, TOTAL
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.models import WEIGHTS, load_model, save_model
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.precision import best_device
from decoupled_qc.provenance import versions
from decoupled_qc.threads import side_by_side
from decoupled_qc.training.checkpoint import Checkpoint, key_of
from decoupled_qc.training.diagnostics import diagnose
from decoupled_qc.training.draws import drawing_for
from decoupled_qc.training.held_out import HeldOut
from decoupled_qc.training.loop import fit
from decoupled_qc.training.parallel import ALONE, Team
from decoupled_qc.training.recipe import Recipe
from decoupled_qc.training.sampling import Case, Corruption, PatchStream, load_case

log = logging.getLogger(__name__)


def train_stage(
    manifest: Path,
    frozen_folders: Sequence[Path],
    folder: Path,
    *,
    checkpoint: Path,
    watching: dict,
    inference: dict,
    fingerprint: str,
    seed: int,
    spacing_mm: float,
    network: dict,
    augmentation: dict,
    corruption: dict,
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
        watching: Keys of the config's ``training`` that change no weight, :data:`decoupled_qc.training.recipe.WATCHING`.
        inference: The config's block, for ``diagnostics.csv``.
        fingerprint: Of the code, for the card.
        seed: The run's.
        spacing_mm: Of the cohort's volumes.
        network, augmentation, corruption, training: The config's blocks; ``training`` without ``watching``.
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
    training_subjects = subjects[subjects["role"] == "train"]
    plan = Corruption(names, list(others), artefacts | others, spacing_mm=spacing_mm, **corruption)
    stream = PatchStream(
        _cases(manifest, training_subjects),
        plan,
        augmentation,
        patch_size=training["patch_size"],
        batch_size=training["batch_size"],
        patches_per_volume=training["patches_per_volume"],
        seed=seed,
        name="+".join(causes),
    )
    settings = training | watching
    recipe = Recipe(**{key: settings[key] for key in Recipe.__dataclass_fields__})
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
    read = [donor / WEIGHTS for donor in frozen_folders] + _volumes(manifest, training_subjects)
    wanted = watching["diagnostics"]
    watched, held_out = [], None
    if team.first:
        chosen = _spread(subjects[subjects["role"] == "validation"], wanted["n_scans"])
        watched = _cases(manifest, chosen)
        held_out = HeldOut(
            watched,
            plan,
            patch_size=training["patch_size"],
            severity=wanted["severity"],
            seed=seed,
            key=key_of({**wanted, "subjects": list(chosen["subject"])}, _volumes(manifest, chosen)),
        )
    state = Checkpoint(checkpoint, watching["checkpoint_minutes"], key_of(blocks, read), team)
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


def _volumes(manifest: Path, subjects: pd.DataFrame) -> list[Path]:
    return [manifest.parent / name for name in (*subjects["image"], *subjects["dseg"])]


def _spread(subjects: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return n subjects from all over a table, so that every anatomy has its share."""
    places = np.linspace(0, len(subjects) - 1, min(n, len(subjects))).round().astype(int)
    return subjects.iloc[places]


def _cases(manifest: Path, subjects: pd.DataFrame) -> list[Case]:
    def load(row):
        return load_case(row.subject, manifest.parent / row.image, manifest.parent / row.dseg)

    found = side_by_side(load, subjects.itertuples())  # hundreds of compressed volumes take minutes
    # Augmentation and k-space run where the volumes are; of noise, only the random bits are drawn on the CPU.
    device = best_device()
    return [replace(case, image=case.image.to(device), dseg=case.dseg.to(device)) for case in found]
