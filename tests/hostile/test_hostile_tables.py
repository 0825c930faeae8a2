"""Any bytes as a table: refused in one sentence with nothing written, or read with every cell in its own column."""

import csv
import io
import math
import shutil

import corpus
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from tally import assert_clear, case, left_in, refused, search

from decoupled_qc.analysis.scores import COLUMNS as SCORES
from decoupled_qc.analysis.scores import SPELT_MISSING, read_scores, read_subjects
from decoupled_qc.cohort import sources
from decoupled_qc.cohort.manifest import COLUMNS as MANIFEST
from decoupled_qc.cohort.manifest import RATED_COLUMNS, REAL, ROLES, read_manifest
from decoupled_qc.cohort.splits import split
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError

RESUMED = b"2026-01-01 00:00:00  Resuming at step 9 of 9.\n2026-01-01 00:00:01  step 3/9 loss 1  left 0.1 min\n"
FEW = ("--n-boot", 20, "--n-permutations", 9)


def put(tmp_path_factory, name, text):
    folder = tmp_path_factory.getbasetemp() / "tables"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_bytes(text)
    return folder / name


@search(80)
@given(text=corpus.tables(("subject", "scan", "dice", "good", "other"), 12))
def test_correlate_refuses_or_gives_numbers_that_can_be(tmp_path_factory, text):
    path = put(tmp_path_factory, "scores.csv", text)
    out = path.parent / "made" / "found.csv"
    with case("score tables: correlate"):
        if refused("correlate", path, *FEW, "--out", out, about=path):
            assert left_in(out.parent) == []
            return
        assert left_in(out.parent) == ["found.csv"]
        found = pd.read_csv(out, keep_default_na=False, na_values=[""])
        assert (
            (found["rho"].abs() <= 1) | found["note"].astype(object).fillna("").astype(str).str.contains("no rho")
        ).all()
        table = read_cells(path, ",")
        assert (found["n_scans"] <= len(table)).all()
        for row in found.dropna(subset="rho").itertuples():
            pair = table[["dice", row.score]].apply(pd.to_numeric, errors="coerce").dropna()
            assert len(pair) == row.n_scans
            assert row.rho == pytest.approx(stats.spearmanr(*pair.to_numpy().T).statistic, abs=1e-9)


