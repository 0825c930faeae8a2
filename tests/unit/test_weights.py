"""The weights in the package: whole, small, and giving what they gave when they were made."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from phantom import ROOT
from snakemake.utils import update_config

from decoupled_qc.apply import self_test
from decoupled_qc.apply.folder import MODEL_CARD, SHIPPED, open_model
from decoupled_qc.cli import main
from decoupled_qc.models import CARD, WEIGHTS
from decoupled_qc.training.recipe import WATCHING


def test_the_shipped_model_opens_and_is_small():
    model = open_model()
    assert (SHIPPED / WEIGHTS).stat().st_size < 20_000_000
    assert model.card["artefacts"] == ["spike", "noise", "blur", "wrap", "motion"]
    assert (
        model.card["sha256"] == model.reference["sha256"] and model.card["sha256"] in (SHIPPED / MODEL_CARD).read_text()
    )


def test_no_range_of_the_reference_begins_below_what_can_be():
    assert all(0 <= low < high for low, high in open_model().reference["input_ranges"].values())


def test_the_cards_settings_are_those_that_the_release_configuration_asks_for():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load((ROOT / "config/release.yaml").read_text()))
    recipe = {key: value for key, value in config["training"].items() if key not in ("stages", *WATCHING)}
    assert config["reference"]["network"] == "student"
    recipe |= config["training"]["stages"]["student"]
    card = open_model().card
    assert {key: card["training"][key] for key in recipe} == recipe
    assert {key: card["network"][key] for key in config["network"]} == config["network"]
    assert card["inference"] == config["inference"] and card["spacing_mm"] == config["cohort"]["spacing_mm"]
    assert {key: card[key] for key in ("seed", "augmentation")} == {
        key: config[key] for key in ("seed", "augmentation")
    }
    assert card["corruption"] == config["corruption"]


def test_no_copyleft_head_and_no_test_scan_was_trained_on():
    card = (SHIPPED / MODEL_CARD).read_text()
    assert "Apache-2.0" in card and "brainbrowser" not in card.lower()
    table = pd.read_csv(ROOT / "benchmarks/release/subjects.csv")
    for role, subjects in table.groupby("role")["anatomy"]:
        assert f"| {role} | {len(subjects)} | {subjects.nunique()} |" in card  # the cohort of the run that made them
    assert not table.apply(lambda column: column.str.contains("brainbrowser", case=False)).any(axis=None)
    heads = table.groupby("role")["anatomy"].agg(set)
    assert set(heads.index) == {"train", "validation", "test"}
    assert heads["train"].isdisjoint(heads["validation"] | heads["test"])
    assert heads["validation"].isdisjoint(heads["test"])


def test_the_shipped_model_gives_what_it_gave(capsys):
    assert main(["self-test"]) == 0
    assert "gives what it gave" in capsys.readouterr().out


def test_a_model_that_gives_something_else_is_refused(tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | {"epsilon": card["epsilon"] + 2.0}))
    assert main(["self-test", "--model", str(folder)]) == 2
    assert "not" in capsys.readouterr().err
    (folder / self_test.EXPECTED).unlink()
    assert main(["self-test", "--model", str(folder)]) == 2
    assert "without a self-test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "one number for each of grey_matter_probability, variance_task"),
        ('{"grey_matter_probability": 0.1}', "one number for each of"),
        ('{"variance_task": ', "not valid JSON"),
        ("[]", "no JSON object"),
    ],
)
def test_a_self_test_that_compares_nothing_does_not_pass(tmp_path, capsys, text, told):
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    (folder / self_test.EXPECTED).write_text(text)
    assert main(["self-test", "--model", str(folder)]) == 2
    assert told in capsys.readouterr().err


def test_the_phantom_is_the_same_everywhere():
    image = self_test.phantom()
    assert float(image.double().mean()) == pytest.approx(0.186668, abs=1e-6)
