"""Files that nobody should be sent: NIfTI headers and bodies, tables, records and configurations, each a little or very wrong."""

import gzip
import json
import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import nibabel as nib
import numpy as np
from hypothesis import strategies as st

HEADER_BYTES = 348
# Field of the NIfTI-1 header → (offset, struct code, values that lie or cannot be).
FIELDS = {
    "sizeof_hdr": (0, "i", [0, -1, 347, 540, 2**31 - 1]),
    **{f"dim{n}": (40 + 2 * n, "h", [-32768, -1, 0, 1, 2, 3, 4, 8, 300, 32767]) for n in range(8)},
    "datatype": (
        70,
        "h",
        [-1, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 9999],
    ),
    "bitpix": (72, "h", [-8, 0, 1, 7, 64, 32767]),
    **{f"pixdim{n}": (76 + 4 * n, "f", [-1.0, 0.0, 1e-30, 1e-3, 50.0, 1e30, np.inf, np.nan]) for n in range(8)},
    "vox_offset": (108, "f", [-1e9, -352.0, 0.0, 100.0, 353.0, 1e6, 1e30, np.inf, np.nan]),
    "scl_slope": (112, "f", [-1.0, 0.0, 1e-38, 1e38, np.inf, np.nan]),
    "scl_inter": (116, "f", [-1e38, 1e38, np.inf, np.nan]),
    "xyzt_units": (123, "B", [0, 1, 2, 3, 4, 7, 255]),
    "qform_code": (252, "h", [-1, 0, 1, 5, 32767]),
    "sform_code": (254, "h", [-1, 0, 1, 5, 32767]),
    **{f"quatern{n}": (256 + 4 * n, "f", [-2.0, 0.5, 1e30, np.inf, np.nan]) for n in range(6)},
    **{f"srow{n}": (280 + 4 * n, "f", [0.0, -1.0, 1e-30, 1e30, np.inf, np.nan]) for n in range(12)},
    "magic": (344, "4s", [b"ni1\0", b"n+2\0", b"\0\0\0\0", b"abcd"]),
    "extension": (348, "4s", [b"\1\0\0\0", b"\xff\xff\xff\xff"]),
}
DTYPES = [np.uint8, np.int16, np.int32, np.float32, np.float64, np.int8, np.uint16, np.uint32, np.int64, np.uint64]
EXTREMES = [0.0, -0.0, 1.0, -1.0, 1e-320, 5e-324, 1e-45, 1e38, -1e38, 1e300, 1.7e308, -1.7e308, np.inf, -np.inf, np.nan]


@st.composite
def voxels(draw, sides=(1, 2, 3, 5, 8)) -> np.ndarray:
    """A small volume of any type, its values ordinary, extreme, or all alike."""
    shape = draw(st.tuples(*[st.sampled_from(sides)] * 3))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = rng.uniform(0, 120, shape)
    kind = draw(st.sampled_from(["plain", "plain", "extreme", "limits", "constant"]))
    if kind == "constant":
        values[...] = draw(st.sampled_from([0, 7]))
    if kind == "extreme" and dtype.kind == "f":
        values.flat[0], values.flat[-1] = (draw(st.sampled_from(EXTREMES)) for _ in range(2))
    with np.errstate(all="ignore"):
        cast = values.astype(dtype)
    if kind == "limits" and dtype.kind in "iu":
        cast.flat[0], cast.flat[-1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return cast


@st.composite
def images(draw, sides=(1, 2, 3, 5, 8), sizes_mm=(-1.0, 0.7, 1.0, 3.0)) -> tuple[str, bytes]:
    """A suffix and the bytes of a NIfTI file of which up to three things are wrong; sides and sizes are its voxels'."""
    values = draw(voxels(sides))
    affine = np.diag([*draw(st.tuples(*[st.sampled_from(sizes_mm)] * 3)), 1.0])
    file = nib.Nifti1Image(values, affine, dtype=values.dtype)
    whole = bytearray(file.to_bytes())
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=3)):
        offset, code, lies = FIELDS[name]
        struct.pack_into(f"<{code}", whole, offset, draw(st.sampled_from(lies)))
    for place, value in draw(st.lists(st.tuples(st.integers(0, HEADER_BYTES), st.integers(0, 255)), max_size=1)):
        whole[place] = value
    body = bytes(whole)
    if draw(st.booleans()):
        body = body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body + b"\0" * 100
    suffix = draw(st.sampled_from([".nii", ".nii.gz"]))
    if suffix == ".nii.gz" and draw(st.integers(0, 9)):
        body = gzip.compress(body, mtime=0)
        damage = draw(st.sampled_from(["none", "none", "none", "cut", "flip"]))
        place = draw(st.integers(0, len(body) - 1))
        if damage == "cut":
            body = body[:place]
        elif damage == "flip":
            body = body[:place] + bytes([body[place] ^ 0x55]) + body[place + 1 :]
    return suffix, body


