"""The artefacts: one module for each, found by its file name, and their composition in acquisition order.

An artefact module holds

- ``CHAIN_POSITION``: its place in the acquisition, lowest first;
- ``DOMAIN``: ``kspace``, or ``image`` where the head itself changes or k-space is not needed;
- ``sample(severity, shape, spacing_mm, rng, *, <settings>) -> dict``: physical parameters, all that chance decides;
- ``apply(signal, record) -> signal``: deterministic; in k-space on a complex spectrum in the order of the FFT, which it may
  overwrite; in image space on a real or complex volume, which it leaves as it is;
- where it acts along some axes of k-space only ``axes(record) -> Sequence[int]``: the others then need no transform;
- where faster ``apply_seen(signal, record) -> image``: a new |apply(signal, record)|, used if only the magnitude is;
- where needed ``measure(image, record) -> dict``: entries of the record that depend on the clean scan, and ``MEASURES``, their
  names: where they are there already, nothing is measured;
- where useful ``inspect(clean, corrupted) -> dict``: entries that describe the finished scan, and change nothing.

Modules are loaded by name, so that an edit of one changes the fingerprint of that artefact and of no other.
Sampling does not look at the severity when it draws: the same generator gives the same realisation at any strength.

Source: Shaw et al. 2021, section 3 (artefacts), Shaw et al. 2020, Fig. 1 and 3 (order, artefacts local to a part).
"""

import importlib
import inspect
import math
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import along, magnitude, rescale, to_complex_image, to_kspace

__all__ = [
    "available",
    "check_settings",
    "complete",
    "corrupt",
    "corrupt_batch",
    "corrupt_channels",
    "corrupt_in_range",
    "describe",
    "draw_artefacts",
    "load",
    "module_path",
    "sample_record",
]

FOLDER = Path(__file__).parent
# Edge of an artefact that covers a part of the volume, as fractions of an axis (our choice: only seen in pictures).
LOCAL_CENTRE = (0.3, 0.7)
LOCAL_WIDTH = (0.05, 0.10)


