"""Units in which volumes are told."""

MM3_PER_ML = 1000
