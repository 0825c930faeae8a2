import math

import numpy as np
import phantom
import pytest
import torch

from decoupled_qc import artefacts
from decoupled_qc.simulation import affected


def test_affected_part_is_where_the_artefact_outweighs_the_scan():
    clean, noisy = phantom.head(), torch.zeros(phantom.SHAPE)
    for axis, far_side in ((0, True), (1, False), (2, True)):
        local = {"axis": axis, "centre": 0.37, "width": 0.08, "far_side": far_side}
        part = affected.affected_part(phantom.SHAPE, local)
        weight = artefacts._local_weight(noisy, local).expand(phantom.SHAPE).numpy()
        assert np.array_equal(part, weight > 0.5) and 0.3 < part.mean() < 0.7
    assert affected.share_inside(clean.numpy(), np.ones(phantom.SHAPE, bool)) == pytest.approx(1)
    assert affected.share_inside(part * 1.0, part) == 1 and affected.share_inside(1.0 - part, part) == 0
    assert math.isnan(affected.share_inside(np.zeros(phantom.SHAPE), part))
