"""How many hostile cases were tried, and in how many something else than a clear error or a right result came out."""

import contextlib
import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, settings

from decoupled_qc import cli

TRIED, FAILED = Counter(), Counter()
COUNTS = "HOSTILE_COUNTS"  # environment variable: csv to write the counts to
MORE = "HOSTILE_MORE"  # environment variable: how many times as many cases as in the quick tests, such as 10 or 0.1
LONGEST_SENTENCE = 1000


def search(n_cases: int) -> settings:
    """Return the settings of a search: the same cases in every run, so that nothing is met by chance."""
    count = max(1, round(n_cases * float(os.environ.get(MORE, 1))))
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


@contextlib.contextmanager
def case(area: str) -> Iterator[None]:
    """Count a case of an area, and whether it failed."""
    TRIED[area] += 1
    try:
        yield
    except BaseException:
        FAILED[area] += 1
        raise


def write() -> None:
    """Write the counts, if asked to."""
    if COUNTS in os.environ:
        with Path(os.environ[COUNTS]).open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["area", "tried", "failed"])
            table.writerows((area, TRIED[area], FAILED[area]) for area in sorted(TRIED))


def refused(*arguments: object) -> bool:
    """Run a command of decoupled-qc; return whether it refused its input, which it must do in one sentence."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main([str(argument) for argument in arguments])
    told = errors.getvalue()
    assert code in (0, 2), told
    if code == 2:
        assert_clear(told.removeprefix("decoupled-qc: ").removesuffix("\n"))
    return code == 2


def assert_clear(text: str) -> None:
    """Check that a message is one sentence that names something and says what to do."""
    assert "\n" not in text and "Traceback" not in text, text
    assert 20 < len(text) < LONGEST_SENTENCE, text
    assert (": " in text or "; " in text) and text.rstrip(")").endswith((".", "README.md")), text


def left_in(folder: Path) -> list[str]:
    """Return what lies in a folder, temporary files too."""
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []
