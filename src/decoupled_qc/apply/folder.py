"""A model folder from anyone: nothing in it is run, and nothing is believed before it is checked."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from decoupled_qc.apply.reference_checks import FORMAT, is_number, problems_of_reference
from decoupled_qc.apply.results_folder import REFERENCE
from decoupled_qc.causes import CLEAN, NO_ARTEFACT, TASK, TOTAL
from decoupled_qc.errors import InputError
from decoupled_qc.files import sha256_of
from decoupled_qc.models import CARD, WEIGHTS, load_model
from decoupled_qc.network import DecoupledUNet

MODEL_CARD = "MODEL_CARD.md"
SHIPPED = Path(__file__).parents[1] / "weights"
MAX_JSON_BYTES = 50_000_000
MAX_DEPTH = 30  # of blocks within blocks in them
MAX_PARAMETERS = 500_000_000
MAX_LAYER_GIB = 8  # of a batch of windows in the widest layer; the paper's network takes a twentieth of that
LIMITS = {  # of numbers in model.json: what lies outside is a mistake, or meant to take all memory
    "spacing_mm": (0.2, 10.0),
    "epsilon": (0.0, 10.0),
    "patch_size": (8, 256),
    "batch_size": (1, 256),
    "overlap": (0.0, 0.9),
}
MAX_LOG_VARIANCE = 100.0  # where one may start: far beyond what the network lets out
NAME = re.compile(r"[a-z0-9]{1,30}")
TAKEN = {NO_ARTEFACT, CLEAN, TOTAL}  # names that tables and maps have for something else
DTYPES = {"F64", "F32", "F16", "BF16"}  # of weights, as safetensors calls them
LONGEST_PROBLEM = 300  # characters: a file from anyone may hold anything


@dataclass(frozen=True)
class Model:
    """A network and what its validation scans tell about it.

    Attributes:
        folder: Where it lies.
        network: In evaluation mode.
        card: ``model.json``.
        reference: ``reference.json``.
    """

    folder: Path
    network: DecoupledUNet
    card: dict
    reference: dict


def open_model(folder: str | Path | None = None) -> Model:
    """Read a model folder; the one that comes with the package if None is given.

    Sizes are checked before memory is taken, the weights against their SHA-256 and their shapes, and names that become
    file names.

    Raises:
        InputError: A file is missing or unreadable, too large, or says what cannot be.
    """
    if folder is None and not (SHIPPED / WEIGHTS).is_file():
        raise InputError("No weights came with this installation: name a model folder with --model.")
    folder = Path(folder or SHIPPED)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name a model folder, with {WEIGHTS}, {CARD} and {REFERENCE}.")
    card, reference = read_json(folder / CARD), read_json(folder / REFERENCE)
    for problem in _problems_of_card(card):
        raise InputError(f"{folder / CARD}: {problem[:LONGEST_PROBLEM]}; ask for the model again.")
    for problem in problems_of_reference(reference, card["artefacts"], card.get("sha256")):
        raise InputError(f"{folder / REFERENCE}: {problem[:LONGEST_PROBLEM]}; ask for the model again.")
    _check_weights(folder / WEIGHTS, card)
    network, _ = load_model(folder)
    return Model(folder, network, card, reference)


def read_json(path: Path) -> dict:
    """Return a JSON object of a model folder, which may be anybody's: its size and depth are checked.

    Raises:
        InputError: It is missing, too large, no JSON object, or nested too deep.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: a model folder holds {WEIGHTS}, {CARD} and {REFERENCE}.")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes, far more than a description needs: it is not read.")
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): ask for the model again.") from error
    if not isinstance(read, dict):
        raise InputError(f"{path} is no JSON object: ask for the model again.")
    blocks, depth = [read], 0
    while blocks and depth < MAX_DEPTH:
        inside = (value for block in blocks for value in (block.values() if isinstance(block, dict) else block))
        blocks, depth = [value for value in inside if isinstance(value, dict | list)], depth + 1
    if blocks:
        raise InputError(f"{path} has blocks within blocks, more than {MAX_DEPTH}: ask for the model again.")
    return read


