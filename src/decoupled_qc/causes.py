"""The causes that make a segmentation uncertain: their names besides the artefacts' own, and the range of their variance."""

TASK = "task"
TOTAL = "total"  # the one cause of a network that does not tell them apart
NO_ARTEFACT = "none"  # in the column artefact of a scan without one, and the answer where none is named
CLEAN = "clean"  # a scan without an artefact, where causes are told apart
LOG_VARIANCE_LIMITS = (-6.0, 4.0)  # of every cause, in every voxel
