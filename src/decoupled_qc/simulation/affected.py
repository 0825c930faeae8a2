"""The part of a scan that a local artefact covers, and how much of a map lies in it."""

import math

import numpy as np


def affected_part(shape: tuple[int, int, int], local: dict) -> np.ndarray:
    """Return the part of a volume in which a local artefact weighs more than the clean scan does.

    Args:
        shape: Of the volume (D, H, W).
        local: Entry ``local`` of the artefact's record: ``axis``, ``centre`` (of the soft edge, as a fraction of the axis)
            and ``far_side``, see :func:`decoupled_qc.artefacts.corrupt`.

    Returns:
        (D, H, W), boolean.
    """
    position = (np.arange(shape[local["axis"]]) + 0.5) / shape[local["axis"]]
    inside = (position > local["centre"]) == local["far_side"]
    return np.broadcast_to(np.expand_dims(inside, [axis for axis in range(3) if axis != local["axis"]]), shape)


def part_of_artefacts(records: list[dict], shape: tuple[int, int, int]) -> np.ndarray:
    """Return the part of a volume that a scan's artefacts cover: all of it where one is not local, or there is none.

    Args:
        records: Of the scan's artefacts.
        shape: Of the volume (D, H, W).

    Returns:
        (D, H, W), boolean.
    """
    local = [record.get("local") for record in records]
    if not local or None in local:
        return np.ones(shape, bool)
    return np.logical_or.reduce([affected_part(shape, part) for part in local])


def share_inside(variance: np.ndarray, part: np.ndarray) -> float:
    """Return the share of a variance map's sum that lies in a part of the volume; NaN for a map of zeros.

    A map that knows nothing of the part has about the part's share of the volume; an artefact's own map should have more.

    Args:
        variance: (D, H, W), >= 0.
        part: (D, H, W), boolean.
    """
    total = variance.sum(dtype=np.float64)
    return float(variance[part].sum(dtype=np.float64) / total) if total > 0 else math.nan