def available() -> list[str]:
    """Return the names of all artefacts that have a module, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def module_path(name: str) -> Path:
    """Return the file of an artefact's module.

    Raises:
        InputError: There is none; the message names the file to create.
    """
    if name not in available():
        raise InputError(
            f"There is no artefact '{name}': create src/decoupled_qc/artefacts/{name}.py with sample() and apply(), "
            f"or use one of {', '.join(available())}."
        )
    return FOLDER / f"{name}.py"


def load(name: str) -> ModuleType:
    """Return the module of an artefact.

    Raises:
        InputError: There is none; the message names the file to create.
    """
    return importlib.import_module(f"{__name__}.{module_path(name).stem}")


def check_settings(name: str, settings: dict) -> None:
    """Compare an artefact's config block with the settings that its module takes.

    Raises:
        InputError: A key is missing or unknown, or a value is neither text nor finite.
    """
    parameters = inspect.signature(load(name).sample).parameters.values()
    known = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    problems = [f"unknown key '{key}'" for key in sorted(settings.keys() - known, key=str)]
    problems += [f"missing key '{key}'" for key in sorted(known - settings.keys())]
    if problems:
        raise InputError(f"Config block artefacts.{name}: {', '.join(problems)}; it takes {', '.join(sorted(known))}.")
    for key, value in settings.items():
        if not _is_usable(value):
            raise InputError(
                f"Config key artefacts.{name}.{key} is {value}: give finite numbers, or text where it takes one."
            )


def _is_usable(value: object) -> bool:
    """Say whether a setting is text, a finite number, or a list of those."""
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(_is_usable(each) for each in value)
    return isinstance(value, str) or (isinstance(value, Real) and math.isfinite(value))


def draw_artefacts(
    names: Sequence[str],
    rng: np.random.Generator,
    *,
    clean_probability: float,
    n_artefacts_probability: Sequence[float],
) -> list[str]:
    """Return which artefacts a training volume gets, drawn uniformly without replacement; none if it stays clean.

    Args:
        names: To draw from; may be empty.
        rng: Where the draws come from.
        clean_probability: Of none, [0, 1]; the paper corrupts about half of the volumes.
        n_artefacts_probability: Of one, two, three … at once in a corrupted volume, sum 1; numbers above that of
            the names count as all of them.
    """
    clean = rng.random() < clean_probability
    count = 1 + rng.choice(len(n_artefacts_probability), p=n_artefacts_probability)
    order = rng.permutation(len(names))
    return [] if clean else [names[index] for index in order[:count]]


def sample_record(
    name: str,
    severity: float,
    shape: Sequence[int],
    spacing_mm: float | Sequence[float],
    rng: np.random.Generator,
    settings: dict,
    *,
    local_probability: float,
) -> dict:
    """Return the record of one artefact: all that is needed to apply it, ready for JSON.

    Args:
        name: Of the artefact.
        severity: [0, 1]; 0 gives a record that changes nothing.
        shape: Of the volume (D, H, W).
        spacing_mm: Voxel size, mm; one number, or one per axis.
        rng: Where the draws come from.
        settings: The artefact's config block.
        local_probability: Of an artefact that covers only a part of the volume, [0, 1].

    Returns:
        The module's parameters, ``artefact``, ``severity``, and ``local``: None, or the soft edge of the part.

    Raises:
        InputError: No such artefact, severity out of range, settings that do not fit the module, not three axes, or voxel
            sizes that are none.
    """
    _check_shape(shape)
    sizes_mm = _three_sizes(spacing_mm)
    if not 0 <= severity <= 1:
        raise InputError(f"Severity {severity} of {name} is outside [0, 1]: give a number within.")
    check_settings(name, settings)
    severity = float(severity)
    if severity == 0:
        return {"artefact": name, "severity": severity, "local": None}
    try:
        record = load(name).sample(severity, tuple(shape), sizes_mm, rng, **settings)
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"Config block artefacts.{name} cannot be used ({error}): see config/README.md.") from error
    local = {
        "axis": int(rng.integers(3)),
        "centre": float(rng.uniform(*LOCAL_CENTRE)),
        "width": float(rng.uniform(*LOCAL_WIDTH)),
        "far_side": bool(rng.integers(2)),
    }
    return {"artefact": name, **record, "local": local if rng.random() < local_probability else None}


def complete(image: Tensor, records: Sequence[dict]) -> list[dict]:
    """Return the records with the entries that depend on the clean scan; those that are there already stay.

    Args:
        image: (D, H, W), float32, the clean scan.
        records: From :func:`sample_record`.
    """

    def entries(record: dict) -> dict:
        module = load(record["artefact"])
        needed = record["severity"] > 0 and not record.keys() >= set(getattr(module, "MEASURES", ()))
        return module.measure(image, record) if needed else {}

    return [{**entries(record), **record} for record in records]


def describe(clean: Tensor, corrupted: Tensor, records: Sequence[dict]) -> list[dict]:
    """Return the records with what their modules measure on the finished scan, for those who read the table.

    Args:
        clean, corrupted: (D, H, W), float32.
        records: From :func:`complete`.
    """
    found = []
    for record in records:
        module = load(record["artefact"])
        observes = record["severity"] > 0 and hasattr(module, "inspect")
        found.append({**record, **(module.inspect(clean, corrupted) if observes else {})})
    return found


def corrupt(image: Tensor, records: Sequence[dict]) -> Tensor:
    """Apply artefacts to a scan in the order of acquisition, those in k-space through one FFT pair where none is local.

    x' = |ifftn(A_n(… A_1(fftn(x))))|, min-max scaled to [0, 1]. An axis along which no artefact acts would be
    transformed to and fro for nothing, so it is not. Noise is added before k-space is entered, to which it makes no
    difference; only after ghosting it costs a pair more. A local artefact is blended with the scan before it:
    x'' = w x' + (1 - w) x, w = sigmoid(4 (u - centre) / width) along an axis u in [0, 1] (or 1 - w).

    Args:
        image: (D, H, W), floating point, >= 0, the clean scan; the work is done in float32, on the image's device.
        records: From :func:`sample_record`, in any order; none, or severity 0, leaves the scan as it is.

    Returns:
        (D, H, W), dtype of the image, range [0, 1]; the same bits for the same image and records.

    Raises:
        InputError: The image is not 3-D, not of floating point, constant, not finite, or negative somewhere.
    """
    if _check(image)[0] < 0:
        raise InputError(
            "The image has negative voxels, which no magnitude has: use corrupt_in_range, which keeps an image's own range."
        )
    scan = image.float()
    records = complete(scan, [record for record in records if record["severity"] > 0])
    if not records:
        return rescale(scan).to(image.dtype)
    records.sort(key=_chain_position)
    signal, axes = scan, ()  # which of its axes lie in k-space
    for record in records:
        module = load(record["artefact"])
        before = _seen(signal, axes) if record["local"] else None
        if module.DOMAIN == "image":
            signal, axes = to_complex_image(signal, axes), ()
        else:
            missing = [axis for axis in _axes(module, record) if axis not in axes]
            signal, axes = to_kspace(signal, missing), (*axes, *missing)
        if not (record["local"] or record is records[-1]):
            signal = module.apply(signal, record)
            continue
        apply_seen = getattr(module, "apply_seen", None)
        seen = apply_seen(signal, record) if apply_seen else _seen(module.apply(signal, record), axes)
        if record["local"]:
            weight = _local_weight(before, record["local"])
            seen = weight * seen + (1 - weight) * before
        signal, axes = seen, ()
    return rescale(signal, out=signal).to(image.dtype)


def corrupt_batch(images: Tensor, records: Sequence[Sequence[dict]]) -> Tensor:
    """Apply artefacts to a batch as :func:`corrupt` does to each scan: its neighbours make no difference to its bits.

    Args:
        images: (B, C, D, H, W), floating point, >= 0; the channels of a scan share its artefacts.
        records: From :func:`sample_record`, one list per scan.

    Returns:
        (B, C, D, H, W), dtype of the images, range [0, 1] per channel.

    Raises:
        InputError: Not five axes, not one list of records per scan, or see :func:`corrupt`.
    """
    if images.ndim != 5 or len(images) != len(records):
        raise InputError(
            f"A batch of shape {tuple(images.shape)} with {len(records)} lists of records: give scans (B, C, D, H, W) and "
            "one list for each."
        )
    return torch.stack(
        [
            torch.stack([corrupt(channel, chosen) for channel in scan])
            for scan, chosen in zip(images, records, strict=True)
        ]
    )


def corrupt_in_range(image: Tensor, records: Sequence[dict]) -> Tensor:
    """Apply artefacts as :func:`corrupt` does, and bring the scan back to its own intensity range.

    Args:
        image: (D, H, W), float32, of any range.
        records: From :func:`sample_record`.

    Returns:
        (D, H, W), float32, with the lowest and highest intensity of the clean scan; without severity its own bits.

    Raises:
        InputError: The image is not 3-D, not of floating point, constant, or not finite.
    """
    low, high = _check(image)
    if all(record["severity"] == 0 for record in records):
        return image.clone()
    return low + (high - low) * corrupt(rescale(image), records)


def corrupt_channels(image: Tensor, records: Sequence[Sequence[dict]]) -> tuple[Tensor, list[list[dict]]]:
    """Apply artefacts to each channel of an image as :func:`corrupt_in_range` does, and tell what they measure.

    Args:
        image: (C, D, H, W), of any type and range.
        records: From :func:`sample_record`, one list per channel.

    Returns:
        (C, D, H, W), float32; the records of each channel, from :func:`complete` and :func:`describe` on its scan in [0, 1].

    Raises:
        InputError: Not one list of records per channel, or see :func:`corrupt_in_range`.
    """
    if len(image) != len(records):
        raise InputError(f"An image of {len(image)} channels has {len(records)} lists of records: give one for each.")
    corrupted, described = [], []
    for channel, chosen in zip(image.float(), records, strict=True):
        _check(channel)
        scan = rescale(channel)
        completed = complete(scan, chosen)
        corrupted.append(corrupt_in_range(channel, completed))
        described.append(describe(scan, rescale(corrupted[-1]), completed))
    return torch.stack(corrupted), described


def _three_sizes(spacing_mm: float | Sequence[float]) -> np.ndarray:
    """Return the voxel size along each axis, mm."""
    sizes = np.array(spacing_mm, dtype=float)
    if sizes.shape not in [(), (1,), (3,)] or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(
            f"Voxel sizes of {spacing_mm} mm cannot be used: give one positive number, or one for each axis."
        )
    return np.broadcast_to(sizes, 3)


def _check_shape(shape: Sequence[int]) -> None:
    if len(shape) != 3:
        raise InputError(f"An image of shape {tuple(shape)} is not a volume: give one with three axes.")


def _check(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest intensity of an image that can be used; raise InputError for any other."""
    _check_shape(image.shape)
    if not image.is_floating_point():
        raise InputError(f"An image of {image.dtype} cannot hold what the artefacts make of it: give it as float32.")
    low, high = image.aminmax()  # both are NaN where a voxel is
    if not (low.isfinite() and high.isfinite()):
        raise InputError("The image has voxels that are NaN or infinite: replace them before simulating artefacts.")
    if low == high:
        raise InputError("The image is constant, so it shows nothing that an artefact could change: check the file.")
    return low, high


def _axes(module: ModuleType, record: dict) -> Sequence[int]:
    """Return along which axes an artefact needs k-space."""
    return module.axes(record) if hasattr(module, "axes") else range(3)


def _seen(signal: Tensor, axes: Sequence[int]) -> Tensor:
    """Return the magnitude image of a signal that lies in k-space along some axes."""
    return magnitude(to_complex_image(signal, axes))


def _chain_position(record: dict) -> int:
    return load(record["artefact"]).CHAIN_POSITION


def _local_weight(image: Tensor, local: dict) -> Tensor:
    """Return the share of the artefact along one axis, shaped to broadcast over the volume."""
    n = image.shape[local["axis"]]
    position = (torch.arange(n, device=image.device) + 0.5) / n
    weight = torch.sigmoid(4 * (position - local["centre"]) / local["width"])
    return along(local["axis"], weight if local["far_side"] else 1 - weight)
