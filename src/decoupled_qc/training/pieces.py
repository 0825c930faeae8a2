"""What a training's log says of its cost: its GPUs, and the share of its last piece, which alone leaves log and benchmark."""

import re

STEP = re.compile(r"step +(?P<step>\d+)/(?P<steps>\d+) .*left (?P<left>\d+\.\d+) min")
RESUMED = re.compile(r"Resuming at step (\d+) of \d+\.")
GPUS = re.compile(r"Training on (\d+) GPU")  # as :func:`decoupled_qc.training.loop.fit` logs it


def gpus(log: str) -> int | None:
    """Return on how many GPUs a training runs; None on CPU, or where its log does not say yet.

    Args:
        log: Text of the training's log.
    """
    found = GPUS.search(log)
    return int(found[1]) if found else None


def share_of_last_piece(log: str) -> float:
    """Return which share of the steps done so far the last piece did; divide its hours by it for those of all pieces.

    Taken as 1 where the piece has not logged a step: it began from the first, is about to begin, or had only the end to do.

    Args:
        log: Text of the training's log, of which every piece writes a new one.

    Returns:
        (steps done - step of the last resumption) / steps done, in (0, 1]. Work that a SIGKILL lost is not in it.
    """
    resumed, steps = RESUMED.search(log), list(STEP.finditer(log))
    if not resumed or not steps:
        return 1.0
    done = int(steps[-1]["step"]) + 1
    share = (done - int(resumed[1])) / done
    return share if share > 0 else 1.0  # of a damaged log
