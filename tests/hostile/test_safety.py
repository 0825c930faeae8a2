"""What comes from strangers is never run, never followed out of its folder, and never shown as markup."""

import argparse
import ast
import importlib
import io
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from tally import case, left_in, refused

import decoupled_qc
from decoupled_qc import cli
from decoupled_qc.cohort import fetch
from decoupled_qc.errors import InputError, sentence
from decoupled_qc.files import sha256_of

PACKAGE = Path(decoupled_qc.__file__).parent
ROOT = PACKAGE.parents[1]
OUTSIDE = ["../evil", "../../evil", "/tmp/evil-{}", "a/../../evil", "..\\evil", "C:\\evil"]
SCRIPT = "<script>alert(1)</script>"


def sources() -> list[Path]:
    return [*PACKAGE.rglob("*.py"), *(ROOT / "workflow").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def test_nothing_is_unpickled_evaluated_or_loaded_as_unsafe_yaml():
    forbidden = re.compile(
        r"^(eval|exec|pickle\.\w+|marshal\.loads?|yaml\.(unsafe_load|full_load)|joblib\.load|os\.system)$"
    )
    loads = 0
    for path in sources():
        for call in calls(path):
            name = ast.unparse(call.func)
            options = {option.arg: ast.unparse(option.value) for option in call.keywords}
            unsafe = name == "yaml.load" and not ast.unparse(call.args[1]).endswith("_UniqueKeys")
            assert not unsafe and not forbidden.match(name), f"{path}: {name}"
            assert options.get("shell") != "True", f"{path}: a shell"
            assert options.get("allow_pickle") != "True", f"{path}: a pickle"
            if name == "torch.load":
                loads += 1
                assert options.get("weights_only") == "True", path
            if name in ("pd.read_pickle", "extractall") or name.endswith(".extractall"):
                raise AssertionError(f"{path}: {name}")
    assert loads  # the check sees the package's own


LINKS = [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.SYMTYPE, "../secret"), (tarfile.LNKTYPE, "../secret")]


def tar(path, names, top="toy-1.0/"):
    """Write files of hostile names, and links out of the folder where the file that is needed should be."""
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"evil"))
        for kind, target in LINKS:
            link = tarfile.TarInfo(f"{top}scan")
            link.type, link.linkname = kind, target
            archive.addfile(link)


