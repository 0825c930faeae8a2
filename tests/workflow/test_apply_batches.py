"""A cohort of thousands in batches."""

import re
import resource


def processor_seconds():
    """Of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_ten_thousand_scans_are_a_hundred_jobs(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    for site in range(4):  # the same file names in each
        folder = project.folder / "data" / f"site-{site}"
        folder.mkdir(parents=True)
        for number in range(2500):
            (folder / f"{number:04d}.nii.gz").touch()
    overlay = project.folder / "cohort.yaml"
    overlay.write_text("apply:\n  inputs: ['data/site-*/*.nii.gz']\n  model: data\n")
    target = "results/smoke/apply/predictions.csv"
    before = processor_seconds()
    printed = project.snakemake(
        "--dry-run", "--quiet", "rules", "--configfile", "config/smoke.yaml", overlay.name, "--", target
    )
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE))
    assert jobs == {"list_scans": "1", "predict_batch": "100", "gather_batches": "1", "total": "102"}
    assert processor_seconds() - before < 30


def test_verdicts_are_made_again_for_other_weights_of_the_package(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    message = '    message:\n        "Predicting batch {wildcards.batch} of the scans."\n'
    project.edit("workflow/rules/apply.smk", message, "")  # so that a dry run prints the inputs instead
    (project.folder / "scan.nii.gz").touch()
    (project.folder / "cohort.yaml").write_text("apply: {inputs: [scan.nii.gz]}\n")
    configuration = ("--configfile", "config/smoke.yaml", "cohort.yaml")
    printed = project.snakemake("--dry-run", *configuration, "--", "results/smoke/apply/predictions.csv")
    (read,) = re.findall(r"^rule predict_batch:\n(?: .*\n)*? +input: (.*)$", printed, re.MULTILINE)
    for name in ("model.json", "reference.json", "weights.safetensors"):
        assert f"src/decoupled_qc/weights/{name}" in read, printed[-3000:]
