"""Batches of scans: as many as needed, evenly filled, and nobody moves when others come or go."""

import pandas as pd
import pytest

from decoupled_qc.apply.batches import assign, check_gathered, read_batches
from decoupled_qc.errors import InputError


def scans(*numbers):
    return {f"/data/{number:02d}.nii.gz": f"scan-{number:02d}" for number in numbers}


def empty(tmp_path):
    return read_batches(tmp_path / "none.tsv")


def test_batches_are_as_few_as_possible_and_even(tmp_path):
    found = assign(scans(*range(25)), empty(tmp_path), 10)
    assert list(found["batch"][:6]) == [0, 1, 2, 0, 1, 2] and sorted(found["batch"].value_counts()) == [8, 8, 9]
    assert len(assign({}, empty(tmp_path), 10)) == 0


def test_a_scan_that_comes_or_goes_moves_no_other(tmp_path):
    first = assign(scans(*range(1, 20)), empty(tmp_path), 10)
    first.to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
    earlier = read_batches(tmp_path / "scans.tsv")
    pd.testing.assert_frame_equal(earlier, first, check_dtype=False)
    grown = assign(scans(0, *range(1, 5), *range(6, 25)), earlier, 10)  # one goes, six come, of which one is first
    both = first.merge(grown, on=["scan", "path"])
    assert len(both) == 18 and (both["batch_x"] == both["batch_y"]).all()
    assert grown["batch"].value_counts().max() <= 10 and set(grown["batch"]) == {0, 1, 2}


def test_smaller_batches_than_before_are_dealt_out_anew(tmp_path):
    earlier = assign(scans(*range(12)), empty(tmp_path), 6)
    assert assign(scans(*range(12)), earlier, 3)["batch"].value_counts().to_dict() == {0: 3, 1: 3, 2: 3, 3: 3}


def test_each_listed_scan_must_have_one_row(tmp_path):
    listed = assign(scans(0, 1, 2, 3), empty(tmp_path), 2)
    tables = [tmp_path / f"{batch}.csv" for batch in (0, 1)]
    for batch, own in listed.groupby("batch"):
        own[["scan"]].to_csv(tables[batch], index=False)
    check_gathered(listed, tables)
    with pytest.raises(InputError, match=r"1 of 3 scans .* in a batch's table, and not listed, the first scan-00"):
        check_gathered(listed[1:], tables)
    with pytest.raises(InputError, match=r"2 of 4 scans .* in no batch's table, the first scan-01"):
        check_gathered(listed, tables[:1])
    with pytest.raises(InputError, match=r"2 of 4 scans .* in the tables of two batches, the first scan-00"):
        check_gathered(listed, [*tables, tables[0]])
    (tmp_path / "old.tsv").write_text("scan\tpath\n")
    with pytest.raises(InputError, match="old.tsv has not the columns scan, path, batch: remove it"):
        read_batches(tmp_path / "old.tsv")
