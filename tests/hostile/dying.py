"""Work that a worker can load from a module of its own: a scan that kills it, and scans that take a while."""

import os
import signal
import time
from pathlib import Path

from decoupled_qc.apply import predict
from decoupled_qc.apply.inputs import Input

DEADLY = "deadly"


def work(one: Input, out: Path) -> tuple[dict, int]:
    """Predict a scan, unless it is the deadly one, as the kernel does when memory is short."""
    if one.scan == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return predict._work(one, out)


def take_a_while(one: Input, out: Path) -> tuple[dict, int]:
    """Note that a scan was begun, and take a fifth of a second for it."""
    (out / one.scan).touch()
    time.sleep(0.2)
    return {}, 0
