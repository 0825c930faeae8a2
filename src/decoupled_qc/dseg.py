"""Values of a reference label, ``*_dseg.nii.gz``, 0 elsewhere; a predicted one holds 1 for grey matter."""

CSF, GREY_MATTER, WHITE_MATTER = TISSUES = 1, 2, 3
