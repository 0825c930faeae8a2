"""Timing side by side, and peak memory in a process of its own, for all benchmarks."""

import csv
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

MIB = 2**20


def seconds(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time the functions in turn, so that a busy machine slows all; the first round does not count."""
    times = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            synchronise()
            start = time.perf_counter()
            function()
            synchronise()
            if number:
                times[name].append(time.perf_counter() - start)
    return times


def compare(name: str, functions: dict[str, Callable[[], object]], rounds: int) -> list[tuple]:
    """Return a row of :func:`write` for each reference: medians, their ratio, and its lowest and highest in a single round.

    Args:
        name: Of what is measured.
        functions: Title → function; the first is ours.
        rounds: That count.
    """
    times = seconds(functions, rounds)
    own = times.pop(next(iter(times)))
    return [row(name, own, title, other) for title, other in times.items()]


def row(name: str, own: list[float], title: str, other: list[float]) -> tuple:
    """Return a row of :func:`write` from the seconds of each round, ours and those of a reference."""
    ratios = [mine / theirs for mine, theirs in zip(own, other, strict=True)]
    mine, theirs = statistics.median(own), statistics.median(other)
    return name, mine, title, theirs, mine / theirs, min(ratios), max(ratios)


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_mib(prepare: Callable[..., Callable[[], object]], *arguments: object) -> float:
    """Return the memory that a function takes at its peak beyond what was there before, MiB, in a process of its own.

    Args:
        prepare: Returns the function; what it sets up does not count. On a GPU the GPU's memory is meant.
        arguments: Of ``prepare``.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mib, (prepare, *arguments))


def _peak_mib(prepare: Callable[..., Callable[[], object]], *arguments: object) -> float:
    function = prepare(*arguments)
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        function()
        synchronise()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    process, done, peak = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss)

    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    function()
    done.set()
    watcher.join()
    return (peak[0] - before) / MIB


def tell(unit: str, rows: list[tuple]) -> None:
    """Print rows of :func:`write`, ratio first."""
    for name, own, reference, other, ratio, *_ in rows:
        print(f"ratio {ratio:5.2f}   {name:32s} {own:8.3g} {unit}   {reference:32s} {other:8.3g} {unit}", flush=True)


def write_both(path: Path | None, rows: list[tuple], memory: list[tuple]) -> None:
    """Write the tables of seconds and, beside it, of MiB; nothing without a path."""
    if path:
        write(path, "seconds", rows)
        if memory:
            write(path.with_name(f"{path.stem}_memory.csv"), "mib", memory)


def write(path: Path, unit: str, rows: list[tuple]) -> None:
    """Write the table of one unit: name, ours, reference, its value, ours over the reference, and that ratio's range if known."""
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["name", unit, "reference", f"reference_{unit}", "ratio", "ratio_low", "ratio_high"][: len(rows[0])]
        )
        for name, own, reference, other, *ratios in rows:
            table.writerow([name, f"{own:.4f}", reference, f"{other:.4f}", *(f"{ratio:.3f}" for ratio in ratios)])
