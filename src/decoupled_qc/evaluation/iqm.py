"""Image quality measures that the uncertainty is compared with."""

import math

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

AIR_MARGIN_VOXELS = 3
CANNY_SD_VOXELS = 1.4  # of the smoothing before edges are looked for
CANNY_SLOPES = (0.0125, 0.025)  # lower and upper threshold, of the brightest intensity per voxel
ENCLOSED_MM = 8.0  # white matter lies within this distance of grey matter on all sides
MOST_ZEROS = 0.1  # of the air's voxels; more were blanked, by a scanner, a mask or a defacing tool
DIETRICH = math.sqrt((4 - math.pi) / 2)


def tissue_snr(image: np.ndarray, grey: np.ndarray) -> float:
    """Return SNR = mean(grey matter) / sd(grey matter); higher is better; NaN without grey matter or spread.

    Args:
        image: (D, H, W), the scan as it is, corrupted or not.
        grey: (D, H, W), boolean grey-matter mask.

    Source: Shaw et al. 2021, eq. 10.
    """
    values = image[grey]
    return _ratio(values.mean(dtype=np.float64), values.std(dtype=np.float64)) if values.size else math.nan


def tissue_cnr(image: np.ndarray, grey: np.ndarray, white: np.ndarray) -> float:
    """Return CNR = |mean(WM) - mean(GM)| / sqrt(var(WM) + var(GM)); higher is better; NaN without either tissue.

    Args:
        image: (D, H, W), the scan as it is.
        grey, white: (D, H, W), boolean tissue masks.

    Source: Shaw et al. 2021, eq. 11; the root of the summed variances is our reading, MRIQC's adds that of air.
    """
    inside, outside = image[grey], image[white]
    if not inside.size or not outside.size:
        return math.nan
    difference = abs(outside.mean(dtype=np.float64) - inside.mean(dtype=np.float64))
    return _ratio(difference, math.sqrt(outside.var(dtype=np.float64) + inside.var(dtype=np.float64)))


