"""SNR over all tissues, as MRIQC measures it: comes with a data set."""

TITLE = "SNR (total)"
HIGHER_IS_BETTER = True
OF_IMAGE = True
