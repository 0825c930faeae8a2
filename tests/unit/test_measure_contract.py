"""What every module of a score says of itself, so that tables, figures and statistics need no list of scores."""

import dataclasses
from functools import cached_property

import numpy as np
import pytest
from phantom import noisy
from scipy import ndimage

from decoupled_qc import measures
from decoupled_qc.errors import InputError
from decoupled_qc.evaluation.evidence import Evidence, Looks

SHAPE = (24, 26, 22)
FIELDS = ("image", "dseg", "probability", "predicted")


@pytest.fixture(scope="module")
def evidence():
    """A ball of grey round white matter in slightly noisy air, of which the network finds half the grey matter; read-only."""
    rng = np.random.default_rng(1)
    radius = np.linalg.norm(np.indices(SHAPE).T - np.array(SHAPE) / 2, axis=-1).T
    dseg = np.select([radius < 5, radius < 9], [3, 2], 0).astype(np.uint8)
    image = noisy(np.select([dseg == 3, dseg == 2], [0.9, 0.5], 0.0), 0.02)
    predicted = (dseg == 2) & (np.indices(SHAPE)[0] < SHAPE[0] // 2)
    maps = {cause: rng.random(SHAPE, dtype=np.float32) for cause in ("task", "noise", "blur")}
    found = Evidence(image, dseg, 0.9 * predicted.astype(np.float32), predicted, maps, (1.0, 1.0, 1.0), 1)
    made = [getattr(found, name) for name, one in vars(Evidence).items() if isinstance(one, cached_property)]
    for array in [*(getattr(found, name) for name in FIELDS), *maps.values(), *made]:
        for part in array if isinstance(array, tuple) else (array,):
            part.flags.writeable = False  # measures share these
    return found


@pytest.mark.parametrize("name", measures.available())
def test_a_module_says_what_tables_need(name):
    module = measures.load(name)
    assert module.__doc__ and module.TITLE
    assert not hasattr(module, "compare") or not hasattr(module, "measure")


def test_titles_are_told_apart():
    titles = [measures.load(name).TITLE for name in measures.available()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", measures.with_function("measure"))
def test_a_measure_gives_a_finite_number_for_each_way_of_taking_it(name, evidence):
    found = measures.load(name).measure(evidence)
    assert found and all(isinstance(value, float) and np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("name", measures.with_function("measure"))
def test_only_what_is_called_so_looks_at_the_reference(name, evidence):
    other = dataclasses.replace(evidence, dseg=np.roll(evidence.dseg, 3, axis=1))
    before, after = (measures.load(name).measure(one) for one in (evidence, other))
    assert all(before[way] == after[way] for way in before if way != "reference")
    assert "reference" not in before or before["reference"] != after["reference"]


def spotted(image):
    """The image with something in the air that outshines it, and scaled to it as a scan is."""
    bright = image.copy()
    bright[:3, :3, :3] = 4.0
    return bright / 4.0


WORSE = {
    "noise": lambda seen: dataclasses.replace(seen, image=noisy(seen.image, 0.15)),
    "blur": lambda seen: dataclasses.replace(seen, image=ndimage.gaussian_filter(seen.image, 1.5)),
    "spot": lambda seen: dataclasses.replace(seen, image=spotted(seen.image)),
    "doubt": lambda seen: dataclasses.replace(
        seen,
        probability=0.5 + 0.5 * (seen.probability - 0.5),
        variance={cause: 2 * values for cause, values in seen.variance.items()},
    ),
}
TOLD = {
    "fwhm_mm": "blur",
    "gradient_entropy": "blur",
    "wm2max": "spot",
    "artefact_uncertainty": "doubt",
    "entropy": "doubt",
}


@pytest.mark.parametrize("name", measures.with_function("measure"))
def test_what_makes_a_scan_worse_moves_a_measure_the_way_it_says(name, evidence):
    """Noise, unless the measure is made for something else."""
    module = measures.load(name)
    clean, worse = module.measure(evidence), module.measure(WORSE[TOLD.get(name, "noise")](evidence))
    for way in clean:
        assert (worse[way] < clean[way]) if module.HIGHER_IS_BETTER else (worse[way] > clean[way]), way


def nested(*radii):
    """Looks at a scan that find balls of these radii."""
    distance = np.linalg.norm(np.indices(SHAPE).T - np.array(SHAPE) / 2, axis=-1).T
    labels = np.stack([distance < one for one in radii])
    return Looks(labels, labels.mean(axis=0), 0.1)


@pytest.mark.parametrize("name", measures.with_function("compare"))
def test_segmentations_that_agree_better_score_better(name):
    module = measures.load(name)
    alike, apart = (module.compare(nested(*radii)) for radii in ((8.8, 9.0, 9.2), (5.0, 7.0, 9.0)))
    assert (alike > apart) if module.HIGHER_IS_BETTER else (alike < apart)


@pytest.mark.parametrize("name", measures.with_function("look"))
def test_a_look_that_is_surer_scores_better(name):
    module, (labels, _, _) = measures.load(name), nested(9.0)
    sure, unsure = (
        module.look(Looks(labels, 0.5 + sureness * (labels[0] - 0.5), 1 - sureness)) for sureness in (0.9, 0.4)
    )
    assert (sure > unsure) if module.HIGHER_IS_BETTER else (sure < unsure)


def test_what_has_no_module_has_nothing_to_say():
    assert measures.entry("variance_noise", "TITLE", "?") == "?"
    assert measures.entry("snr", "TITLE", "?") == "SNR"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('TITLE = "Odd"\nHIGHER_IS_BETER = True\n', "odd.py has no HIGHER_IS_BETTER: give a bool"),
        ("HIGHER_IS_BETTER = True\n", "odd.py has no TITLE: give a str"),
    ],
)
def test_a_module_that_does_not_say_which_way_it_goes_is_refused(tmp_path, monkeypatch, code, message):
    """A name that is misspelt would otherwise turn the score around without a word."""
    (tmp_path / "odd.py").write_text(code)
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "decoupled_qc.measures.odd", raising=False)
    with pytest.raises(InputError, match=message):
        measures.load("odd")
