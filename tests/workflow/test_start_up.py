"""Torch takes seconds to load: whoever does not compute with it does not wait for it."""

import ast
import os
import subprocess
import sys

LOADED = "import sys; print('torch' in sys.modules)"
OF_TABLES = (
    "correlate",
    "decoupling",
    "figure_[0-9]*",
    "figure_training",
    "gather_scores",
    "leaderboard",
    "score",
    "table_*",
    "report",
)
PLAN = (
    "from snakemake.cli import main\ntry:\n    main({arguments})\nexcept SystemExit as end:\n    assert not end.code\n"
)


def last_line(project, code):
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, cwd=project.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_cluster_job_starts_without_torch_and_the_submitting_process_tries_the_artefacts_with_it(bare_project):
    job = ["--mode", "remote", "--target-jobs", "table_2:", "--allowed-rules", "table_2"]
    for arguments, loaded in ((job, "False"), ([], "True")):
        plan = PLAN.format(arguments=["-n", "--cores", "1", "--configfile", "config/smoke.yaml", *arguments])
        assert last_line(bare_project, f"{plan}{LOADED}") == loaded


def test_jobs_that_read_tables_alone_never_load_torch(bare_project):
    scripts = bare_project.folder / "workflow/scripts"
    files = sorted({file for pattern in OF_TABLES for file in scripts.glob(f"{pattern}.py")})
    assert len(files) > 20
    lines = {
        ast.unparse(node)
        for file in files
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert last_line(bare_project, "\n".join([*sorted(lines), LOADED])) == "False"
