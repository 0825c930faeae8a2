"""Bias field: the receive coil hears some parts of the head better than others.

x' = x exp(p(u)), u in the [-1, 1] cube of the volume, p a polynomial without constant term whose coefficients are scaled so that
log x' / x spans as much as the severity asks for over the central half of each axis.

Source: exp-polynomial model as in Sudre et al. 2017; the proportions are our choice. Beyond the paper, which has it as an
augmentation only.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.bias import exp_polynomial, polynomial_weights
from decoupled_qc.simulation.kspace import at_severity

CHAIN_POSITION = 0.4  # of the head as it lies, before anything is added to its signal
DOMAIN = "image"
ORDERS = range(1, 11)
SPAN_POINTS = 9  # per axis, where the span is measured


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    log_span: Sequence[float],
    order: int,
) -> dict:
    """Draw a field.

    Args:
        severity: (0, 1].
        shape: Not used: the field is relative to the volume.
        spacing_mm: Not used.
        rng: Where the draws come from.
        log_span: At severity 0 and 1, natural logarithm of the largest over the smallest value of the field in the central half
            of each axis; over the whole volume, whose corners are mostly air, it is about three to five times as much.
        order: Highest total order of a term, >= 1.

    Returns:
        ``log_span``; ``weights``, (order + 1)^3 coefficients of x^a y^b z^c.

    Raises:
        InputError: The order is no whole number from 1 to 10.
    """
    if order not in ORDERS:
        raise InputError(f"Config key artefacts.bias.order is {order}: give a whole number from 1 to {ORDERS[-1]}.")
    span = at_severity(log_span, severity)
    weights = polynomial_weights(rng, order, 1.0)
    field = exp_polynomial((2 * SPAN_POINTS - 1,) * 3, weights).log()
    inner = field[(slice(SPAN_POINTS // 2, -(SPAN_POINTS // 2)),) * 3]
    weights *= span / float(inner.max() - inner.min())
    return {"severity": severity, "log_span": span, "weights": weights.tolist()}


def apply(image: Tensor, record: dict) -> Tensor:
    """Multiply the image by the field.

    Args:
        image: (D, H, W), float32 or complex64.
        record: From :func:`sample`.
    """
    return image * exp_polynomial(image.shape, np.array(record["weights"], dtype=np.float32), image.device)
