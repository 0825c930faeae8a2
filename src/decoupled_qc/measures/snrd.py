"""Signal-to-noise ratio with the noise of the air, after Dietrich."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.evaluation.regions import holds_noise
from decoupled_qc.measures._ratio import ratio

TITLE = "SNRd"
HIGHER_IS_BETTER = True
OF_IMAGE = True
MISSING = "no grey matter, or no noise in the air (defaced, masked or brain-extracted)"
DIETRICH = math.sqrt((4 - math.pi) / 2)


def measure(evidence: Evidence) -> dict[str, float]:
    """Return SNRd in the reference's grey matter."""
    return {"reference": snr_dietrich(evidence.image, evidence.grey, evidence.head_and_air[1])}


def snr_dietrich(image: np.ndarray, tissue: np.ndarray, air: np.ndarray) -> float:
    """Return SNRd = sqrt((4 - pi) / 2) x median(tissue) / sd(air); higher is better.

    The factor turns the spread of Rayleigh noise in air into that of the noise before the magnitude was taken. The sd is
    1.4826 x the median absolute deviation. NaN without tissue, or with air that is missing, constant, or at exactly 0
    in more than a tenth of its voxels.

    Args:
        image: (D, H, W).
        tissue: (D, H, W), boolean, here the grey matter.
        air: As :func:`decoupled_qc.evaluation.regions.head_and_air` returns it.

    Source: Dietrich et al. 2007, JMRI 26:375; as in MRIQC.
    """
    if not tissue.any() or not holds_noise(image[air]):
        return math.nan
    noise = image[air].astype(np.float64)
    spread = 1.4826 * float(np.median(np.abs(noise - np.median(noise))))
    return ratio(DIETRICH * float(np.median(image[tissue])), spread)