@search(80)
@given(text=corpus.tables(("subject", "dice", "good"), 4))
def test_every_cell_keeps_its_place(tmp_path_factory, text):
    path = put(tmp_path_factory, "cells.csv", text)
    with case("tables: cells"):
        try:
            table = read_cells(path, ",")
        except InputError as error:
            assert_clear(str(error), path)
            return
        rows = [row for row in csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")) if row]
        assert [list(table.columns), *table.to_numpy().tolist()] == rows


def number(cell):
    """Return what a cell that a reader took for a number, or for a missing one, says."""
    return math.nan if cell.strip().lower() in SPELT_MISSING else float(cell)


def read_all_scores(path):
    """Read scores: every cell is there as text, or as the finite number that it says, and no value stands twice."""
    found, cells = read_scores(path), read_cells(path, ",")
    assert (
        list(found) == list(SCORES)
        and not found.duplicated(["model", "replicate", "scan", "metric", "aggregation"]).any()
    )
    for column in SCORES:
        if column in ("severity", "value"):
            said = [number(cell) for cell in cells[column]]
            np.testing.assert_allclose(found[column], said, rtol=1e-15)
            assert found[column].dtype == float and not np.isinf(found[column]).any()
        else:
            assert found[column].tolist() == cells[column].tolist() and (found[column] != "").all()
    assert (found.groupby("scan")[["subject", "condition", "artefact", "severity"]].nunique(dropna=False) == 1).all(
        axis=None
    )


def read_all_subjects(path):
    """Read subjects: each once, with the anatomy and the role of every row of it."""
    found = read_subjects(path)
    assert list(found) == ["subject", "anatomy", "role"] and found["subject"].is_unique
    rows = set(found.itertuples(index=False, name=None))
    assert rows == set(read_cells(path, "\t")[list(found)].itertuples(index=False, name=None))


def read_whole_manifest(path):
    """Read a manifest: its cells as they are, roles that there are, files that are there, and no head both learnt and tested."""
    found, cells = read_manifest(path), read_cells(path, "\t")
    pd.testing.assert_frame_equal(found[list(cells)], cells)
    assert {*MANIFEST, *RATED_COLUMNS} <= set(found) and set(found["role"]) <= {*ROLES, REAL}
    assert not found.duplicated(["subject", "scan"]).any() and found.loc[found["role"] != REAL, "subject"].is_unique
    held_out = found["role"].isin(["test", REAL])
    assert not set(found.loc[held_out, "anatomy"]) & set(found.loc[~held_out, "anatomy"])
    assert all((path.parent / name).is_file() for name in [*found["image"], *found["dseg"]])
    assert not any(math.isnan(float(rating)) for rating in found["rating"] if rating)
    assert (found.loc[found["role"] == REAL, ["scan", "rating"]] != "").all(axis=None)


def split_by(path):
    """Split subjects by an earlier table: each has a role, that of the table where it gives one, and no role is empty."""
    names = [f"subject{i}" for i in range(6)]
    scans = pd.DataFrame({"subject": names, "role": ""}).assign(is_clean=True, is_rated=False)
    found = split(scans, {"train": 0.5, "validation": 0.25, "test": 0.25}, path, 1)
    assert (
        list(found) == ["subject", "role"] and found["subject"].tolist() == names and set(found["role"]) == set(ROLES)
    )
    roles = dict(found.itertuples(index=False, name=None))
    for subject, role in read_cells(path, "\t")[["subject", "role"]].itertuples(index=False, name=None):
        assert subject not in roles or role in ("", roles[subject])


def list_scans(path, limit=None):
    """List scans: rows of the table, as text, each under a name of its own that can be a file's; files beside the table."""
    found = sources.find_scans("table", path, "*", limit)
    cells = read_cells(path, "," if path.suffix == ".csv" else "\t").replace("n/a", "")
    for column in {"image", "dseg"} & set(cells):
        cells[column] = [str(path.parent / cell) if cell else "" for cell in cells[column]]
    assert list(found) == sources.COLUMNS and all(isinstance(cell, str) for cell in found.to_numpy().flat)
    rows = set(found[list(cells)].itertuples(index=False, name=None))
    given = set(cells.itertuples(index=False, name=None))
    assert rows == given if limit is None else rows <= given and 0 < found["subject"].nunique() <= limit
    assert found["scan"].is_unique and found["scan"].is_monotonic_increasing and (found["subject"] != "").all()
    assert not [
        name for name in [*found["scan"], *found["subject"]] if name.startswith(".") or set(name) & set("/\\\0")
    ]
    assert (found["label_source"] == ["provided" if name else "" for name in found["dseg"]]).all()


def list_scans_of_three(path):
    list_scans(path, 3)


FILES = {"image": ["scan.nii"] * 6, "dseg": ["dseg.nii"] * 6}
RATED = {
    "subject": ["s1", "s2", "s3", "s4", "s5", "s5"],
    "anatomy": ["a", "a", "a", "b", "c", "c"],
    "role": ["train", "train", "validation", "test", "real", "real"],
    "scan": ["", "", "", "", "scan1", "scan2"],
    "rating": ["", "", "", "", "1", "4"],
}
# Table → columns, separator, a reader that checks what it has read, and cells with which it can be read at all.
READERS = {
    "scores.csv": (
        SCORES,
        ",",
        read_all_scores,
        {"severity": ["0", "0", "0.5", "0.5", "", ""], "metric": ["dice", "mean"] * 3},
    ),
    "subjects.tsv": (
        ("subject", "anatomy", "role"),
        "\t",
        read_all_subjects,
        {"anatomy": ["a", "a", "b", "b", "c", "c"], "role": ["train", "train", "test", "test", "real", "real"]},
    ),
    "manifest.tsv": ((*MANIFEST, "scan", "rating"), "\t", read_whole_manifest, FILES | RATED),
    "splits.tsv": (
        ("subject", "role"),
        "\t",
        split_by,
        {"subject": [f"subject{i}" for i in range(6)], "role": ["train", "", "validation", "", "test", ""]},
    ),
    "listing.tsv": (("subject", "image", "role"), "\t", list_scans, {}),
    "listing.csv": (("subject", "image", "dseg"), ",", list_scans_of_three, {}),
}


def put_with_files(tmp_path_factory, name, text):
    """Write a table, and beside it the files that a manifest names."""
    path = put(tmp_path_factory, name, text)
    for file in ("scan.nii", "dseg.nii"):
        (path.parent / file).touch()
    return path


@pytest.mark.parametrize("name", READERS)
@search(30)
@given(data=st.data())
def test_a_reader_refuses_or_reads_what_the_cells_say(tmp_path_factory, name, data):
    columns, separator, read, known = READERS[name]
    path = put_with_files(tmp_path_factory, name, data.draw(corpus.tables(columns, 6, separator, known)))
    with case(f"tables: {name}"):
        try:
            read(path)
        except InputError as error:
            assert_clear(str(error), path)


@pytest.mark.parametrize("name", READERS)
def test_a_table_with_nothing_wrong_is_read(tmp_path_factory, name):
    columns, separator, read, known = READERS[name]
    text = corpus.as_text(corpus.good_cells(columns, 6, known), separator)
    with case(f"tables: {name}"):
        read(put_with_files(tmp_path_factory, name, text))


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [
        ("listing.tsv", 0, "role"),
        ("listing.tsv", 1, "subject"),
        ("manifest.tsv", 1, "image"),
        ("manifest.tsv", 1, "rating"),
        ("manifest.tsv", 1, "role"),
    ],
)
def test_a_cell_too_long_to_name_anything_is_refused_in_a_sentence_of_readable_length(
    tmp_path_factory, name, row, column
):
    columns, separator, read, known = READERS[name]
    cells = corpus.good_cells(columns, 6, known)
    cells[row][columns.index(column)] = "x" * 5000
    path = put_with_files(tmp_path_factory, name, corpus.as_text(cells, separator))
    with case(f"tables: {name}"):
        with pytest.raises(InputError) as told:
            read(path)
        assert_clear(str(told.value), path)


