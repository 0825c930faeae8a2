"""Work on maps or volumes, on as many threads as the network has."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


def side_by_side(function: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
    """Return the function of each item, in their order, as ``map`` does; the first error is raised when all have ended.

    Resampling and compression leave Python's lock, so that two threads take half the time.

    Args:
        function: Of one item, free of what others change.
        items: Things to work on.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(function, items))
