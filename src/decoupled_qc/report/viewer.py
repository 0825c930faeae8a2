"""The 3D viewer of the scan pages, NiiVue: fetched once at set-up, then a file of this package.

``python -m decoupled_qc.report.viewer`` fetches it. It is not kept in the repository: 2.3 MB of minified code that nobody
can review, in a package whose archive holds no licence text. Pages without it show still pictures.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from decoupled_qc.cohort.fetch import Head, fetch_files
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole

VERSION = "0.69.0"
SCRIPT = Path(__file__).with_name("niivue.umd.js")
ARCHIVE = Head(
    archive=f"niivue-niivue-{VERSION}.tgz",
    package=f"@niivue/niivue@{VERSION}",
    sha256="6e9a6a471b428eb3b258a0086beca9187d95e43a781a39e8a519c6da246af485",
    members={"dist/niivue.umd.js": SCRIPT.name},
)


def fetch_viewer(script: Path = SCRIPT) -> None:
    """Write the viewer's script, by the user's own npm.

    Raises:
        InputError: npm is missing, does not answer, or gives another file than the known one.
    """
    with tempfile.TemporaryDirectory() as name, write_whole(script) as partial:
        folder = Path(name)
        fetch_files(ARCHIVE, folder / "downloads", folder)
        shutil.copyfile(folder / ARCHIVE.members["dist/niivue.umd.js"], partial)


def put_viewer(out: Path) -> str | None:
    """Copy the viewer's script once into a folder of pages.

    Args:
        out: Folder of the pages.

    Returns:
        Its place relative to the folder, or None where the package has no viewer.
    """
    place = f"assets/niivue-{VERSION}.js"
    target = out / place
    if not SCRIPT.is_file():
        return place if target.is_file() else None
    if not target.is_file():
        with write_whole(target) as partial:
            shutil.copyfile(SCRIPT, partial)
    return place


if __name__ == "__main__":
    try:
        fetch_viewer()
    except InputError as error:
        sys.exit(f"No 3D viewer in the scan pages, which show still pictures instead: {error}")
