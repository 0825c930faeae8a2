"""Tissue labels without a learned model: atlas registration, bias correction and a mixture model with a Markov field.

Every head takes the same route, so that a network trained on some heads is tested on labels of the same definition:
the ICBM152 average is registered to the head (affine, then SyN), its tissue maps become priors, N4 corrects the bias
field and Atropos fits a mixture of three Gaussians (CSF, grey, white) under the priors. Deep grey matter and brainstem,
whose intensity tells little, are taken from the average.

Source: Avants et al. 2008 (SyN), Tustison et al. 2010 (N4), Avants et al. 2011 (Atropos), all as in ANTs.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from decoupled_qc.cohort.deep import assign_deep_tissue, deep_regions
from decoupled_qc.cohort.volumes import bounding_box
from decoupled_qc.grids import foreground

os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"  # sums over threads differ in the last bits; read at import
import ants  # noqa: E402

MASK_MARGIN_MM = 4  # around the atlas's brain, so that its edge counts in the match and the skull does not
SYN_ITERATIONS = (60, 40, 5)  # at 4, 2 and 1 times the registration's spacing
CROWN_TO_BRAIN_CENTRE_MM = 75  # of an adult, good enough to start the affine from
SCALP_MM = (6, 12)  # beyond the brain, where a whole head has skull and scalp
BRAIN_MARGIN_MM = 1  # the mixture model may find fluid that far outside the atlas's brain
N4_EVERY = 4  # voxels of 1 mm: the field is far smoother
N4_ITERATIONS = (30, 30, 30)
N4_SPLINE_MM = 160
PRIOR_WEIGHT = 0.25
PRIOR_FLOOR = 0.01  # lets a tissue appear where the atlas has none
ITERATIONS = 4
MIXTURE_EVERY = 2  # voxels along each axis are enough for three means and a width, which come out alike to a thousandth
DIFFUSION_STEPS = 3  # before the mixture model; with more of them cortex grows too thick against S1's surfaces
DIFFUSION_TIME_STEP = 0.0625  # the largest that is stable in three dimensions
DIFFUSION_CONDUCTANCE = 1.0
SPECKLE_VOXELS = 1000  # smaller stray pieces of tissue are noise in fluid, larger ones are no brain
RANDOM_SEED = 1  # of the registration's choice of sampling points


@dataclass(frozen=True)
class Atlas:
    """An average brain with tissue maps.

    Args:
        image: (D, H, W), float32, RAS, 1 mm: T1-weighted, 0 outside the brain.
        fractions: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter; the sum is 1 in the brain, 0 outside.
        affine: (4, 4), voxels to world millimetres.
    """

    image: NDArray[np.float32]
    fractions: NDArray[np.float32]
    affine: NDArray[np.float64]


def register(
    atlas: Atlas, head: NDArray[np.float32], affine: NDArray[np.float64], registration_mm: float
) -> Callable[[NDArray], NDArray[np.float32]]:
    """Register an average brain to a whole head.

    Args:
        atlas: The average.
        head: (D, H, W), float32, RAS, 1 mm.
        affine: (4, 4), of the head.
        registration_mm: Spacing to which both are resampled for it.

    Returns:
        ``move(values)``: brings values (D, H, W) on the atlas's grid to the head's.
    """
    brain = atlas.fractions.sum(0) > 0
    inside = foreground(head)
    crown = np.nonzero(inside.any((0, 1)))[0][-1]
    upper = ndimage.center_of_mass(inside[:, :, max(crown - 90, 0) : crown])
    start = affine[:3, :3] @ [upper[0], upper[1], crown - CROWN_TO_BRAIN_CENTRE_MM] + affine[:3, 3]
    centre = atlas.affine[:3, :3] @ ndimage.center_of_mass(brain) + atlas.affine[:3, 3]

    near = ndimage.binary_dilation(brain, iterations=MASK_MARGIN_MM)
    fixed, moving, mask = (
        ants.resample_image(to_ants(values, place), [registration_mm] * 3, use_voxels=False, interp_type=kind)
        for values, place, kind in ((atlas.image, atlas.affine, 0), (head, affine, 0), (near, atlas.affine, 1))
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shift = ants.create_ants_transform(
            transform_type="Euler3DTransform", center=centre.tolist(), translation=(start - centre).tolist()
        )
        ants.write_transform(shift, str(folder / "start.mat"))
        common = {"fixed": fixed, "moving": moving, "mask": mask, "random_seed": RANDOM_SEED}
        linear = ants.registration(
            **common,
            type_of_transform="Affine",
            initial_transform=str(folder / "start.mat"),
            aff_metric="mattes",
            aff_iterations=(200, 100, 50),
            aff_shrink_factors=(4, 2, 1),
            aff_smoothing_sigmas=(3, 2, 1),
            outprefix=str(folder / "affine_"),
        )
        found = ants.registration(
            **common,
            type_of_transform="SyNOnly",
            initial_transform=linear["fwdtransforms"][0],
            syn_metric="mattes",
            syn_sampling=32,
            reg_iterations=SYN_ITERATIONS,
            outprefix=str(folder / "syn_"),
        )
        matrix = found["fwdtransforms"][1]
        inverse = next(path for path in found["invtransforms"] if path.endswith("InverseWarp.nii.gz"))
        # ANTs reads transforms from files: keep their bytes, so that the folder can go
        kept = {"matrix.mat": Path(matrix).read_bytes(), "inverse.nii.gz": Path(inverse).read_bytes()}

    def move(values: NDArray) -> NDArray[np.float32]:
        with tempfile.TemporaryDirectory() as name:
            for file, content in kept.items():
                Path(name, file).write_bytes(content)
            moved = ants.apply_transforms(
                fixed=to_ants(head, affine),
                moving=to_ants(values, atlas.affine),
                transformlist=[str(Path(name, file)) for file in kept],
                whichtoinvert=[True, False],
                interpolator="linear",
            )
        return moved.numpy()

    return move


def to_ants(values: NDArray, affine: NDArray[np.float64]) -> "ants.ANTsImage":
    """Return an ANTs image in which RAS millimetres stand for ITK's LPS ones, on both sides of every registration."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return ants.from_numpy(
        np.ascontiguousarray(values, dtype=np.float32), origin=affine[:3, 3].tolist(), spacing=spacing.tolist()
    )


