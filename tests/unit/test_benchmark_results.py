"""The page of benchmarks follows from the tables that are committed beside it, and a comparison from the times it is given."""

import importlib
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from phantom import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("results")


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("measure")


def test_the_committed_page_is_what_the_committed_tables_make(results, tmp_path):
    for table in BENCHMARKS.glob("*.csv"):
        shutil.copy(table, tmp_path)
    page = results.write(tmp_path)
    assert page.read_text().splitlines() == (BENCHMARKS / page.name).read_text().splitlines()
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_every_reason_is_of_a_target_that_is_missed(results, monkeypatch):
    files = [path for path in BENCHMARKS.glob("*.csv") if path.name not in (results.RUNS, results.HOSTILE)]
    found = list(results.verdicts({path.stem: pd.read_csv(path) for path in files}))
    told = list(results.reasons(found))
    for key in list(results.WHY):
        with monkeypatch.context() as without:
            without.delitem(results.WHY, key)
            assert list(results.reasons(found)) != told, f"nothing is missed that {key} is a reason for"
    missed = {where for where, *_, met in results.quality_verdicts() if not met}
    assert set(results.QUALITY_WHY) <= missed


def test_two_functions_are_compared_by_medians_and_the_range_of_their_ratio_in_a_round(measure, monkeypatch):
    """In turn, ours first; what the first round took does not count."""
    clock, called = [0.0], []
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def taking(name, *durations):
        left = iter(durations)

        def function():
            called.append(name)
            clock[0] += next(left)

        return function

    functions = {
        "ours": taking("ours", 99, 1, 4, 2),
        "theirs": taking("theirs", 99, 2, 5, 8),
        "slow": taking("slow", 1, 10, 10, 10),
    }
    rows = measure.compare("volume", functions, rounds=3)
    assert called == ["ours", "theirs", "slow"] * 4
    assert rows == [
        ("volume", 2, "theirs", 5, pytest.approx(0.4), pytest.approx(0.25), pytest.approx(0.8)),
        ("volume", 2, "slow", 10, pytest.approx(0.2), pytest.approx(0.1), pytest.approx(0.4)),
    ]
