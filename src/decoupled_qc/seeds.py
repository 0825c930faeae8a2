"""Random generators by name, so that a draw depends on what it is for and on nothing else."""

import hashlib

import numpy as np


def seed_for(root_seed: int, *names: object) -> int:
    """Return a 64-bit seed that depends only on the root seed and on the names.

    Args:
        root_seed: The run's seed.
        names: What the draw is for, e.g. ``("sub-s101", "motion", 0)``; compared by their text.
    """
    text = "\x1f".join(str(part) for part in (root_seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def rng_for(root_seed: int, *names: object) -> np.random.Generator:
    """Return a NumPy generator seeded by :func:`seed_for`: the same whatever the order or number of workers."""
    return np.random.default_rng(seed_for(root_seed, *names))
