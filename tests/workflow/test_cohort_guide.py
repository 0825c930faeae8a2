"""docs/cohorts.md, followed to the letter: a kind of source of one's own is one file and one config entry."""

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

GUIDE = Path(__file__).parents[2] / "docs/cohorts.md"


def block(language):
    found = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(found) == 1
    return found[0]


def test_a_source_of_ones_own(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    text = GUIDE.read_text()
    for name, language in (("src/decoupled_qc/cohort/sources/folders.py", "python"), ("config/own.yaml", "yaml")):
        assert f"`{name}`" in text
        (project.folder / name).write_text(block(language))
    for number in range(5):
        folder = project.folder / "scans" / f"p{number}"
        folder.mkdir(parents=True)
        values = np.random.default_rng(number).integers(0, 900, (12, 12, 12)).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), folder / "t1.nii.gz")
    (project.folder / "scans/p3/t1.nii.gz").write_bytes(b"no scan")
    command = block("sh").split()
    project.snakemake(*command[command.index("--configfile") :])
    splits = pd.read_csv(project.folder / "results/own/cohort/splits.tsv", sep="\t")
    assert sorted(splits["subject"]) == ["sub-p0", "sub-p1", "sub-p2", "sub-p4"]
    assert splits["role"].value_counts().to_dict() == {"train": 2, "validation": 1, "test": 1}
    assert "cannot be read as an image" in (project.folder / "results/own/cohort/audit.html").read_text()
