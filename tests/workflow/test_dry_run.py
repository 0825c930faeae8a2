"""Planning stays quick, and the number of jobs is that of the configuration, not of the scans."""

import re
import resource
import shlex
from pathlib import Path

import pandas as pd
import yaml

from decoupled_qc.cohort import sources, splits

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/cluster.md"
OPTIONAL_HEADS = 4  # jobs of a head that this machine may lack
LOCAL = re.compile(r"^rule (\w+):\n(?:(?: .*)?\n)*?    localrule: True$", re.MULTILINE)


def stated(pattern):
    """Return the number of jobs that the cluster page states."""
    return int(re.search(pattern, GUIDE.read_text(), re.MULTILINE)[1])


def counted(project, printed):
    """Return how many jobs of a dry run would go to a cluster, and how many would run where Snakemake does."""
    jobs = {name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)}
    rules = (project.folder / "workflow/rules").glob("*.smk")
    local = {"all"}.union(*(LOCAL.findall(file.read_text()) for file in rules))
    here = sum(number for name, number in jobs.items() if name in local)
    return jobs["total"] - here, here


def planned(project, *overlays):
    """Return the number of jobs of a dry run that would go to a cluster, and the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = project.snakemake("--dry-run", "--quiet", "rules", *(("--configfile", *overlays) if overlays else ()))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return counted(project, printed)[0], after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def scans(project, number):
    """Return an overlay for a table of scans, prepared in 200 batches."""
    rows = "".join(f"sub-{i:05d}\tsub-{i:05d}_T1w.nii.gz\n" for i in range(number))
    (project.folder / f"{number}.tsv").write_text(f"subject\timage\n{rows}")
    overlay = project.folder / f"{number}.yaml"
    overlay.write_text(f"cohort:\n  source: table\n  scans: {{path: {number}.tsv, batches: 200}}\n")
    return overlay.name


def test_the_full_configuration_is_planned(bare_project):
    jobs, seconds = planned(bare_project)
    assert abs(jobs - stated(r"(\d+) on the embedded heads")) <= OPTIONAL_HEADS
    assert seconds < 10


def test_the_profile_for_slurm_and_nothing_else_is_the_reproduction_on_real_scans(bare_project):
    profile = ("--profile", "slurm", "--executor", "local", "--dry-run", "--quiet", "rules")
    printed = bare_project.snakemake(*profile)
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE))
    assert {"fetch_scans", "find_real_artefacts", "train_student"} <= jobs.keys()
    submitted, here = counted(bare_project, printed)
    assert abs(submitted - stated(r"^(\d+) for the full reproduction on MR-ART")) <= OPTIONAL_HEADS
    assert abs(here - stated(r"(\d+) more run where Snakemake does")) <= OPTIONAL_HEADS
    other = bare_project.snakemake(*profile, "--configfile", "config/smoke.yaml")
    assert not re.search(r"^fetch_scans +\d", other, re.MULTILINE)


def test_the_taste_of_mr_art_is_planned_as_the_readme_has_it(bare_project):
    (given,) = re.findall(r"snakemake --cores 2 (.*mrart_small.yaml)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    printed = bare_project.snakemake("--dry-run", "--quiet", "rules", *given.split())
    assert re.search(r"^fetch_scans +1$", printed, re.MULTILINE)
    assert re.search(r"^prepare_scans +2$", printed, re.MULTILINE)


def test_each_replicate_trains_the_whole_chain_again(bare_project):
    overlay = ("--configfile", "config/demo.yaml", "--config", "replicates=3")
    printed = bare_project.snakemake("--dry-run", "--quiet", "rules", *overlay)
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE))
    assert (jobs["train_task"], jobs["train_teacher"], jobs["train_student"]) == ("3", "15", "3")


def test_ten_thousand_scans_are_no_more_jobs_than_a_hundred(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    few, _ = planned(project, scans(project, 100))
    many, seconds = planned(project, scans(project, 10_000))
    assert few == many
    assert abs(many - stated(r"makes (\d+)\.")) <= OPTIONAL_HEADS
    assert seconds < 30


def test_the_papers_cohort_is_planned_and_its_roles_and_rated_scans_are_those_of_the_table(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    sizes = {"train": 217, "validation": 27, "test": 28, "real": 40}
    roles = [role for role, number in sizes.items() for _ in range(number)]
    names = [f"sub-{i:03d}" for i in range(len(roles))]
    rows = [
        f"{name}\t{name}_T1w.nii.gz\t{name}_dseg.nii.gz\tFreeSurfer\t{role}\t{i % 4 + 1 if role == 'real' else ''}\n"
        for i, (name, role) in enumerate(zip(names, roles, strict=True))
    ]
    table = project.folder / "adni.tsv"
    table.write_text("subject\timage\tdseg\tlabel_source\trole\trating\n" + "".join(rows))
    given = ("--config", "cohort={scans: {path: adni.tsv}}")
    printed = project.snakemake("--dry-run", "--quiet", "rules", "--configfile", "config/adni.yaml", *given)
    assert re.search(r"^prepare_scans +30$", printed, re.MULTILINE)
    assert re.search(r"^find_real_artefacts +1$", printed, re.MULTILINE)

    read = [yaml.safe_load((project.folder / f"config/{name}.yaml").read_text()) for name in ("config", "adni")]
    settings = read[0]["cohort"]["scans"] | read[1]["cohort"]["scans"]
    found = sources.find_scans("table", str(table), [settings["pattern"], settings["real"]], None)
    hashes = dict.fromkeys(("sha256", "source_sha256"), found["scan"])
    looked = pd.DataFrame({"scan": found["scan"], "status": "ok", **hashes})
    admission = {key: settings[key] for key in ("pattern", "good", "real", "strict", "min_subjects")}
    admitted = splits.admit(found, looked, **admission)
    dealt = splits.split(admitted, settings["roles"], settings["splits"], 0)
    used = splits.chosen(admitted, dealt)
    assert used["role"].value_counts().to_dict() == sizes
    assert (used["rating"] != "").eq(used["role"] == "real").all()


def command(page, word):
    """Return what a page's one command of Snakemake with a word in it is given, from ``--configfile`` on."""
    found = re.findall(r"\.venv/bin/snakemake ([^`\n]*)", (ROOT / page).read_text())
    (given,) = {given[given.index("--configfile") :] for given in found if word in given}
    return shlex.split(given)[1:]


