"""What a training batch holds, and that it never depends on order."""

import pytest
import torch
from toy_training import phantom, stream

from decoupled_qc import artefacts
from decoupled_qc.training.sampling import Case


def test_a_teacher_sees_other_artefacts_as_nothing_of_its_own():
    patches = stream(["noise"], others=["blur"], patch_size=20)  # whole volumes
    seen = set()
    for step in range(0, 24, 2):
        batch = patches.batch(step)
        for sample, origin in enumerate(batch.origins):
            (name,) = [record["artefact"] for record in origin["records"]]
            seen.add(name)
            own = name == "noise"
            assert batch.drawn["noise"][sample] == own and "blur" not in batch.drawn
            assert not torch.equal(batch.image[sample], batch.clean[sample])
            assert torch.equal(batch.single["noise"][sample], batch.image[sample] if own else batch.clean[sample])
    assert seen == {"noise", "blur"}


def test_a_batch_does_not_depend_on_what_was_asked_before():
    in_order, at_once = stream(["noise", "blur"]), stream(["noise", "blur"])
    batches = [in_order.batch(step) for step in range(6)]
    again = at_once.batch(5)
    assert torch.equal(batches[5].image, again.image) and torch.equal(batches[5].label, again.label)
    assert not torch.equal(batches[4].image, again.image)


def test_each_teacher_sees_its_own_artefact_in_the_same_realisation():
    batches = [stream(["noise", "blur"], patch_size=20).batch(step) for step in range(0, 40, 2)]  # whole volumes
    seen = set()
    for batch in batches:
        for sample in range(2):
            records = {record["artefact"]: record for record in batch.origins[sample]["records"]}
            before = phantom(batch.origins[sample]["subject"]).image
            drawn = [name for name in ("noise", "blur") if batch.drawn[name][sample]]
            seen.add(tuple(drawn))
            for name in ("noise", "blur"):
                alone = batch.single[name][sample]
                if name not in drawn:
                    assert torch.equal(alone, batch.clean[sample])
                else:
                    assert not torch.equal(alone, batch.clean[sample])
                    assert torch.equal(alone[0], artefacts.corrupt(before, [records[name]]))
                if drawn == [name]:
                    assert torch.equal(alone, batch.image[sample])
            if not drawn:
                assert torch.equal(batch.image[sample], batch.clean[sample])
    assert seen == {(), ("noise",), ("blur",), ("noise", "blur")}


def test_patches_reach_the_borders_as_windows_do():
    """Of starts uniform over [-4, 8], moved into [0, 4]: 5 of 13 lie at each border."""
    ramp = torch.arange(20.0)[:, None, None].expand(20, 20, 20) / 20
    maker = stream([], batch_size=1, patches_per_volume=1000)
    maker.cases = [Case("ramp", ramp, (ramp > 0.5).to(torch.uint8))]
    starts = torch.stack([maker.batch(step).clean.min() for step in range(600)]).mul(20).round()
    assert (starts == 0).float().mean() == pytest.approx(5 / 13, abs=0.06)
    assert (starts == 4).float().mean() == pytest.approx(5 / 13, abs=0.06)
    assert set(starts.tolist()) == {0, 1, 2, 3, 4}


def test_the_task_network_never_sees_an_artefact():
    batch = stream([]).batch(0)
    assert torch.equal(batch.image, batch.clean) and batch.single == {}
