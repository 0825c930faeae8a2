"""Any bytes as a table: refused in one sentence with nothing written, or read with every cell in its own column."""

import csv
import io
import shutil

import corpus
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tally import assert_clear, case, left_in, refused, search

from decoupled_qc.analysis.scores import COLUMNS as SCORES
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.cohort import sources
from decoupled_qc.cohort.manifest import COLUMNS as MANIFEST
from decoupled_qc.cohort.manifest import read_manifest
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
        if refused("correlate", path, *FEW, "--out", out):
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
            assert_clear(" ".join(str(error).split()))
            return
        rows = [row for row in csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")) if row]
        assert [list(table.columns), *table.to_numpy().tolist()] == rows


def split_of(path):
    found = pd.DataFrame({"subject": [f"subject{i}" for i in range(6)], "role": ""})
    return split(found.assign(is_clean=True, is_rated=False), {"train": 0.5, "validation": 0.25, "test": 0.25}, path, 1)


READERS = {
    "scores.csv": (SCORES, ",", read_scores),
    "subjects.tsv": (("subject", "anatomy", "role"), "\t", read_subjects),
    "manifest.tsv": (tuple(MANIFEST), "\t", read_manifest),
    "splits.tsv": (("subject", "role"), "\t", split_of),
    "listing.tsv": (("subject", "image", "role"), "\t", lambda path: sources.find_scans("table", path, "*", None)),
    "listing.csv": (("subject", "image", "dseg"), ",", lambda path: sources.find_scans("table", path, "*", 3)),
}


@pytest.mark.parametrize("name", READERS)
@search(30)
@given(data=st.data())
def test_a_reader_refuses_or_reads(tmp_path_factory, name, data):
    columns, separator, read = READERS[name]
    path = put(tmp_path_factory, name, data.draw(corpus.tables(columns, 6, separator)))
    with case(f"tables: {name}"):
        try:
            assert len(read(path)) > 0
        except InputError as error:
            assert_clear(" ".join(str(error).split()))


@search(30)
@given(text=corpus.tables(("bids_name", "score"), 4, "\t"))
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
            assert_clear(" ".join(str(error).split()))
        else:
            assert row.scan == "sub-1_T1w" and isinstance(row.rating, str)


def test_more_draws_than_memory_should_hold_are_refused(tmp_path):
    table = pd.DataFrame({"subject": list("abc"), "dice": [1, 2, 3], "x": np.arange(3)})
    table.to_csv(tmp_path / "t.csv", index=False)
    for option in ("--n-boot", "--n-permutations"):
        with case("score tables: correlate"):
            assert refused("correlate", tmp_path / "t.csv", option, 10**9)


def test_a_folder_is_never_replaced_by_a_table(tmp_path):
    pd.DataFrame({"subject": list("abc"), "dice": [1, 2, 3], "x": [1, 2, 3]}).to_csv(tmp_path / "t.csv", index=False)
    mine = tmp_path / "mine" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    with case("names of outputs"):
        assert refused("correlate", tmp_path / "t.csv", *FEW, "--out", mine.parent)
        assert mine.read_text() == "years of work" and left_in(mine.parent) == ["thesis.txt"]
        assert left_in(tmp_path) == ["mine", "t.csv", "thesis.txt"]


def test_logs_of_any_bytes_show_a_status(tmp_path):
    log = tmp_path / "logs" / "models" / "task" / "rep-0.log"
    log.parent.mkdir(parents=True)
    for text in (b"", b"\xff\0\n", b"2026-13-45 99:99:99  x\n", b"step 1/0  left 1..2 min\n", RESUMED):
        log.write_bytes(text)
        with case("logs"):
            assert not refused("status", tmp_path)
