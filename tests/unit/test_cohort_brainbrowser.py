import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from decoupled_qc.cohort import brainbrowser
from decoupled_qc.errors import InputError

ANGLE = np.radians(5)
# x as the slowest axis, then z, then y, each running down, and turned a little about z, as in the real file
HEADER = {
    "order": ["xspace", "zspace", "yspace"],
    "xspace": {"start": 6.0, "space_length": 4, "step": -1, "direction_cosines": [np.cos(ANGLE), np.sin(ANGLE), 0]},
    "yspace": {"start": 20.0, "space_length": 6, "step": -1, "direction_cosines": [-np.sin(ANGLE), np.cos(ANGLE), 0]},
    "zspace": {"start": 9.0, "space_length": 5, "step": -1, "direction_cosines": [0, 0, 1]},
}


def write(folder, header=HEADER, n_voxels=120):
    (folder / brainbrowser.HEADER).write_bytes(gzip.compress(json.dumps(header).encode()))
    (folder / brainbrowser.RAW).write_bytes(gzip.compress(np.arange(n_voxels, dtype=np.uint8).tobytes()))
    return folder


def test_axes_come_out_right_anterior_superior(tmp_path):
    brainbrowser.to_nifti(write(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["T1w.nii.gz"]
    image = nib.load(tmp_path / "T1w.nii.gz")
    voxels = np.arange(120).reshape(4, 5, 6)  # x, z, y, all descending
    assert np.array_equal(np.asanyarray(image.dataobj), voxels.transpose(0, 2, 1)[::-1, ::-1, ::-1])
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert np.allclose(image.affine[:3, :3], np.eye(3))


def test_the_centre_of_the_volume_stays_where_it_was_in_the_world(tmp_path):
    brainbrowser.to_nifti(write(tmp_path))
    image = nib.load(tmp_path / "T1w.nii.gz")
    along = {"xspace": 6.0 - 1.5, "yspace": 20.0 - 2.5, "zspace": 9.0 - 2.0}
    expected = sum(value * np.array(HEADER[name]["direction_cosines"]) for name, value in along.items())
    assert np.allclose(nib.affines.apply_affine(image.affine, (np.array(image.shape) - 1) / 2), expected)


@pytest.mark.parametrize("broken", [{"order": ["xspace"]}, {**HEADER, "order": ["xspace", "xspace", "yspace"]}, []])
def test_another_header_is_refused_by_name(tmp_path, broken):
    with pytest.raises(InputError, match=r"header\.json\.gz"):
        brainbrowser.to_nifti(write(tmp_path, broken))


def test_a_wrong_number_of_voxels_is_refused(tmp_path):
    with pytest.raises(InputError, match="not the 119 there are"):
        brainbrowser.to_nifti(write(tmp_path, n_voxels=119))
