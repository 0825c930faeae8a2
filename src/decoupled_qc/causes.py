"""The causes that make a segmentation uncertain: their names besides the artefacts' own, and the range of their variance."""

TASK = "task"
TOTAL = "total"  # the one cause of a network that does not tell them apart
CLEAN = "clean"  # a scan without an artefact, where causes are told apart
LOG_VARIANCE_LIMITS = (-6.0, 4.0)  # of every cause, in every voxel
