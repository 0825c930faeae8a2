"""Values of a reference label, ``*_dseg.nii.gz``; a predicted one holds 1 for grey matter."""

GREY_MATTER, WHITE_MATTER = 2, 3
