"""What a result was made from: a fingerprint of the code behind a job, and the versions in use."""

import ast
import hashlib
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

PACKAGE = "decoupled_qc"
PACKAGE_ROOT = Path(__file__).parent


def fingerprint(*sources: Path, package_root: Path = PACKAGE_ROOT) -> str:
    """Return a short hash of what the sources do: their code and that of every package module they import.

    The hash is taken over the unparsed syntax tree without docstrings, so comments, docstrings and layout do not
    count; imports are followed transitively. Modules loaded by name at run time are not seen: fingerprint them
    as sources of their own.

    Args:
        sources: Python files.
        package_root: Folder of the ``decoupled_qc`` package, for tests on a copy.

    Returns:
        16 hexadecimal digits.
    """
    root = package_root.resolve()
    digest = hashlib.blake2b(digest_size=8)
    for name, path in sorted(_reachable(sources, root).items()):
        digest.update(f"{name}\n{_read(path.read_text(), path, root).behaviour}\n".encode())
    return digest.hexdigest()


def reaches(source: Path, module: Path, package_root: Path = PACKAGE_ROOT) -> bool:
    """Return whether a file imports a module of the package, itself or through others.

    Args:
        source: Python file.
        module: A file of the package.
        package_root: As for :func:`fingerprint`.
    """
    return Path(module).resolve() in _reachable([source], package_root.resolve()).values()


def constants(source: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the code of what a file assigns to some names at its top level; names that it does not assign are left out.

    Args:
        source: Python file.
        names: Which.
    """
    found = {}
    for node in ast.parse(source.read_text(), str(source)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
            found[node.targets[0].id] = ast.unparse(node.value)
    return found


def _reachable(sources: Iterable[Path], root: Path) -> dict[str, Path]:
    """Return the sources and all package modules they import, by a name that does not hold the checkout's path."""
    waiting = [Path(source).resolve() for source in sources]
    found: dict[str, Path] = {}
    while waiting:
        path = waiting.pop()
        name = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        if name not in found:
            found[name] = path
            waiting.extend(_imports(path, root))
    return found


def _imports(path: Path, root: Path) -> list[Path]:
    """Return the package files that one file imports, the ``__init__`` of each package on the way included."""
    files = []
    for name in _read(path.read_text(), path, root).imported:
        top, *parts = name.split(".")
        if top != PACKAGE:
            continue
        candidates = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(len(parts) + 1)]
        if parts:
            candidates.append(root.joinpath(*parts[:-1], parts[-1] + ".py"))
        files += [candidate for candidate in candidates if candidate.is_file()]
    return files


class _Code(NamedTuple):
    """What a file imports, dotted names that may be modules, and its code without comments, layout and docstrings."""

    imported: list[str]
    behaviour: str


@cache  # a workflow takes a fingerprint per rule, and most of them reach the same files
def _read(code: str, path: Path, root: Path) -> _Code:
    """Return what the code of a file imports and does; relative imports are resolved by its path below the package's root."""
    tree = ast.parse(code, str(path))
    imported = []
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                imported += [alias.name for alias in node.names]
            case ast.ImportFrom():
                base = node.module or ""
                if node.level:
                    parents = [PACKAGE, *path.relative_to(root).parts[:-1]]
                    base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
                imported += [base, *(f"{base}.{alias.name}" for alias in node.names)]
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
                    node.body = node.body[1:] or [ast.Pass()]
    return _Code(imported, ast.unparse(tree))


def versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that shape a result, and of this checkout (its git commit)."""
    packages = (PACKAGE.replace("_", "-"), "torch", "monai", "torchio", "antspyx", "numpy", "scipy", "nibabel")
    return {
        "python": platform.python_version(),
        **{package: version_of(package) for package in packages},
        "commit": _commit(),
    }


def version_of(package: str) -> str:
    """Return the version of an installed package, "unknown" where its metadata are missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _commit() -> str:
    """Return the git commit of the checkout that the package lies in, and whether files were edited; "unknown" outside one."""
    commit = _git("rev-parse", "HEAD")
    # Results are no code: a run writes its own anew.
    edited = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)results")
    return (commit + (" with uncommitted changes" if edited else "")) if commit else "unknown"


def _git(*arguments: str) -> str:
    """Return what git says of the checkout that the package lies in; nothing where it fails, as outside one."""
    call = ["git", "-C", str(PACKAGE_ROOT), *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False).stdout.strip()
