"""How many hostile cases were tried, and in how many something else than a clear error or a right result came out."""

import contextlib
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, settings

from decoupled_qc import cli

TRIED, FAILED = Counter(), Counter()
COUNTS = "HOSTILE_COUNTS"  # environment variable: csv to write the counts to
MORE = "HOSTILE_MORE"  # environment variable: how many times as many cases as in the quick tests, such as 10 or 0.1
LONGEST_SENTENCE = 1000
# What Python says to programmers: a traceback, an object's address, a class, the number or the class of an error.
RAW = re.compile(r'Traceback|File "| object at 0x|<class |\b[Ee]rrno\b|[a-z](Error|Exception|Warning)\b')


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


def refused(*arguments: object, about: object = "") -> str:
    """Run a command of decoupled-qc; return in which sentence, on what it is about, it refused its input; empty if it did not."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main([str(argument) for argument in arguments])
    told = errors.getvalue()
    assert code in (0, 2), told
    if code == 0:
        return ""
    sentence = told.removeprefix("decoupled-qc: ").removesuffix("\n")
    assert_clear(sentence, about)
    return sentence


def assert_clear(text: str, about: object = "") -> None:
    """Check that a message is one sentence that names what it is about, a file or a key, and says what to do."""
    assert "\n" not in text and not RAW.search(text), text
    assert 20 < len(text) < LONGEST_SENTENCE, text
    assert " ".join(str(about).split()) in text, (about, text)
    advice = re.split("[:;] ", text)[1:]
    assert advice and len(advice[-1].split()) > 1 and text.rstrip(")").endswith((".", "README.md")), text


def left_in(folder: Path) -> list[str]:
    """Return what lies in a folder, temporary files too."""
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []
