"""Variants, replicates and baselines are made from configuration alone, and only when asked for."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from snakemake.utils import update_config

from decoupled_qc.cohort.manifest import COLUMNS
from decoupled_qc.models import load_model, save_model
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training.recipe import WATCHING
from decoupled_qc.training.stages import train_stage


def test_a_variant_or_a_replicate_is_made_from_the_networks_it_learns_from(bare_project):
    """Each in a replicate of its own, so that one plan tells them apart."""
    teachers = {"teacher-noise", "teacher-blur"}
    expected = {
        "gated": {"task"},
        "coupled": {"task"},
        "dropout": {"task"},
        "no-consistency": {"task"} | teachers,
        "no-ssim": {"task"} | teachers,
        "scratch": {"task"} | teachers,
        "student": {"task"} | teachers,
    }
    targets = [f"results/smoke/models/{model}/rep-{number}" for number, model in enumerate(expected)]
    printed = bare_project.snakemake("--summary", "--configfile", "config/smoke.yaml", "--", *targets)
    outputs = [line.split("\t")[0] for line in printed.splitlines()]
    for number, (model, donors) in enumerate(expected.items()):
        made = {path.split("/")[3] for path in outputs if path.endswith(f"/rep-{number}")}
        assert made == donors | {model}


def test_baselines_train_the_networks_that_they_need_and_no_others(bare_project):
    planned = bare_project.planned("config/smoke.yaml", "config/baselines.yaml")
    networks = {"coupled/rep-0", "dropout/rep-0", "task/rep-1", "coupled/rep-1"}  # besides ours
    trained = {path.removeprefix("models/") for rule in ("train_task", "train_variant") for path in planned[rule]}
    assert trained == networks | {"task/rep-0"}
    conditions = ("clean", "sim-noise", "sim-blur", "real", "validation")
    baselines = ("coupled", "tta", "mc-dropout", "ensemble")
    assert planned["score_baseline"] == {f"baselines/{b}/{c}.csv" for b in baselines for c in conditions}
    assert "train_variant" not in bare_project.planned("config/smoke.yaml")


def test_artefacts_outside_the_brain_are_made_when_asked_for_and_by_no_run_of_everything(bare_project):
    planned = bare_project.planned("config/smoke.yaml", "--", "results/smoke/analysis/outside.csv")
    conditions = {"clean", "sim-noise", "sim-blur", "outside"}
    assert planned["compare_outside"] == {"analysis/outside.csv"}
    assert planned["confine_outside"] == {"conditions/outside"}
    assert planned["predict"] == {f"predictions/student/rep-0/{name}" for name in conditions}
    assert planned["score"] == {f"scores/student/rep-0/{name}.csv" for name in conditions}
    assert not {"sweep", "mix", "take_real", "validation", "gather_scores"} & planned.keys()
    everything = bare_project.planned("config/smoke.yaml")
    assert not {"compare_outside", "confine_outside"} & everything.keys()
    assert not any("outside" in output for outputs in everything.values() for output in outputs)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ("use_baselines: [oracle]", "there is no config key baselines.oracle"),
        ("use_baselines: [tta]\nbaselines: {tta: {model: teacher}}", "baselines.tta.model 'teacher' is no network"),
        ("use_baselines: [tta]\nbaselines: {tta: {vary: dropout}}", "dropout of 'student', which has none"),
    ],
)
def test_a_baseline_that_cannot_be_made_is_refused(bare_project, tmp_path, change, sentence):
    (tmp_path / "overlay.yaml").write_text(f"{change}\n")
    call = ("--dry-run", "--configfile", "config/smoke.yaml", str(tmp_path / "overlay.yaml"))
    assert sentence in bare_project.snakemake(*call, check=False)


def test_the_gpu_configuration_is_planned_and_the_first_steps_of_its_stages_run_here(bare_project, tmp_path):
    planned = bare_project.planned("config/gpu.yaml")
    assert len(planned["train_task"]) == len(planned["train_student"]) == 1 and len(planned["train_teacher"]) == 5
    config = yaml.safe_load((bare_project.folder / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load((bare_project.folder / "config/gpu.yaml").read_text()))
    donors = []
    for stage, names in (("task", []), ("teacher", ["noise"]), ("student", ["noise"])):
        folder = tmp_path / stage
        folder.mkdir()
        few_steps(config, donors, folder, names, config["training"]["stages"][stage])
        assert pd.read_csv(folder / "metrics.csv")["loss"].notna().sum() == 2
        donors.append(folder)
    assert list(pd.read_csv(donors[-1] / "diagnostics.csv")["input"]) == ["clean", "noise"]


def test_without_consistency_the_heads_of_a_student_do_not_become_one(bare_project, tmp_path):
    """Eq. 5 alone has the same gradient for all artefacts' heads, so that what keeps them apart is where they start."""
    config = yaml.safe_load((bare_project.folder / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load((bare_project.folder / "config/smoke.yaml").read_text()))
    variant, names = config["variants"]["no-consistency"], ["noise", "blur"]
    donors = []
    for number, name in enumerate(["task", *(names if variant["teachers"] else [])]):
        causes = list(dict.fromkeys(["task", name]))
        torch.manual_seed(number)
        donors.append(tmp_path / name)
        donors[-1].mkdir()
        shape = {"causes": causes, **config["network"]}
        save_model(donors[-1], DecoupledUNet(**shape), {"network": shape, "epsilon": 0.05})
    (tmp_path / "student").mkdir()
    stage = config["training"]["stages"]["student"] | variant["training"]
    few_steps(config, donors, tmp_path / "student", names, stage)
    heads = load_model(tmp_path / "student")[0].log_variance
    noise, blur = (heads[name].level.around[0].weight for name in names)
    assert not torch.allclose(noise, blur, atol=0.01)


def few_steps(config, donors, folder, names, stage):
    """Train two steps of a stage, or of a variant, on tiny volumes."""
    few = {"steps": 2, "plain_steps": 0, "patch_size": 32, "patches_per_volume": 1}
    training = {key: value for key, value in config["training"].items() if key not in ("stages", *WATCHING)}
    watching = {key: config["training"][key] for key in WATCHING}
    train_stage(
        tiny_cohort(folder.parent),
        donors,
        folder,
        checkpoint=folder.with_suffix(".pt"),
        watching=watching | {"log_every": 1, "diagnostics": {"n_scans": 1, "severity": 0.7}},
        inference=config["inference"] | {"patch_size": 32},
        fingerprint="x",
        spacing_mm=1.0,
        training=training | stage | few,
        artefacts={name: config["artefacts"][name] for name in names},
        others={},
        coupled=False,
        **{key: config[key] for key in ("seed", "network", "augmentation", "corruption")},
    )


def tiny_cohort(folder):
    """Two subjects of 36 voxels a side; return their manifest."""
    rows = ["\t".join(COLUMNS)]
    for subject, role in (("a", "train"), ("b", "validation")):
        image = np.random.default_rng(ord(subject)).random((36, 36, 36), dtype=np.float32)
        files = [f"{subject}.nii.gz", f"{subject}_dseg.nii.gz"]
        for file, data in zip(files, (image, 2 * (image > 0.5).astype(np.uint8)), strict=True):
            nib.save(nib.Nifti1Image(data, np.eye(4)), folder / file)
        rows.append("\t".join([subject, "phantom", role, *files, "made"]))
    manifest = folder / "manifest.tsv"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest
