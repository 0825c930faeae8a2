"""An artefact that lies outside the brain alone: where it begins, in training as in the test condition."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage
from toy_training import phantom, stream

from decoupled_qc import artefacts
from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.simulation.confined import EDGE_MM, EDGE_STEPS, confine, share_of_artefact
from decoupled_qc.training.sampling import OUTSIDE_MARGIN_MM, Case

MARGIN_MM = 4.0


def test_the_edge_rises_smoothly_in_millimetres():
    brain = torch.zeros((3, 41, 3), dtype=torch.bool)
    brain[:, 0] = True
    share = share_of_artefact(brain, [2.0, 0.5, 2.0], MARGIN_MM, EDGE_MM)[1, :, 1]
    assert (share[:9] == 0).all() and (share[20:] == 1).all() and share[14] == pytest.approx(0.5, abs=0.1)
    steps = share.diff()
    assert (steps >= 0).all() and steps.max() < 2 / EDGE_STEPS and share.unique().numel() == EDGE_STEPS + 1


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (1.0, 3.0, 0.7), (25.0, 1.0, 1.0)])
def test_the_share_follows_the_largest_distance_along_an_axis(spacing_mm):
    rng = np.random.default_rng(0)
    brain = ndimage.binary_dilation(rng.random((21, 18, 25)) > 0.999, iterations=2)
    share = share_of_artefact(torch.from_numpy(brain), spacing_mm, MARGIN_MM, EDGE_MM).numpy()
    places = np.argwhere(brain) * spacing_mm
    for voxel in itertools.islice(map(tuple, rng.permutation(np.argwhere(brain | ~brain))), 300):
        distance_mm = np.abs(places - np.array(voxel) * spacing_mm).max(axis=1).min()
        u = np.clip((distance_mm - MARGIN_MM) / EDGE_MM, 0, 1)
        low, high = (np.clip(u + side * 0.5 / EDGE_STEPS, 0, 1) for side in (-1, 1))
        assert low**2 * (3 - 2 * low) - 1e-6 <= share[voxel] <= high**2 * (3 - 2 * high) + 1e-6
    assert (share[brain] == 0).all()


def test_where_the_share_is_nothing_or_everything_the_bits_are_those_of_one_scan():
    clean, corrupted = torch.rand(2, 8, 8, 8).unbind()
    share = torch.linspace(0, 1, 8).expand(8, 8, 8)
    mixed = confine(corrupted, clean, share)
    assert torch.equal(mixed[..., 0], clean[..., 0]) and torch.equal(mixed[..., -1], corrupted[..., -1])


def test_a_training_volume_whose_artefacts_lie_outside_has_a_clean_brain():
    """In all versions of it, at the same place; and as often as asked for."""
    patches = stream(["noise", "blur"], others=[], outside_probability=0.5, patch_size=20)  # whole volumes
    seen = {True: 0, False: 0}
    for step in range(0, 80, 2):
        batch = patches.batch(step)
        for sample, origin in enumerate(batch.origins):
            records = origin["records"]
            if not records:
                continue
            outside = "outside" in records[0]
            seen[outside] += 1
            clean, brain = batch.clean[sample, 0], phantom(origin["subject"]).brain.bool()
            whole = artefacts.corrupt(clean, [{**record, "outside": None} for record in records])
            assert not torch.equal(whole[brain], clean[brain])
            if outside:
                assert all(record["outside"] == records[0]["outside"] for record in records)
                where = records[0]["outside"]
                assert OUTSIDE_MARGIN_MM[0] <= where["margin_mm"] <= OUTSIDE_MARGIN_MM[1]
                share = share_of_artefact(brain, [2.0] * 3, **where)
                assert torch.equal(batch.image[sample, 0], confine(whole, clean, share))
            for record in records:
                alone = batch.single[record["artefact"]][sample, 0]
                assert torch.equal(alone[brain], clean[brain]) == outside
    assert seen[True] > 10 and 0.3 < seen[True] / sum(seen.values()) < 0.7


def test_without_that_a_stream_is_what_it_was():
    """The draw comes after all others of a volume, and not at all at probability 0."""
    without, with_it = stream(["noise"], patch_size=20), stream(["noise"], outside_probability=1.0, patch_size=20)
    for step in range(0, 20, 2):
        for one, other in zip(without.batch(step).origins, with_it.batch(step).origins, strict=True):
            bare = [{key: value for key, value in record.items() if key != "outside"} for record in other["records"]]
            assert one["records"] == bare and ("outside" in str(other)) == bool(bare)


def test_the_brain_is_all_labelled_tissue():
    case = Case("x", torch.zeros(2, 2, 2), torch.tensor([[[0, 1], [2, 3]]] * 2, dtype=torch.uint8))
    assert torch.equal(case.brain, (case.dseg > 0).to(torch.uint8))
    assert torch.equal(case.label, (case.dseg == GREY_MATTER).to(torch.uint8))
