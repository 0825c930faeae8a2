"""The profile for SLURM is one short file, and sends every rule that asks for a GPU where there are GPUs."""

import re

import yaml

RULE = re.compile(
    r"^(?:use rule (?P<base>\w+) as|rule) (?P<name>\w+)(?: with)?:\n(?P<body>(?:(?: .*)?\n)*)", re.MULTILINE
)


def rules_with_gpus(folder):
    """Return the names of the rules that ask for a GPU, those that take over from such a rule too."""
    found = set()
    for file in sorted(folder.glob("*.smk")):
        for rule in RULE.finditer(file.read_text()):
            if re.search(r"\bgpu=", rule["body"]) or rule["base"] in found:
                found.add(rule["name"])
    return found


def test_every_rule_that_asks_for_a_gpu_goes_to_the_gpu_partition_and_no_other(bare_project):
    asking = rules_with_gpus(bare_project.folder / "workflow/rules")
    assert {"train_task", "train_variant", "predict_batch"} <= asking
    profile = yaml.safe_load((bare_project.folder / "slurm/config.yaml").read_text())
    sent = {name for name, resources in profile["set-resources"].items() if resources.get("slurm_partition") == "gpu"}
    assert sent == asking


def test_jobs_on_nodes_fetch_nothing(bare_project):
    workflow = bare_project.folder / "workflow"
    fetching = {
        script.name
        for script in (workflow / "scripts").glob("*.py")
        if re.search(r"decoupled_qc\.cohort(\.| import )(fetch|openneuro)\b", script.read_text())
    }
    rules = [rule for file in (workflow / "rules").glob("*.smk") for rule in RULE.finditer(file.read_text())]
    local = {rule["name"]: "localrule: True" in rule["body"] for rule in rules}
    ran_by = {rule["name"] for rule in rules if any(f"/{script}" in rule["body"] for script in fetching)}
    assert ran_by == {"fetch_head", "fetch_scans"} and all(local[name] for name in ran_by)


def test_every_attempt_may_take_more_memory(bare_project):
    profile = yaml.safe_load((bare_project.folder / "profiles/slurm/config.yaml").read_text())
    asked = [profile["default-resources"], *profile["set-resources"].values()]
    assert all("attempt" in resources["mem_mb"] for resources in asked if "mem_mb" in resources)


def test_a_site_edits_one_file_of_at_most_40_lines(bare_project):
    assert len((bare_project.folder / "profiles/slurm/config.yaml").read_text().splitlines()) <= 40
    assert [file.name for file in (bare_project.folder / "profiles/slurm").iterdir()] == ["config.yaml"]


def test_a_training_may_ask_for_several_gpus(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    project.edit("profiles/slurm/config.yaml", "train_student: {", "train_student: {gpu: 4, ")
    asked = ("--configfile", "config/smoke.yaml", "--config", "gpus_per_job=2")
    jobs = project.jobs("--profile", "slurm", "--executor", "local", *asked)
    asked_for = {job["rule"]: re.search(r"\bgpu=(\d+)", job.get("resources", "")) for job in jobs}
    found = {rule: gpus[1] for rule, gpus in asked_for.items() if gpus}
    trained = {"train_task": "2", "train_teacher": "2", "train_student": "4"}
    assert found == {**trained, "predict": "1", "score_baseline": "1"}