RATED_NAMES = {"bids_name": [f"sub-{number}_T1w" for number in range(1, 5)]}


@search(30)
@given(text=corpus.tables(("bids_name", "score"), 4, "\t", RATED_NAMES))
@example(text=corpus.as_text(corpus.good_cells(("bids_name", "score"), 4, RATED_NAMES), "\t"))
def test_ratings_of_a_bids_folder(tmp_path_factory, text):
    path = put(tmp_path_factory, "scores.tsv", text)
    folder = path.parent / "bids"
    (folder / "derivatives").mkdir(parents=True)
    path.rename(folder / "derivatives" / "scores.tsv")
    image = folder / "sub-1" / "anat" / "sub-1_T1w.nii.gz"
    image.parent.mkdir(parents=True)
    image.touch()
    with case("tables: ratings"):
        try:
            (row,) = sources.find_scans("bids", folder, "*", None).itertuples()
        except InputError as error:
            assert_clear(str(error), folder)
        else:
            cells = read_cells(folder / "derivatives" / "scores.tsv", "\t")
            score = dict(zip(cells["bids_name"], cells["score"], strict=True)).get("sub-1_T1w", "")
            assert (row.subject, row.scan, row.image) == ("sub-1", "sub-1_T1w", str(image))
            assert row.rating == ("" if score == "n/a" else score) and row.dseg == row.role == ""


def test_more_draws_than_memory_should_hold_are_refused(tmp_path):
    table = pd.DataFrame({"subject": list("abc"), "dice": [1, 2, 3], "x": np.arange(3)})
    table.to_csv(tmp_path / "t.csv", index=False)
    for option in ("--n-boot", "--n-permutations"):
        with case("score tables: correlate"):
            assert refused("correlate", tmp_path / "t.csv", option, 10**9, about=option)


def test_a_folder_is_never_replaced_by_a_table(tmp_path):
    pd.DataFrame({"subject": list("abc"), "dice": [1, 2, 3], "x": [1, 2, 3]}).to_csv(tmp_path / "t.csv", index=False)
    mine = tmp_path / "mine" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    with case("names of outputs"):
        assert refused("correlate", tmp_path / "t.csv", *FEW, "--out", mine.parent, about=mine.parent)
        assert mine.read_text() == "years of work" and left_in(mine.parent) == ["thesis.txt"]
        assert left_in(tmp_path) == ["mine", "t.csv", "thesis.txt"]


def test_logs_of_any_bytes_show_a_status(tmp_path):
    log = tmp_path / "logs" / "models" / "task" / "rep-0.log"
    log.parent.mkdir(parents=True)
    for text in (b"", b"\xff\0\n", b"2026-13-45 99:99:99  x\n", b"step 1/0  left 1..2 min\n", RESUMED):
        log.write_bytes(text)
        with case("logs"):
            assert not refused("status", tmp_path)
