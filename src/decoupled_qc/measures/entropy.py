"""Entropy of the segmentation."""

from decoupled_qc.evaluation.evidence import Evidence

TITLE = "Entropy"
HIGHER_IS_BETTER = False


def measure(evidence: Evidence) -> dict[str, float]:
    """Return the mean over the volume, nats; :func:`decoupled_qc.evaluation.metrics.entropy`."""
    return {"mean": float(evidence.entropy.mean())}
