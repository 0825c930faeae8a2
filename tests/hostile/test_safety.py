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


PICKLES = r"_?c?[pP]ickle|pickle5|cloudpickle|jsonpickle|dill|joblib|shelve|marshal"  # modules that run what they read
UNSAFE = re.compile(
    rf"(builtins\.)?(eval|exec|__import__)|({PICKLES})(\..+)?|runpy\..+|os\.(system|popen)|subprocess\.get\w*output"
    r"|yaml\.(unsafe_load|full_load)(_all)?|yaml\.C?(Unsafe|Full)?Loader|(.+\.)?(read_pickle|extractall|Unpickler)"
)
LOADERS = {  # what each may be called with; called by no other name, and never handed on
    "torch.load": lambda given, options: options.get("weights_only") == "True",
    "numpy.load": lambda given, options: len(given) < 3 and options.get("allow_pickle", "False") == "False",
    "yaml.load": lambda given, options: [*given[1:], options.get("Loader")][0] == "_UniqueKeys",
    "yaml.load_all": lambda given, options: False,
}


def meanings(tree):
    """Return what each imported name stands for, such as ``np`` for ``numpy`` and ``loads`` for ``pickle.loads``."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                known[one.asname or one.name.partition(".")[0]] = one.name if one.asname else one.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                known[one.asname or one.name] = f"{node.module}.{one.name}"
    return known


def unsafe(source):
    """Return what in a module's source could run what it reads."""
    tree = ast.parse(source)
    known = meanings(tree)

    def named(node):
        first, dot, rest = ast.unparse(node).partition(".")
        return f"{known.get(first, first)}{dot}{rest}"

    modules = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    found = [name for name in modules | set(known.values()) if UNSAFE.fullmatch(name)]
    called = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, given = named(call.func), [ast.unparse(one) for one in call.args]
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        called.add(call.func)
        hidden = None in options or any(one.startswith("*") for one in given)
        if name in LOADERS and (hidden or not LOADERS[name](given, options)):
            found.append(ast.unparse(call))
        if {options.get("shell", "False"), options.get("allow_pickle", "False")} != {"False"}:
            found.append(ast.unparse(call))
        if name.endswith("import_module") and re.match(rf"['\"]({PICKLES})\b", "".join(given[:1])):
            found.append(ast.unparse(call))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = named(node)
            if UNSAFE.fullmatch(name) or (name in LOADERS and node not in called):
                found.append(name)
    return found


def test_nothing_is_unpickled_evaluated_or_loaded_as_unsafe_yaml():
    for path in sources():
        assert not unsafe(path.read_text()), path
    for path in [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]:  # no Python alone, and so not parsed
        assert not re.search(rf"\b({PICKLES})\b|\b(eval|exec|extractall)\(|os\.system", path.read_text()), path


TRICKS = [
    "import pickle",
    "import pickle as p",
    "from pickle import loads",
    "from pickle import loads as harmless",
    "def read(file):\n    from marshal import load\n    return load(file)",
    "import numpy, joblib.numpy_pickle",
    "import importlib\nimportlib.import_module('dill')",
    "from importlib import import_module as take\ntake('shelve')",
    "from os import system as tell\ntell('ls')",
    "import subprocess as s\ns.run('ls', shell=yes)",
    "list(map(eval, lines))",
    "import builtins as b\nb.exec(text)",
    "import torch as t\nt.load(path)",
    "import torch\ntorch.load(path, weights_only=False)",
    "import torch\ntorch.load(path, **options)",
    "import torch\ntorch.load(*given, weights_only=True)",
    "import torch\nlist(map(torch.load, paths))",
    "from torch import load\nload(path)",
    "import numpy as np\nnp.load(path, allow_pickle=True)",
    "import numpy as np\nnp.load(path, None, True)",
    "import numpy as np\nnp.load(path, allow_pickle=maybe)",
    "from numpy import load as read\nread(path, allow_pickle=1)",
    "import pandas as pd\npd.read_pickle(path)",
    "from pandas import read_pickle",
    "import yaml\nyaml.load(text, yaml.Loader)",
    "import yaml\nyaml.load(text, Loader=yaml.UnsafeLoader)",
    "import yaml\nyaml.load(text)",
    "from yaml import unsafe_load as safe_load\nsafe_load(text)",
    "import tarfile\ntarfile.open(path).extractall()",
]
HARMLESS = [
    "network.eval()",
    "import re\nre.compile('x')",
    "import torch\ntorch.load(file, map_location='cpu', weights_only=True)",
    "import numpy as np\nnp.load(path)\nnp.load(path, allow_pickle=False)",
    "import yaml\nyaml.load(text, _UniqueKeys)\nyaml.safe_load(text)",
    "import json\njson.load(file)",
]


@pytest.mark.parametrize("source", TRICKS)
def test_no_other_name_hides_what_runs_what_it_reads(source):
    assert unsafe(source)


@pytest.mark.parametrize("source", HARMLESS)
def test_what_runs_nothing_is_not_taken_for_it(source):
    assert not unsafe(source)


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
