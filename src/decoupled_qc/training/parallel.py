"""One training on several processes of a machine, each with its share of every batch."""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from decoupled_qc.precision import best_device

DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's sys/prctl.h


@dataclass(frozen=True)
class Team:
    """The processes that train one network together; they hold the same weights all the time.

    Args:
        rank: Of this process, 0 is the first.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes.

        Once a step, after all forward passes of the step: what torch's own wrapper would gain by doing so during the backward
        pass is little, and it would have to be told which of several passes is the last.
        """
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, told: bool) -> bool:
        """Return whether any process was told something; all must ask."""
        if self.size == 1:
            return told
        flag = torch.tensor(float(told), device=best_device())
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def gather(self, item: object) -> list:
        """Return the item of every process, in their order; all must ask."""
        if self.size == 1:
            return [item]
        items = [None] * self.size
        distributed.all_gather_object(items, item)
        return items


ALONE = Team()


def join() -> Team:
    """Return the team that ``torchrun`` started this process in; a process of its own is alone."""
    if "WORLD_SIZE" not in os.environ:
        return ALONE
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return Team(distributed.get_rank(), distributed.get_world_size())


def end_with(parent: int) -> None:
    """Let Linux kill this process when its parent has ended, however that was; elsewhere it may outlive a killed parent.

    Args:
        parent: Its process id. If it has ended already, this process does so now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit(128 + signal.SIGKILL)
