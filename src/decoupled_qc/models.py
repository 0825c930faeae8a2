"""Model folders: weights as safetensors and a card as JSON; nothing is unpickled."""

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from decoupled_qc.errors import InputError
from decoupled_qc.network import DecoupledUNet

WEIGHTS = "weights.safetensors"
CARD = "model.json"


def save_model(folder: Path, network: DecoupledUNet, card: dict) -> None:
    """Write a network's weights and its card into an existing folder.

    Args:
        folder: Model folder.
        network: On any device.
        card: JSON-serialisable; must hold ``network`` (the arguments of :class:`DecoupledUNet`) and ``epsilon``.
    """
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n")


def load_model(folder: Path) -> tuple[DecoupledUNet, dict]:
    """Return a network in evaluation mode, without gradients, and its card.

    Raises:
        InputError: A file is missing, or the weights do not fit the card.
    """
    folder = Path(folder)
    for name in (WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing: train the model again or name another model folder.")
    card = json.loads((folder / CARD).read_text())
    network = DecoupledUNet(**card["network"])
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError as error:
        raise InputError(f"{folder / WEIGHTS} does not fit the network in {CARD}: train the model again.") from error
    return network.eval().requires_grad_(False), card
