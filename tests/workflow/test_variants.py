"""Variants, replicates and baselines are made from configuration alone, and only when asked for."""

import pandas as pd
import pytest
import torch
import yaml
from snakemake.utils import update_config

from decoupled_qc.checkpoint import Checkpoint
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.recipe import Recipe
from decoupled_qc.sampling import Case, Corruption, PatchStream
from decoupled_qc.training import fit


def test_a_variant_or_a_replicate_is_made_from_the_networks_it_learns_from(bare_project):
    """Each in a replicate of its own, so that one plan tells them apart."""
    teachers = {"teacher-noise", "teacher-blur"}
    expected = {
        "gated": {"task"},
        "coupled": {"task"},
        "dropout": {"task"},
        "no-consistency": {"task"},
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


def test_the_gpu_configuration_is_planned_and_its_networks_first_steps_run_here(bare_project, tmp_path):
    planned = bare_project.planned("config/gpu.yaml")
    assert len(planned["train_task"]) == len(planned["train_student"]) == 1 and len(planned["train_teacher"]) == 5
    config = yaml.safe_load((bare_project.folder / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load((bare_project.folder / "config/gpu.yaml").read_text()))
    settings = config["training"] | config["training"]["stages"]["student"] | {"steps": 2, "log_every": 1}
    image = torch.rand(40, 40, 40)
    case = Case("sub-01", image, (image > 0.5).to(torch.uint8))
    names = config["use_artefacts"]
    plan = Corruption(names, [], config["artefacts"], spacing_mm=1.0, **config["corruption"])
    sizes = {"patch_size": 32, "batch_size": settings["batch_size"], "patches_per_volume": 1}
    stream = PatchStream([case], plan, config["augmentation"], **sizes, seed=1, name="gpu")
    network = DecoupledUNet(["task", *names], **config["network"])
    recipe = Recipe(**{key: settings[key] for key in Recipe.__dataclass_fields__})
    fit(network, {}, stream, recipe, tmp_path, Checkpoint(tmp_path / "state", 60, "gpu"))
    assert pd.read_csv(tmp_path / "metrics.csv")["loss"].notna().sum() == 2
