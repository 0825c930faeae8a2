"""What every module of a score says of itself, so that tables, figures and statistics need no list of scores."""

import numpy as np
import pytest

from decoupled_qc import measures
from decoupled_qc.evaluation.evidence import Evidence, Looks

SHAPE = (24, 26, 22)


@pytest.fixture(scope="module")
def evidence():
    """A ball of grey round white matter in noisy air, of which the network finds half the grey matter."""
    rng = np.random.default_rng(0)
    radius = np.linalg.norm(np.indices(SHAPE).T - np.array(SHAPE) / 2, axis=-1).T
    dseg = np.select([radius < 5, radius < 9], [3, 2], 0).astype(np.uint8)
    image = np.select([dseg == 3, dseg == 2], [0.9, 0.5], 0.0)
    image = np.hypot(image + rng.normal(0, 0.02, SHAPE), rng.normal(0, 0.02, SHAPE)).astype(np.float32)
    predicted = (dseg == 2) & (np.indices(SHAPE)[0] < SHAPE[0] // 2)
    maps = {cause: rng.random(SHAPE, dtype=np.float32) for cause in ("task", "noise", "blur")}
    return Evidence(image, dseg, 0.9 * predicted.astype(np.float32), predicted, maps, (1.0, 1.0, 1.0), 1)


@pytest.mark.parametrize("name", measures.available())
def test_a_module_says_what_tables_need(name):
    module = measures.load(name)
    assert module.__doc__ and isinstance(module.TITLE, str) and isinstance(module.HIGHER_IS_BETTER, bool)
    gives = [function for function in ("measure", "compare") if hasattr(module, function)]
    assert len(gives) <= 1
    if gives and name != "entropy":  # which any scan has
        assert module.MISSING


def test_titles_are_told_apart():
    titles = [measures.load(name).TITLE for name in measures.available()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", measures.with_function("measure"))
def test_a_measure_gives_a_finite_number_for_each_way_and_leaves_what_it_sees_as_it_was(name, evidence):
    before = evidence.image.copy(), evidence.predicted.copy(), evidence.artefact_variance.copy()
    found = measures.load(name).measure(evidence)
    assert found and all(isinstance(value, float) and np.isfinite(value) for value in found.values())
    after = evidence.image, evidence.predicted, evidence.artefact_variance
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


@pytest.mark.parametrize("name", measures.with_function("compare"))
def test_segmentations_that_agree_better_score_better(name):
    """Of nested balls, the certain ones nearly alike and the uncertain ones far apart."""
    radius = np.linalg.norm(np.indices(SHAPE).T - np.array(SHAPE) / 2, axis=-1).T
    found = {}
    for kind, radii in (("alike", (8.8, 9.0, 9.2)), ("apart", (5.0, 7.0, 9.0))):
        labels = np.stack([radius < one for one in radii])
        found[kind] = measures.load(name).compare(Looks(labels, labels.mean(axis=0)))
    assert (found["alike"] > found["apart"]) == measures.load(name).HIGHER_IS_BETTER


def test_what_has_no_module_has_nothing_to_say():
    assert measures.entry("variance_noise", "TITLE", "?") == "?"
    assert measures.entry("snr", "TITLE", "?") == "SNR"