def test_the_release_trains_seven_networks_for_a_model_folder_and_draws_nothing(bare_project):
    planned = bare_project.planned(*command("config/README.md", "config/release.yaml"))
    trained = {rule: len(made) for rule, made in planned.items() if rule.startswith("train_")}
    assert trained == {"train_task": 1, "train_teacher": 5, "train_student": 1}
    assert planned["reference"] == {"model"}
    assert not [rule for rule in planned if rule.startswith(("figure", "table", "report"))]


def test_a_cohort_of_ones_own_is_planned_by_the_readmes_command(bare_project, tmp_path):
    bids = tmp_path / "bids"
    for number in range(10):
        file = bids / f"sub-{number:02d}" / "anat" / f"sub-{number:02d}_T1w.nii.gz"
        file.parent.mkdir(parents=True)
        file.touch()
    given = [word.replace("FOLDER", str(bids)) for word in command("README.md", "path: FOLDER")]
    planned = bare_project.planned(*given)
    assert planned["audit_scans"] >= {"cohort/audit.tsv", "cohort/audit.html"}
    assert "prepare_scans" in planned and "make_subjects" not in planned
    assert "figure_9" in planned


def test_the_readmes_artefact_gets_a_teacher_test_scans_and_a_sweep(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    text = (ROOT / "README.md").read_text()
    assert "`src/decoupled_qc/artefacts/<name>.py`" in text
    for name, block in (
        ("src/decoupled_qc/artefacts/shading.py", r'```python\n("""Shading.*?)```'),
        ("config/mine.yaml", r"```yaml\n# config/mine.yaml\n(.*?)```"),
    ):
        (written,) = re.findall(block, text, re.DOTALL)
        (project.folder / name).write_text(written)
    planned = project.planned(*command("README.md", "config/mine.yaml"))
    assert len(planned["train_teacher"]) == 6 and "models/teacher-shading/rep-0" in planned["train_teacher"]
    assert "conditions/sim-shading" in planned["simulate"] and "conditions/sweep-shading" in planned["sweep"]
