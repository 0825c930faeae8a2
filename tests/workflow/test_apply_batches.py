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


def test_weights_and_templates_of_the_package_are_inputs(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    (project.folder / "scan.nii.gz").touch()
    (project.folder / "cohort.yaml").write_text("apply: {inputs: [scan.nii.gz]}\n")
    made = [f"results/smoke/{name}" for name in ("model", "apply/predictions.csv")]
    jobs = project.jobs("--configfile", "config/smoke.yaml", "cohort.yaml", "--", *made)
    read = {job["rule"]: job["input"] for job in jobs if "input" in job}
    group_page = ["report/style.css", *(f"report/group_page.{kind}" for kind in ("html", "css", "js"))]
    scan_page = [f"report/scan_page.{kind}" for kind in ("html", "css", "js")]
    weights = [f"weights/{name}" for name in ("model.json", "reference.json", "weights.safetensors")]
    expected = {
        "reference": ["apply/model_card.md"],
        "predict_batch": [*weights, *group_page, *scan_page],
        "gather_batches": group_page,
    }
    for rule, names in expected.items():
        assert [name for name in names if f"src/decoupled_qc/{name}" not in read[rule]] == [], rule


def test_a_scan_replaced_under_its_name_is_predicted_again_and_those_of_other_batches_are_not(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    script = "from pathlib import Path\n\nPath(snakemake.output[0]).write_text('scan\\n')\n"
    for name in ("predict_batch", "gather_batches"):
        (project.folder / f"workflow/scripts/{name}.py").write_text(script)
    for name in ("a", "b"):
        (project.folder / f"{name}.nii.gz").touch()
    overlay = project.folder / "cohort.yaml"
    overlay.write_text("apply: {inputs: ['*.nii.gz'], batch_size: 1, model: config}\n")
    asked = ("config/smoke.yaml", overlay.name, "--", "results/smoke/apply/predictions.csv")
    project.snakemake("--configfile", *asked)
    assert project.planned(*asked) == {}
    (project.folder / "b.nii.gz").write_bytes(b"another")
    again = {"predict_batch": {"apply/batch-1/predictions.csv"}, "gather_batches": {"apply/predictions.csv"}}
    assert project.planned(*asked) == again