def _problems_of_card(card: dict) -> Iterator[str]:
    """Yield what is wrong with ``model.json``, so that nothing odd reaches the network's constructor or a file name."""
    if card.get("format") != FORMAT:
        yield f"format is {card.get('format')!r}, not {FORMAT}"
    network, inference = card.get("network"), card.get("inference")
    if not isinstance(network, dict) or not isinstance(inference, dict):
        yield "network or inference is missing"
    if set(network) - {"dropout", "presence"} != {"causes", "channels", "head_channels", "start_log_variance"}:
        yield f"network has the keys {sorted(network)}"
    causes, channels, hidden = network["causes"], network["channels"], network["head_channels"]
    named = isinstance(causes, list) and 2 <= len(causes) <= 32 and len({*map(str, causes)}) == len(causes)
    if not named or causes[0] != TASK or not all(isinstance(name, str) and NAME.fullmatch(name) for name in causes):
        yield "causes are not the task and differing names of lower-case letters and digits"
    if TAKEN & set(causes):
        yield f"causes have a name that means something else, one of {', '.join(sorted(TAKEN))}"
    if card.get("artefacts") != causes[1:]:
        yield "artefacts differ from the network's causes"
    sizes = [*channels, hidden] if isinstance(channels, list) and 2 <= len(channels) <= 8 else [None]
    if not all(type(n) is int and 0 <= n <= 4096 for n in sizes) or 0 in channels:
        yield "channels are not two to eight whole numbers up to 4096"
    dropout = network.get("dropout", 0.0)
    if not is_number(dropout) or not 0 <= dropout < 1:
        yield f"dropout is {dropout!r}, not in [0, 1)"
    if not isinstance(network.get("presence", False), bool):
        yield "presence is neither true nor false"
    start = network["start_log_variance"]
    if not isinstance(start, dict) or set(start) != {"task", "artefact"} or not all(map(is_number, start.values())):
        yield "start_log_variance is not two numbers"
    if any(abs(value) > MAX_LOG_VARIANCE for value in start.values()):
        yield f"start_log_variance has a number outside {-MAX_LOG_VARIANCE:g} to {MAX_LOG_VARIANCE:g}"
    if set(inference) != {"patch_size", "overlap", "batch_size", "precision", "mirror"}:
        yield f"inference has the keys {sorted(inference)}"
    if not isinstance(inference["mirror"], bool):
        yield "inference.mirror is neither true nor false"
    if inference["precision"] not in ("auto", "float32", "bfloat16"):
        yield "inference.precision is unknown"
    for key, (low, high) in LIMITS.items():
        value = inference[key] if key in inference else card.get(key)
        whole = key in ("patch_size", "batch_size")
        if not is_number(value) or not low <= value <= high or (whole and type(value) is not int):
            yield f"{key} is {value!r}, outside {low} to {high}"
    if inference["patch_size"] % 2 ** (len(channels) - 1):
        yield f"patch_size is no multiple of {2 ** (len(channels) - 1)}"
    layer_gib = _widest_layer_bytes(network, **inference) / 2**30
    if layer_gib > MAX_LAYER_GIB:
        yield f"a batch of windows takes {layer_gib:.0f} GiB in one layer, more than {MAX_LAYER_GIB}"


def _widest_layer_bytes(network: dict, *, patch_size: int, batch_size: int, **_: object) -> float:
    """Return the memory of the widest layer for a batch of windows: what a decoder block takes in, or all heads' blocks."""
    decoder = (2 * n / 8**level for level, n in enumerate(network["channels"]))
    channels = max(*decoder, network["head_channels"] * len(network["causes"]))
    return 4.0 * channels * batch_size * patch_size**3


def _check_weights(path: Path, card: dict) -> None:
    """Compare the weights' header with the network that the card describes, then their hash, before they are loaded.

    Raises:
        InputError: They differ, or the network is larger than any that is made here.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: a model folder holds {WEIGHTS}, {CARD} and {REFERENCE}.")
    with torch.device("meta"):  # shapes, without memory
        wanted = {name: list(value.shape) for name, value in DecoupledUNet(**card["network"]).state_dict().items()}
    if sum(math.prod(shape) for shape in wanted.values()) > MAX_PARAMETERS:
        raise InputError(
            f"{path.with_name(CARD)} describes a network of more than {MAX_PARAMETERS} weights: it is not read."
        )
    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, no mapping
            there = {name: one.get_shape() for name, one in slices.items()}
            dtypes = {one.get_dtype() for one in slices.values()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}): ask for the model again.") from error
    if there != wanted or dtypes - DTYPES:
        raise InputError(f"{path} does not fit the network in {CARD}: ask for the model again.")
    found = sha256_of(path)
    if found != card.get("sha256"):
        raise InputError(f"{path} has SHA-256 {found}, not the one that {CARD} names: ask for the model again.")