def enclosed_white(image: np.ndarray, grey: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return a stand-in for white matter, which a grey-matter network does not label.

    What grey matter encloses and is brighter than grey matter's median plus half its spread: of a T1-weighted scan that
    is white matter, of any other something else.

    Args:
        image: (D, H, W), [0, 1].
        grey: (D, H, W), boolean, predicted grey matter.
        spacing_mm: Voxel size along each axis, mm.

    Returns:
        (D, H, W) boolean mask, empty without grey matter.
    """
    if not grey.any():
        return np.zeros_like(grey)
    steps = max(1, round(ENCLOSED_MM / math.prod(spacing_mm) ** (1 / 3)))
    padded = np.pad(grey, steps)  # so that closing does not end at the edge of the volume
    closed = ndimage.binary_closing(padded, iterations=steps)[tuple(slice(steps, -steps) for _ in range(3))]
    level = np.median(image[grey]) + 0.5 * image[grey].std()
    return closed & ~grey & (image > level)


def cjv(image: np.ndarray, grey: np.ndarray, white: np.ndarray) -> float:
    """Return the coefficient of joint variation, (sd(WM) + sd(GM)) / |mean(WM) - mean(GM)|; higher is worse.

    NaN without either tissue or contrast.

    Args:
        image, grey, white: As for :func:`tissue_cnr`.

    Source: Ganzetti et al. 2016, Front. Neuroinform. 10:10; MRIQC takes medians and median absolute deviations instead,
    which agree with these for normal intensities.
    """
    inside, outside = image[grey], image[white]
    if not inside.size or not outside.size:
        return math.nan
    difference = abs(outside.mean(dtype=np.float64) - inside.mean(dtype=np.float64))
    return _ratio(outside.std(dtype=np.float64) + inside.std(dtype=np.float64), difference)


def wm2max(image: np.ndarray, white: np.ndarray) -> float:
    """Return median(WM) / 99.95th percentile of the scan; 0.6 to 0.8 is usual, lower if something outshines the brain.

    NaN without white matter.

    Args:
        image: (D, H, W), the scan.
        white: (D, H, W), boolean white-matter mask.

    Source: MRIQC (Esteban et al. 2017).
    """
    return _ratio(float(np.median(image[white])), float(np.percentile(image, 99.95))) if white.any() else math.nan


def efc(image: np.ndarray) -> float:
    """Return the entropy focus criterion: entropy of voxel intensities over its largest value; higher is worse.

    B = sqrt(sum x^2), E = -sum (x / B) log(x / B), over sqrt(n) log sqrt(n): 0 if one voxel holds all, 1 if all are
    alike. NaN for an image of zeros.

    Args:
        image: (D, H, W), >= 0.

    Source: Atkinson et al. 1997, IEEE TMI 16:903; normalised as in MRIQC.
    """
    values = image.astype(np.float64).ravel()
    total = math.sqrt(values @ values)
    if total == 0:
        return math.nan
    share = values / total
    return float(-(share * np.log(share + 1e-16)).sum() / (math.sqrt(values.size) * math.log(math.sqrt(values.size))))


def gradient_entropy(image: np.ndarray) -> float:
    """Return the entropy of the gradient's magnitude, -sum h log h / log n with h = |grad x| / sum |grad x|.

    Higher is worse: blur and ghosts spread edges over more voxels. NaN for a constant image.

    Args:
        image: (D, H, W).

    Source: McGee et al. 2000, JMRI 11:174.
    """
    slope = np.sqrt(sum(part**2 for part in np.gradient(image.astype(np.float64)))).ravel()
    if slope.sum() == 0:
        return math.nan
    share = slope[slope > 0] / slope.sum()
    return float(-(share * np.log(share)).sum() / math.log(slope.size))


def average_edge_strength(image: np.ndarray) -> float:
    """Return the average edge strength, mean over axial slices of sqrt(sum E |grad x|^2) / sum E; higher is better.

    E is 1 on the edges that Canny's detector finds in a slice and 0 elsewhere; x is the scan over its 99.95th percentile,
    so that the unit of intensity does not matter. Blur weakens edges, noise adds weak ones. NaN where no slice has an edge.

    Args:
        image: (D, H, W), >= 0; slices along the last axis.

    Source: Pannetier et al. 2016, MRM 75:810; the best reference-free measure in Marchetto et al. 2024, arXiv 2412.18389.
    """
    brightest = float(np.percentile(image, 99.95))
    if brightest <= 0:
        return math.nan
    strengths = []
    for number in range(image.shape[2]):
        # A copy without metadata: voxels are the unit of length.
        part = sitk.GetImageFromArray(np.ascontiguousarray(image[:, :, number] / brightest, dtype=np.float32))
        edges = sitk.GetArrayFromImage(sitk.CannyEdgeDetection(part, *CANNY_SLOPES, [CANNY_SD_VOXELS**2] * 2)) > 0
        if edges.any():
            squares = sum(slope[edges] ** 2 for slope in np.gradient(image[:, :, number] / brightest))
            strengths.append(math.sqrt(squares.sum(dtype=np.float64)) / edges.sum())
    return float(np.mean(strengths)) if strengths else math.nan


def head_and_air(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the head (largest bright region, its holes filled) and of the air well outside it.

    Args:
        image: (D, H, W), >= 0, head and air in view.

    Returns:
        Two (D, H, W) boolean masks; the air may be empty.
    """
    smooth = ndimage.gaussian_filter(image.astype(np.float32), 1.0)
    bright = ndimage.binary_closing(smooth > _otsu(smooth), iterations=2)
    labels, n = ndimage.label(bright)
    if n == 0:
        return np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    head = ndimage.binary_fill_holes(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    return head, ~ndimage.binary_dilation(head, iterations=AIR_MARGIN_VOXELS)


def fber(image: np.ndarray, head: np.ndarray, air: np.ndarray) -> float:
    """Return the foreground-background energy ratio, median(x^2 in the head) / median(x^2 in air); higher is better.

    NaN without air, or with more than a tenth of it at exactly 0, as in a defaced, masked or brain-extracted scan.

    Args:
        image: (D, H, W).
        head, air: (D, H, W), boolean, as :func:`head_and_air` returns them.

    Source: MRIQC (Esteban et al. 2017), after Shehzad et al. 2015.
    """
    if not head.any() or not _is_measured(image[air]):
        return math.nan
    return _ratio(float(np.median(image[head] ** 2)), float(np.median(image[air] ** 2)))


def snr_dietrich(image: np.ndarray, tissue: np.ndarray, air: np.ndarray) -> float:
    """Return SNRd = sqrt((4 - pi) / 2) x median(tissue) / sd(air); higher is better.

    The factor turns the spread of Rayleigh noise in air into that of the noise before the magnitude was taken. The sd is
    1.4826 x the median absolute deviation. NaN without tissue, or with air that is missing, constant, or at exactly 0
    in more than a tenth of its voxels.

    Args:
        image: (D, H, W).
        tissue: (D, H, W), boolean, here the grey matter.
        air: As :func:`head_and_air` returns it.

    Source: Dietrich et al. 2007, JMRI 26:375; as in MRIQC.
    """
    if not tissue.any() or not _is_measured(image[air]):
        return math.nan
    noise = image[air].astype(np.float64)
    spread = 1.4826 * float(np.median(np.abs(noise - np.median(noise))))
    return _ratio(DIETRICH * float(np.median(image[tissue])), spread)


def fwhm_mm(image: np.ndarray, mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """Return the full width at half maximum of the scan's smoothness, mean of three axes, mm; higher is blurrier.

    Along an axis, s^2 the variance of the voxels and d^2 that of differences between neighbours:
    FWHM = size x sqrt(-2 ln 2 / ln(1 - d^2 / (2 s^2))). NaN where that does not exist (fewer than two voxels, or no
    smoothness at all).

    Args:
        image: (D, H, W).
        mask: (D, H, W), boolean; pairs of neighbours inside it count.
        spacing_mm: Voxel size along each axis, mm.

    Source: Forman et al. 1995, MRM 33:636, the estimator of AFNI's 3dFWHMx that MRIQC calls.
    """
    if mask.sum() < 2 or image[mask].var(dtype=np.float64) == 0:
        return math.nan
    spread = float(image[mask].var(dtype=np.float64))
    widths = []
    for axis, size_mm in enumerate(spacing_mm):
        pairs = np.logical_and(*(np.take(mask, part, axis) for part in _neighbours(mask.shape[axis])))
        steps = np.diff(image.astype(np.float64), axis=axis)[pairs]
        inside = 1 - steps.var() / (2 * spread) if steps.size else math.nan
        if not 0 < inside < 1:
            return math.nan
        widths.append(size_mm * math.sqrt(-2 * math.log(2) / math.log(inside)))
    return float(np.mean(widths))


def _is_measured(air: np.ndarray) -> bool:
    """Say whether the voxels of the air hold the scanner's noise, not blanks."""
    return air.size > 0 and float((air == 0).mean()) <= MOST_ZEROS


def _neighbours(length: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(length - 1), np.arange(1, length)


def _otsu(image: np.ndarray) -> float:
    """Return the threshold with the largest variance between the two classes (Otsu 1979), of 256 bins."""
    counts, edges = np.histogram(image, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = counts.sum() - below
    sums = np.cumsum(counts * middle)
    means = sums / np.maximum(below, 1), (sums[-1] - sums) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (means[0] - means[1]) ** 2.0)])


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator > 0 else math.nan
