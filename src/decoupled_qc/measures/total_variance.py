"""Mean of the summed variances of all causes, the task's too; higher is worse."""

from decoupled_qc.evaluation.evidence import Looks

TITLE = "Total variance"
HIGHER_IS_BETTER = False


def look(looks: Looks) -> float:
    """Return the mean over the volume of sum_k variance_k; higher is worse.

    Source: Kendall & Gal 2017, of a network with one variance for all causes.
    """
    return looks.total_variance
