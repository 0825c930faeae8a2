"""Entropy of the segmentation; higher is worse."""

from decoupled_qc.evaluation import metrics
from decoupled_qc.evaluation.evidence import Evidence, Looks

TITLE = "Entropy"
HIGHER_IS_BETTER = False


def measure(evidence: Evidence) -> dict[str, float]:
    """Return its mean over the volume, nats, :func:`decoupled_qc.evaluation.metrics.entropy`; higher is worse."""
    return {"mean": float(evidence.entropy.mean())}


def look(looks: Looks) -> float:
    """Return the same of a baseline's segmentation."""
    return float(metrics.entropy(looks.probability).mean())
