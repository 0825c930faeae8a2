"""What makes two scans of one anatomy look different: tissue contrast, texture, bias field and the scanner's noise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from decoupled_qc.grids import BLUR
from decoupled_qc.simulation.bias import bias_field

CAP_PERCENTILE = 99.5  # of what is brighter than air: no bias on a spot of fat may set the scale of all else
AIR = 0.1  # of the white-matter mean


def vary(
    image: NDArray[np.float32],
    fractions: NDArray[np.float32],
    spacing_mm: float,
    rng: np.random.Generator,
    *,
    contrast_quantile: float,
    contrast: Sequence[float],
    shift_sd: float,
    outside_sd: float,
    outside_smoothness_mm: float,
    texture_sd: float,
    texture_smoothness_mm: float,
    bias_order: int,
    bias_coefficient: float,
    noise: Sequence[float],
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Return a volume with a look of its own.

    Tissue means move through the tissue fractions, so that partial-volume voxels move with them; the bias field and
    texture multiply; the noise is Rician, as in a magnitude image.

    Args:
        image: (D, H, W), float32, >= 0, not constant.
        fractions: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter; their sum is the brain.
        spacing_mm: Of the voxels.
        rng: Where all other draws come from.
        contrast_quantile: Where the contrast lies in its range, [0, 1).
        contrast: Lowest and highest (white - grey) / white, of the tissues' means.
        shift_sd: Standard deviation of each tissue's own shift, as a fraction of the white-matter mean.
        outside_sd: Standard deviation of the logarithm of a smooth factor on tissue outside the brain.
        outside_smoothness_mm: Standard deviation of the Gaussian that smooths it.
        texture_sd: Standard deviation of a multiplicative texture.
        texture_smoothness_mm: Standard deviation of the Gaussian that smooths it.
        bias_order: Order of the polynomial whose exponential is the bias field.
        bias_coefficient: Each coefficient is uniform within plus and minus this number.
        noise: Lowest and highest standard deviation of either channel's noise in voxels of 1 mm, relative to the
            white-matter mean; it falls with the square root of the voxel's volume.

    Returns:
        (D, H, W), float32, min-max scaled to [0, 1], and two things that it depends on: ``contrast`` and ``noise``.
    """
    grey, white = ((image * part).sum() / part.sum() for part in fractions[1:])
    low, high = contrast
    wanted = low + contrast_quantile * (high - low)
    own = rng.normal(0, shift_sd * white, 3)
    shifts = own + np.array([0.0, (1 - wanted) * white - grey, 0.0])
    moved = image + np.einsum("k,kxyz->xyz", shifts.astype(np.float32), fractions)
    brain = fractions.sum(0)
    outside = np.exp(outside_sd * _smooth_noise(image.shape, outside_smoothness_mm / spacing_mm, rng))
    texture = 1 + texture_sd * _smooth_noise(image.shape, texture_smoothness_mm / spacing_mm, rng)
    moved *= (brain + (1 - brain) * outside) * texture
    moved *= bias_field(image.shape, rng, bias_order, bias_coefficient).numpy()
    moved = np.clip(moved, 0, np.percentile(moved[moved > AIR * white], CAP_PERCENTILE))
    level = float(rng.uniform(*noise)) * spacing_mm**-1.5
    real, imaginary = rng.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(level * white)
    scan = np.hypot(moved + real, imaginary)
    scan -= scan.min()
    return scan / scan.max(), {"contrast": wanted, "noise": level}


def reslice(scan: NDArray[np.float32], fwhm_voxels: float) -> NDArray[np.float32]:
    """Return a scan as interpolation onto other grids leaves it: an average over a Gaussian, of its noise too.

    A scan in use is rarely as its scanner wrote it. Linear interpolation in the middle between two voxels has the variance of a
    Gaussian of 1.2 voxels' width; it takes most of the noise at high frequencies, as a low resolution does, and little else.

    Args:
        scan: (D, H, W), float32.
        fwhm_voxels: Full width at half maximum; 0 leaves the scan as it is.

    Returns:
        (D, H, W), float32, min-max scaled to [0, 1].
    """
    if fwhm_voxels == 0:
        return scan
    # In Fourier space, where a width of less than a voxel is what it says: a kernel sampled on voxels would be next to none.
    spectrum = ndimage.fourier_gaussian(fft.rfftn(scan), BLUR * fwhm_voxels, n=scan.shape[-1])
    smooth = fft.irfftn(spectrum, s=scan.shape)
    smooth -= smooth.min()
    return smooth / smooth.max()


def _smooth_noise(shape: tuple[int, ...], sigma_voxels: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a periodic Gaussian field of unit variance."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma_voxels, mode="wrap")
    return smooth / smooth.std()
