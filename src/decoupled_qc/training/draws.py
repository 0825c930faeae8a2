"""Torch's own generator, for what draws from nothing else: first weights and dropout."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from decoupled_qc.seeds import seed_for


@contextmanager
def drawing_for(root_seed: int, *names: object) -> Iterator[None]:
    """Let torch's generator start from :func:`decoupled_qc.seeds.seed_for`, and put it back afterwards."""
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(seed_for(root_seed, *names) % 2**63)
        yield