def correct_bias(
    head: NDArray[np.float32], priors: NDArray[np.float32], affine: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the head without its bias field, estimated where the atlas expects white matter, which is nearly uniform.

    Args:
        head: (D, H, W), float32, >= 0.
        priors: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter on the head's grid.
        affine: (4, 4), of both.
    """
    brain = priors.sum(0) > 0.5
    some = (slice(None, None, N4_EVERY),) * 3
    place = affine @ np.diag([N4_EVERY] * 3 + [1])
    coarse = ants.n4_bias_field_correction(
        to_ants(head[some], place),
        mask=to_ants(brain[some], place),
        weight_mask=to_ants((priors[2] * brain)[some], place),
        shrink_factor=1,
        convergence={"iters": list(N4_ITERATIONS), "tol": 1e-7},
        spline_param=N4_SPLINE_MM,
        return_bias_field=True,
    ).numpy()
    field = ndimage.affine_transform(coarse, np.eye(3) / N4_EVERY, output_shape=head.shape, order=1, mode="nearest")
    return head / np.maximum(field / np.median(field[brain]), 0.1)


def classify(head: NDArray[np.float32], priors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return tissue fractions from intensities and priors.

    Anisotropic diffusion first takes away the noise that would speckle deep grey matter and brainstem. Atropos gives each
    tissue's mean. The fractions then come from one common width, because grey matter's own Gaussian, the widest, would
    claim the partial-volume voxels on the white matter's side: on S1 that makes the cortex a fifth too thick against its
    surfaces.

    Args:
        head: (D, H, W), float32, >= 0, bias-corrected, 1 mm.
        priors: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter.

    Returns:
        (3, D, H, W), float32, [0, 1]: posteriors; their sum is 1 in the brain, 0 outside.
    """
    brain = ndimage.binary_dilation(priors.sum(0) > 0.5, iterations=BRAIN_MARGIN_MM)
    box = bounding_box(brain)
    inside, image = brain[box], _denoise(head[box], brain[box])
    image = np.clip(image, 0, np.percentile(image[inside], 99.8))  # vessels are brighter than any class
    expected = priors[(slice(None), *box)].copy()
    expected[0] += 1 - expected.sum(0)  # the rim that the atlas's brain does not cover is fluid
    expected = np.clip(expected, PRIOR_FLOOR, 1) * inside
    expected /= np.maximum(expected.sum(0), PRIOR_FLOOR)
    some = (slice(None, None, MIXTURE_EVERY),) * 3
    with _own_temporary_folder():
        found = ants.atropos(
            a=to_ants(image[some], np.eye(4)),
            x=to_ants(inside[some], np.eye(4)),
            i=[to_ants(prior[some], np.eye(4)) for prior in expected],
            m="[0,1x1x1]",  # no Markov field: it trebles the time and rounds off thin folds at this noise
            c=f"[{ITERATIONS},0]",
            priorweight=PRIOR_WEIGHT,
            r=0,
            v=0,
        )
    shares = np.stack([share.numpy() for share in found["probabilityimages"]]) * inside[some]
    agreed = shares * expected[(slice(None), *some)]  # mixture and atlas: so not rims and vessels
    means = ((agreed * image[some]).sum((1, 2, 3)) / agreed.sum((1, 2, 3))).reshape(3, 1, 1, 1)
    variance = (agreed * (image[some] - means) ** 2).sum() / agreed.sum()
    weight = np.exp(-((image - means) ** 2) / (2 * variance)) * expected**PRIOR_WEIGHT * inside
    fractions = np.zeros(priors.shape, np.float32)
    fractions[(slice(None), *box)] = weight / np.maximum(weight.sum(0), np.finfo(np.float32).tiny)
    return in_one_piece(fractions)


def in_one_piece(fractions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return fractions in which grey and white matter hang together, as they do in a brain.

    Where a registration went too far out, scalp would else count as cortex beyond the skull.

    Args:
        fractions: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter.
    """
    pieces, _ = ndimage.label(fractions[1:].sum(0) > 0.5)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    stray = (pieces > 0) & (pieces != sizes.argmax())
    elsewhere = stray & (sizes[pieces] >= SPECKLE_VOXELS)
    kept = fractions.copy()
    kept[0, stray] = fractions[:, stray].sum(0)
    kept[1:, stray] = 0
    kept[:, elsewhere] = 0
    return kept


def _denoise(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Smooth within tissues and not across their edges; Perona and Malik 1990, curvature form of ITK."""
    scale = np.median(image[brain])
    smooth = sitk.CurvatureAnisotropicDiffusion(
        sitk.GetImageFromArray((image / scale).astype(np.float32)),
        timeStep=DIFFUSION_TIME_STEP,
        conductanceParameter=DIFFUSION_CONDUCTANCE,
        numberOfIterations=DIFFUSION_STEPS,
    )
    return sitk.GetArrayFromImage(smooth) * scale


def segment(
    atlas: Atlas, head: NDArray[np.float32], affine: NDArray[np.float64], registration_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Label a head or a brain without its skull: registration, bias correction, mixture model.

    Args:
        atlas: The average that gives priors.
        head: (D, H, W), float32, >= 0, RAS, 1 mm.
        affine: (4, 4), of the head.
        registration_mm: Spacing at which both are registered.

    Returns:
        The head without its bias field, and its (3, D, H, W) fractions as of :func:`classify`.
    """
    move = register(atlas, head, affine, registration_mm)
    priors = np.clip(np.stack([move(part) for part in atlas.fractions]), 0, 1)
    stripped = _is_stripped(head, priors)
    if stripped:
        priors *= head > 0
    corrected = correct_bias(head, priors, affine)
    regions = deep_regions(*atlas.fractions[1:], atlas.affine)
    fractions = assign_deep_tissue(classify(corrected, priors), np.stack([move(part) for part in regions]).clip(0, 1))
    if stripped:
        fractions *= head > 0  # what a brain extraction took away is no fluid
    return corrected, fractions


def _is_stripped(head: NDArray[np.float32], priors: NDArray[np.float32]) -> bool:
    """Return whether there is nothing where skull and scalp would be."""
    brain = priors.sum(0) > 0.5
    inner, outer = (ndimage.binary_dilation(brain, iterations=width) for width in SCALP_MM)
    return bool(np.median(head[outer & ~inner]) == 0)


@contextlib.contextmanager
def _own_temporary_folder() -> Iterator[None]:
    """Let the temporary files that ANTs leaves behind go with a folder of their own."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before
