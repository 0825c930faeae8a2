"""Balls of tissue for the heads of people who were scanned three times, lying still and twice while moving, as in MR-ART."""

import numpy as np

KINDS = {"standard": 1, "headmotion1": 2, "headmotion2": 3}  # kind of scan → its score, 1 good to 3 bad
MM = 3.0


def head(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a person's scan without noise and its label with about 600 ml of grey matter, another one for each person."""
    stretch = rng.uniform(0.96, 1.04, (3, 1, 1, 1))
    distance = np.linalg.norm((np.indices((48, 48, 48)) - 23.5) / stretch, axis=0) * MM
    label = np.select([distance < 45, distance < 62, distance < 66], [3, 2, 1], 0).astype(np.uint8)
    return np.array([0, 200, 500, 800.0])[label], label
