"""Dice as a ridge regression on all measures predicts it (:mod:`decoupled_qc.analysis.regression`)."""

TITLE = "Ridge"
HIGHER_IS_BETTER = True
