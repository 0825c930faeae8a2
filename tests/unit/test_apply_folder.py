import json
import pickle

import pytest
import torch
from safetensors.torch import save_file
from tiny_model import write_tiny_model

from decoupled_qc.apply.folder import open_model
from decoupled_qc.errors import InputError
from decoupled_qc.files import sha256_of


@pytest.fixture
def folder(tmp_path):
    return write_tiny_model(tmp_path / "model")


def edit(folder, change, name="model.json"):
    card = json.loads((folder / name).read_text())
    change(card)
    (folder / name).write_text(json.dumps(card))


def test_a_whole_folder_opens(folder):
    model = open_model(folder)
    assert model.network.causes == ("task", "noise", "blur") and model.reference["n_subjects"] == 12
    assert not model.network.training


def test_other_weights_than_the_card_names_are_refused(folder):
    weights = {key: value + 1 for key, value in open_model(folder).network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(InputError, match="has SHA-256 .* not the one that model.json names"):
        open_model(folder)


def test_weights_that_are_no_real_numbers_are_refused(folder):
    weights = {key: value.to(torch.int32) for key, value in open_model(folder).network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    edit(folder, lambda card: card.update(sha256=sha256_of(folder / "weights.safetensors")))
    edit(folder, lambda card: card.update(sha256=sha256_of(folder / "weights.safetensors")), "reference.json")
    with pytest.raises(InputError, match="does not fit the network in model.json"):
        open_model(folder)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


def test_nothing_is_unpickled(folder):
    (folder / "weights.safetensors").write_bytes(pickle.dumps(Bomb()))
    edit(folder, lambda card: card.update(sha256=sha256_of(folder / "weights.safetensors")))
    edit(folder, lambda card: card.update(sha256=sha256_of(folder / "weights.safetensors")), "reference.json")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        open_model(folder)


def wide_layers(channels, head_channels, patch_size, batch_size):
    """Return a change that makes the network wide where it has the most voxels, with few enough weights."""

    def change(card):
        card["network"].update(channels=channels, head_channels=head_channels)
        card["inference"].update(patch_size=patch_size, batch_size=batch_size)

    return change


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda card: card["network"].update(channels=[4000, 4096]), "more than 500000000 weights"),
        (lambda card: card["network"].update(channels=[4, 10**9]), "whole numbers up to 4096"),
        (lambda card: card["network"].update(channels=[8, 16]), "does not fit the network"),
        (lambda card: card["network"].update(channels=[4] * 100), "two to eight"),
        (lambda card: card["network"].update(causes=["task", "../../evil", "blur"]), "causes are not"),
        (lambda card: card["network"].update(causes=["task", "noise", "noise"]), "causes are not"),
        (
            lambda card: card["network"].update(causes=["task", "noise", "total"]),
            "means something else, one of clean, none",
        ),
        (lambda card: card["network"]["start_log_variance"].update(task=1e300), "a number outside -100 to 100"),
        (lambda card: card["network"].update(__class__="x"), "network has the keys"),
        (lambda card: card["network"].update(dropout=2), "dropout is 2"),
        (lambda card: card["network"].update(presence=1), "presence is neither"),
        (lambda card: card.update(artefacts=["noise"]), "artefacts differ"),
        (lambda card: card.update(spacing_mm=1e-9), "spacing_mm is 1e-09, outside"),
        (lambda card: card.update(epsilon="0.1"), "epsilon is '0.1'"),
        (lambda card: card["inference"].update(patch_size=4096), "patch_size is 4096"),
        (wide_layers([512, 16], 4, 256, 1), "a batch of windows takes 64 GiB in one layer, more than 8"),
        (wide_layers([8, 4096], 4, 128, 32), "a batch of windows takes 256 GiB in one layer, more than 8"),
        (wide_layers([8, 16], 4096, 64, 1), "a batch of windows takes 12 GiB in one layer, more than 8"),
        (lambda card: card["inference"].update(patch_size=17), "patch_size is no multiple of 2"),
        (lambda card: (card.update(patch_size=16), card["inference"].update(patch_size=65536)), "patch_size is 65536"),
        (lambda card: card.update(epsilon=10**400), "epsilon is 1000"),
        (lambda card: card.update(format=2), "format is 2, not 4"),
        (lambda card: card.pop("network"), "network or inference is missing"),
    ],
)
def test_a_card_that_cannot_be_is_refused_before_memory_is_taken(folder, change, reason, monkeypatch):
    edit(folder, change)
    made = []
    monkeypatch.setattr("decoupled_qc.apply.folder.load_model", lambda folder: made.append(folder))
    with pytest.raises(InputError, match=reason):
        open_model(folder)
    assert not made


def test_a_network_with_the_setting_of_dropout_is_taken(folder):
    edit(folder, lambda card: card["network"].update(dropout=0.0))
    assert open_model(folder).network.dropout == 0


def test_a_reference_of_another_model_is_refused(folder):
    edit(folder, lambda reference: reference.update(artefacts=["noise", "spike"]), "reference.json")
    with pytest.raises(InputError, match="reference.json: it is of other artefacts"):
        open_model(folder)
    edit(folder, lambda reference: reference.update(artefacts=["noise", "blur"], sha256="0" * 64), "reference.json")
    with pytest.raises(InputError, match="it was made with other weights"):
        open_model(folder)


def test_what_is_missing_or_no_json_is_named(folder):
    (folder / "reference.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="reference.json is not valid JSON"):
        open_model(folder)
    (folder / "reference.json").write_text('{"deep": ' + "[" * 500 + "]" * 500 + "}")
    with pytest.raises(InputError, match="reference.json has blocks within blocks, more than 30"):
        open_model(folder)
    (folder / "reference.json").unlink()
    with pytest.raises(InputError, match="reference.json is missing"):
        open_model(folder)
    with pytest.raises(InputError, match="is no folder"):
        open_model(folder / "nowhere")


def test_the_shapes_are_looked_at_without_memory(folder):
    """The network of the check lies on the meta device."""
    places = []
    plain = torch.nn.Conv3d.__init__

    def spy(self, *arguments, **named):
        plain(self, *arguments, **named)
        places.append(self.weight.device.type)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Conv3d, "__init__", spy)
        patch.setattr("decoupled_qc.apply.folder.load_model", lambda folder: (None, None))
        open_model(folder)
    assert set(places) == {"meta"}
