"""Tell how far scans can be trusted for grey matter, what is wrong with them, and where."""

import argparse
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch
from tqdm import tqdm

from decoupled_qc.analysis.prediction import FAIL, PASS, REVIEW
from decoupled_qc.apply.folder import Model, open_model
from decoupled_qc.apply.inputs import Input, find_inputs, no_scan_in
from decoupled_qc.apply.output import (
    ERROR,
    alone,
    begin,
    earlier_row,
    error_row,
    key_of,
    read_rows,
    refuse_other_model,
    remove_outdated,
    storage,
    write_result,
    write_rows,
)
from decoupled_qc.apply.predictor import Predictor
from decoupled_qc.apply.results_folder import PAGE, TABLE
from decoupled_qc.errors import (
    FAULT,
    INPUT_FAILED,
    INTERRUPTED,
    RESOURCE_FAILED,
    InputError,
    ResourceError,
    lacks_memory,
    sentence,
)
from decoupled_qc.report.group_page import write_group_page
from decoupled_qc.scans import read_scan

log = logging.getLogger(__name__)

QUALITY_FAILED = 4  # exit code
GRAVEST = (RESOURCE_FAILED, FAULT, INPUT_FAILED, 0)  # first: the code of a call is that of its gravest scan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help=".nii, .nii.gz or .mgz files, folders, or BIDS datasets"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder for the results; a second call goes on there"
    )
    parser.add_argument("--model", type=Path, help="model folder (default: the one that comes with the package)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="scans at a time, each with its own model (default: %(default)s)"
    )
    parser.add_argument("--no-pages", action="store_true", help="write no HTML: maps, summaries and the table only")
    parser.add_argument(
        "--fail-on", choices=(FAIL, REVIEW), help=f"end with code {QUALITY_FAILED} if a scan is decided so, or worse"
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict all scans; print what became of them.

    Returns:
        0; 1 if a scan met a fault of ours; 2 if one could not be read or used; 3 if the machine lacked something; 4 if asked to
        and a scan is that bad. Of several, 3 goes before 1 before 2 before 4.

    Raises:
        InputError: There is no scan or no model, or the folder for results holds something else.
        ResourceError: The results cannot be written, or another run is writing them.
    """
    if arguments.jobs < 1:
        raise InputError(f"--jobs is {arguments.jobs}: give 1 or more.")
    model = open_model(arguments.model)
    with alone(arguments.out):
        earlier = read_rows(arguments.out)
        inputs = find_inputs(arguments.inputs, arguments.out, {row["input"]: scan for scan, row in earlier.items()})
        rows, code = predict_all(
            inputs, arguments.out, model, jobs=arguments.jobs, earlier=earlier, pages=not arguments.no_pages
        )
    decided = [row.get("decision") for row in rows]
    counts = [f"{decided.count(name)} {name}" for name in (PASS, REVIEW, FAIL)]
    errors = [row for row in rows if row["status"] == ERROR]
    look = arguments.out / (TABLE if arguments.no_pages else PAGE)
    print(f"{len(rows)} scan{'s' * (len(rows) != 1)}: {', '.join(counts)}, {len(errors)} not usable. See {look}")
    for row in errors:
        print(f"  {row['error']}")
    bad = {FAIL: {FAIL}, REVIEW: {FAIL, REVIEW}, None: set()}[arguments.fail_on]
    return code or (QUALITY_FAILED if bad & set(decided) else 0)


def predict_all(
    inputs: list[Input], out: Path, model: Model, *, jobs: int, earlier: dict[str, dict], pages: bool, build: str = ""
) -> tuple[list[dict], int]:
    """Predict scans into a folder of results; those that an earlier call finished are not done again.

    The table is written anew after each scan, so that it is whole whenever the process ends.

    Args:
        inputs: The scans.
        out: Folder of results, held by :func:`decoupled_qc.apply.output.alone`.
        model: An open model.
        jobs: Scans at a time.
        earlier: Rows that are in the table already.
        pages: Write a page for each scan, and ``index.html`` for all.
        build: See :func:`decoupled_qc.apply.output.key_of`.

    Returns:
        The row of each input, and the exit code.

    Raises:
        InputError: The earlier rows are of another model.
        ResourceError: The results cannot be written.
    """
    refuse_other_model(out, earlier, model)
    begin(out, model.reference)
    rows, code = dict(earlier), 0
    progress = tqdm(total=len(inputs), desc="scans", unit="scan", disable=None)
    for one, row, failed in _each(inputs, out, model, jobs, pages, build):
        rows[one.scan] = row
        code = min(code, failed, key=GRAVEST.index)
        write_rows(out, rows, model.reference)
        progress.update()
    progress.close()
    if pages:
        with storage(out):
            write_group_page(out)
    return [rows[one.scan] for one in inputs], code


def _each(
    inputs: list[Input], out: Path, model: Model, jobs: int, pages: bool, build: str
) -> Iterator[tuple[Input, dict, int]]:
    """Yield (input, row, exit code) as scans are done."""
    jobs = min(jobs, len(inputs))
    if jobs == 1:
        worker = _Worker(model, pages, build)
        yield from ((one, *worker(one, out)) for one in inputs)
        return
    threads = max(1, torch.get_num_threads() // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start_worker, (model.folder, threads, pages, build)) as pool:
        waiting = {pool.submit(_work, one, out): one for one in inputs}
        try:
            for done in as_completed(waiting):
                yield (waiting[done], *done.result())
        except BrokenProcessPool as error:
            raise ResourceError(
                "A worker was killed, perhaps for lack of memory: give the same command again with fewer --jobs."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)  # however it ends, no scan that waits is begun


class _Worker:
    """A model that predicts and writes one scan after the other."""

    def __init__(self, model: Model, pages: bool, build: str):
        self.predictor = Predictor(model)
        self.pages = pages
        self.build = build

    def __call__(self, one: Input, out: Path) -> tuple[dict, int]:
        """Return the scan's row and exit code; only what concerns all scans is raised."""
        try:
            if one.path.is_dir():
                raise InputError(no_scan_in(one.path))
            if not one.path.is_file():
                raise InputError(f"{one.path} does not exist: check the name.")
            key = key_of(one.path, self.predictor.model, self.build)
            row = earlier_row(out, one, key, pages=self.pages)
            if row is None:
                remove_outdated(out, one, key)
                result = self.predictor(read_scan(one.path))
                row = write_result(out, one, result, key, self.predictor.model, pages=self.pages)
            return row, 0
        except ResourceError:
            raise
        except Exception as error:  # whatever one scan meets must not stop the others
            if lacks_memory(error):
                reason = f"{one.path} needs more memory than there is: use a machine with more, or fewer --jobs."
                return error_row(one, reason), RESOURCE_FAILED
            if isinstance(error, InputError | OSError):  # of reading: what cannot be written is a ResourceError
                return error_row(one, sentence(error)), INPUT_FAILED
            log.debug("%s", one.path, exc_info=True)
            return error_row(one, f"{one.path}: {sentence(error)}"), FAULT


_worker: Callable[[Input, Path], tuple[dict, int]]


def _start_worker(folder: Path, threads: int, pages: bool, build: str) -> None:
    """Load the model once in a process of its own."""
    global _worker
    torch.set_num_threads(threads)
    _worker = _Worker(open_model(folder), pages, build)


def _work(one: Input, out: Path) -> tuple[dict, int]:
    try:
        return _worker(one, out)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)  # the pool would hand this process the next scan