def debian(path, names):
    """Write a Debian package by hand, since dpkg-deb would only pack what lies in a folder: an ar archive of two tars."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb, which comes with Debian and its kin")
    tar(path, names, top="./")
    files, content = (
        path.read_bytes(),
        b"Package: toy\nVersion: 1.0\nArchitecture: all\nMaintainer: a\nDescription: a\n",
    )
    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w:gz") as archive:
        entry = tarfile.TarInfo("./control")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    parts = {"debian-binary": b"2.0\n", "control.tar.gz": control.getvalue(), "data.tar.gz": files}
    headers = {name: f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}`\n" for name, part in parts.items()}
    padded = [headers[name].encode() + part + b"\n" * (len(part) % 2) for name, part in parts.items()]
    path.write_bytes(b"!<arch>\n" + b"".join(padded))


def wheel(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"evil")


PACKS = {"toy-1.0.tar.gz": tar, "toy-1.0.tgz": tar, "toy-1.0-py3-none-any.whl": wheel, "toy.deb": debian}


@pytest.mark.parametrize(("name", "pack"), PACKS.items(), ids=PACKS)
@pytest.mark.parametrize("evil", OUTSIDE)
def test_no_path_of_an_archive_leads_out_of_its_folder(tmp_path, monkeypatch, name, pack, evil):
    downloads, folder = tmp_path / "downloads", tmp_path / "in" / "head"
    downloads.mkdir()
    folder.mkdir(parents=True)
    evil = evil.format(tmp_path.name)
    pack(downloads / name, [evil, f"toy-1.0/{evil}"])
    head = fetch.Head(name, "toy==1.0", {"scan": "T1w.nii.gz"}, sha256_of(downloads / name))
    monkeypatch.setitem(fetch.HEADS, "toy", head)
    with case("archives"):
        with pytest.raises(InputError, match="lacks the file"):
            fetch.fetch_head("toy", downloads, folder, optional=False)
        assert left_in(tmp_path) == sorted(["downloads", "head", "in", name])
        assert not Path(f"/tmp/evil-{tmp_path.name}").exists()


@pytest.mark.parametrize(("name", "pack"), PACKS.items(), ids=PACKS)
def test_the_file_that_is_needed_is_found_among_hostile_ones(tmp_path, monkeypatch, name, pack):
    """So that the test above refuses for the names and links alone, and not since the archive cannot be read."""
    downloads, folder = tmp_path / "downloads", tmp_path / "in" / "head"
    downloads.mkdir()
    folder.mkdir(parents=True)
    needed = "toy-1.0/scan" if pack is tar else "scan"
    pack(downloads / name, [*(evil.format(tmp_path.name) for evil in OUTSIDE), needed])
    head = fetch.Head(name, "toy==1.0", {"scan": "T1w.nii.gz"}, sha256_of(downloads / name))
    monkeypatch.setitem(fetch.HEADS, "toy", head)
    with case("archives"):
        fetch.fetch_head("toy", downloads, folder, optional=False)
        assert left_in(folder) == ["T1w.nii.gz"] and not (folder / "T1w.nii.gz").is_symlink()
        assert (folder / "T1w.nii.gz").read_bytes() == b"evil"


def test_a_name_is_text_on_the_audits_page(tmp_path):
    values = np.random.default_rng(0).uniform(0, 100, (8, 9, 10)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "scan.nii.gz")
    picture = "<img src=x onerror=alert(1)>"  # a name may hold anything but a slash
    names = [f'x"{picture}', f"'onload=alert(1) {picture}", "&lt;"]
    table = pd.DataFrame({"subject": names, "scan": names, "image": ["scan.nii.gz", "scan.nii.gz", f"{SCRIPT}.nii"]})
    table.to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
    with case("pages"):
        assert not refused("audit", tmp_path / "scans.tsv", "--out", tmp_path / "audit")
        page = (tmp_path / "audit" / "audit.html").read_text()
        assert "<script" not in page and "&lt;script&gt;" in page
        assert "&lt;img src=x" in page
        for tag in re.findall(r"<img[^>]*>", page):
            assert re.fullmatch(r'<img alt="[^"]*" src="data:image/png;base64,[A-Za-z0-9+/=]*">', tag), tag


def test_every_page_is_made_with_escaping():
    seen = 0
    for path in sources():
        for call in calls(path):
            if ast.unparse(call.func).endswith("Environment") and path.name != "model_card.py":  # it writes Markdown
                options = {option.arg: ast.unparse(option.value) for option in call.keywords}
                assert options.get("autoescape") == "True", path
                seen += 1
    assert seen == 1  # for the pages of all packages
    for template in PACKAGE.rglob("*.html"):
        assert "| safe" not in template.read_text() and "|safe" not in template.read_text(), template


def needed(module) -> list[str]:
    """Return what a command cannot do without: a name for each argument."""
    parser, given = argparse.ArgumentParser(), []
    module.add_arguments(parser)
    for action in parser._actions:
        if action.required:
            given += [*action.option_strings[:1], "a"]
    return given


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_hides_the_traceback_but_for_debug(name, monkeypatch, capsys):
    module = importlib.import_module(cli.COMMANDS[name])

    def broken(_arguments):
        raise ZeroDivisionError("a fault\nof two lines")

    monkeypatch.setattr(module, "run", broken)
    call = [name, *needed(module)]
    with case("commands"):
        assert cli.main(call) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "ZeroDivisionError: a fault of two lines" in told and "--debug" in told
        with pytest.raises(ZeroDivisionError):
            cli.main([*call, "--debug"])


def test_errors_of_the_machine_say_what_to_do():
    for error, words in {
        OSError(
            28, "No space left on device", "/data/x.nii"
        ): "/data/x.nii cannot be written, the disk or your quota is full: free",
        OSError(
            30, "Read-only file system", "/data"
        ): "/data cannot be read or written (Read-only file system): correct",
        MemoryError(): "memory is not enough",
    }.items():
        with case("errors of the machine"):
            assert words in sentence(error)