CELLS = [
    "",
    "NA",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "0x10",
    "1_0",
    "1,5",
    "'",
    '"',
    '"x',
    "=1+1",
    "<b>",
    "\u0663",
    "-0",
    "x" * 5000,
]
BYTES = [
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\n\n",
    b",",
    b",,,,",
    b"\t",
    b'"',
    b"\x1a",
    b"\\",
    "\u2028".encode(),
]


NOTHING = MappingProxyType({})


def good_cells(
    columns: tuple[str, ...], rows: int, known: Mapping[str, Sequence[str]] = NOTHING, seed: int = 0
) -> list[list[str]]:
    """Header and rows of a table with nothing wrong: what is known of a column, ids in other text columns, else numbers."""
    rng = np.random.default_rng(seed)
    ids = ("subject", "scan", "model", "replicate", "condition", "artefact", "metric", "aggregation")
    made = {name: [str(number) for number in rng.uniform(0, 1, rows).round(3)] for name in columns}
    made |= {name: [f"{name}{row // 2}" for row in range(rows)] for name in columns if name in ids} | dict(known)
    return [list(columns), *([made[name][row] for name in columns] for row in range(rows))]


def as_text(cells: list[list[str]], separator: str) -> bytes:
    """The bytes of a table."""
    return "\n".join(separator.join(row) for row in cells).encode() + b"\n"


@st.composite
def tables(
    draw, columns: tuple[str, ...], rows: int, separator: str = ",", known: Mapping[str, Sequence[str]] = NOTHING
) -> bytes:
    """The bytes of a table with these columns of which up to three things are wrong."""
    cells = good_cells(columns, rows, known, seed=draw(st.integers(0, 2**16)))
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from(cells))
        change = draw(st.sampled_from(["cell", "cell", "drop", "double", "repeat", "empty"]))
        place = draw(st.integers(0, max(len(row) - 1, 0)))
        if change == "cell" and row:
            row[place] = draw(st.sampled_from(CELLS))
        elif change == "drop" and row:
            del row[place]
        elif change == "double" and row:
            row.insert(place, row[place])
        elif change == "repeat":
            cells.append(list(row))
        elif change == "empty":
            row.clear()
    text = as_text(cells, separator)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(BYTES)) + text[place:]
    if draw(st.integers(0, 9)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    if draw(st.integers(0, 19)) == 0:
        text = text.decode("utf-8", "replace").encode("utf-16")
    return text


ODD = st.sampled_from(
    [None, True, "x", "", -1, 0, 1, 7, 1e9, 10**30, 1e300, -1e300, [], [0], [1, 2, 3], [[1]], {}, {"a": 1}, "nan"]
)


@st.composite
def records(draw, good: dict) -> bytes:
    """The bytes of a record of simulated artefacts of which up to two entries are wrong."""
    record = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(0, 2))):
        entries = record.get("records")
        dictionaries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        target = draw(st.sampled_from([record, *dictionaries]))
        if not target or not isinstance(record.get("records"), list):
            continue
        key = draw(st.sampled_from(sorted(target)))
        if draw(st.booleans()):
            target[key] = draw(ODD | st.sampled_from([float("nan"), float("inf")]))
        else:
            del target[key]
    text = json.dumps(record).encode()
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text
