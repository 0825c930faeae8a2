"""Dice as a ridge regression on all measures predicts it (:mod:`decoupled_qc.analysis.regression`)."""

TITLE = "Ridge"
HIGHER_IS_BETTER = True
NEEDS_REFERENCE = True  # regressed on measures in its masks too
