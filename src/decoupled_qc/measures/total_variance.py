"""Mean of all variances, the task's too: of a network with one head for all causes (:mod:`decoupled_qc.evaluation.baselines`)."""

TITLE = "Total variance"
HIGHER_IS_BETTER = False
