import subprocess

import pytest

from decoupled_qc import provenance
from decoupled_qc.provenance import fingerprint, version_of

FILES = {
    "__init__.py": "",
    "direct.py": "from decoupled_qc import indirect\n\ndef use():\n    return indirect.value()\n",
    "indirect.py": '"""Doc."""\n\ndef value():\n    """Doc."""\n    return 1  # why\n',
    "unrelated.py": "X = 1\n",
    "sub/__init__.py": "from .leaf import LEAF\n",
    "sub/leaf.py": "LEAF = 1\n",
}


@pytest.fixture
def code(tmp_path):
    package = tmp_path / "decoupled_qc"
    for name, text in FILES.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    script = tmp_path / "job.py"
    script.write_text("from decoupled_qc.direct import use\nimport decoupled_qc.sub\n\nuse()\n")

    def hashed(**edits):
        for name, (old, new) in edits.items():
            path = package / (name.replace("__", "/") + ".py")
            path.write_text(path.read_text().replace(old, new))
        return fingerprint(script, package_root=package)

    return hashed


def test_comments_docstrings_and_layout_do_not_count(code):
    assert code() == code(indirect=('"""Doc."""', '"""Other words."""')) == code(indirect=("  # why", "\n\n"))


@pytest.mark.parametrize(
    "module, old, new", [("indirect", "return 1", "return 2"), ("sub__leaf", "LEAF = 1", "LEAF = 2")]
)
def test_behaviour_of_an_indirectly_imported_module_counts(code, module, old, new):
    assert code() != code(**{module: (old, new)})


def test_a_module_that_is_not_imported_does_not_count(code):
    assert code() == code(unrelated=("X = 1", "X = 2"))


def test_a_package_without_metadata_does_not_end_a_run():
    """A training writes the versions into its card when all is done."""
    assert version_of("nibabel")[0].isdigit()
    assert version_of("no-such-package") == "unknown"


def test_the_commit_says_when_code_was_edited_but_not_when_results_were(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        )

    monkeypatch.setattr(provenance, "PACKAGE_ROOT", tmp_path / "src")
    for name in ("src/code.py", "results/demo/table.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("1\n")
    assert provenance.versions()["commit"] == "unknown"
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").stdout.strip()
    (tmp_path / "results/demo/table.csv").write_text("2\n")
    (tmp_path / "src/new.py").write_text("1\n")
    assert provenance.versions()["commit"] == commit
    (tmp_path / "src/code.py").write_text("2\n")
    assert provenance.versions()["commit"] == f"{commit} with uncommitted changes"


def test_a_script_reaches_what_it_imports_itself_or_through_others(code, tmp_path):
    package = tmp_path / "decoupled_qc"
    reached = {name: provenance.reaches(tmp_path / "job.py", package / name, package) for name in FILES}
    assert reached == {name: name != "unrelated.py" for name in FILES}


def test_constants_are_the_code_of_what_a_file_assigns_at_its_top_level(tmp_path):
    (tmp_path / "one.py").write_text('TITLE = "A"  # why\nLIMIT = 2 * 3\n\ndef use():\n    TITLE = "B"\n')
    assert provenance.constants(tmp_path / "one.py", ("TITLE", "LIMIT", "ABSENT")) == {"TITLE": "'A'", "LIMIT": "2 * 3"}
