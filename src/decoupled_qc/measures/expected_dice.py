"""Dice as a verdict predicts it, from the variances of all artefacts (:mod:`decoupled_qc.analysis.variance_dice`)."""

TITLE = "Predicted Dice"
HIGHER_IS_BETTER = True
