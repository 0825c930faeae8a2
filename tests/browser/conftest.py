"""The pages in headless Chromium, opened from disk: ``make test-browser``; skipped with a reason where that cannot be."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import fake_predictions as fake

from decoupled_qc.report import viewer
from decoupled_qc.report.group_page import write_group_page
from decoupled_qc.report.scan_page import write_scan_page
from decoupled_qc.report.volumes import read_volume

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# WebGL by the processor: no graphics card is needed
OPTIONS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
PATIENCE_MS = 180_000
NASTY = "<img src=x onerror=alert(1)> \"'&"


def missing():
    """Return why the tests cannot run, or None."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: make test-browser"
    if CHROMIUM is None:
        return "Chromium is not installed: apt-get install chromium"
    if not viewer.SCRIPT.is_file():
        return "the viewer is not there: python -m decoupled_qc.report.viewer"
    return None


@pytest.fixture(scope="session")
def browser():
    if reason := missing():
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A fresh tab; the test fails if the page wrote an error to the console or opened a dialog."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(PATIENCE_MS)
    tab = context.new_page()
    tab.problems = []
    tab.on("console", lambda message: message.type in ("error", "warning") and tab.problems.append(message.text))
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("dialog", lambda dialog: (tab.problems.append(dialog.message), dialog.dismiss()))
    tab.on(
        "request",
        lambda request: request.url.startswith(("file:", "data:", "blob:")) or tab.problems.append(request.url),
    )
    yield tab
    context.close()
    assert tab.problems == []


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Predictions of three scans and two that could not be read, with their pages."""
    out = tmp_path_factory.mktemp("pages") / "out & 'more' #1"
    image = fake.write_head(out.parent / "head.nii.gz")
    rows = [
        fake.row("good", "pass"),
        fake.row("unsure", "review", folder="sub-01/anat", cause="motion"),
        fake.row("bad", "fail", cause="noise", unlike_training=True, unlike_reason="Voxels of 6 mm."),
    ]
    for row in rows:
        maps = fake.write_maps(out, row, image)
        write_scan_page(out, row, read_volume(image), maps, fake.reference())
    fake.write_table(out, [*rows, fake.error_row(NASTY, f"{NASTY} is cut off."), fake.error_row("ct", "It is a CT.")])
    write_group_page(out)
    return out


@pytest.fixture(scope="session")
def large_folder(tmp_path_factory):
    """Predictions of 2,000 scans with thumbnails, no pages of their own."""
    out = tmp_path_factory.mktemp("large")
    decisions = ("pass",) * 7 + ("review", "review", "fail")
    rows = [fake.row(f"sub-{n:04d}", decisions[n % 10], folder="maps") for n in range(2000)]
    image = fake.write_head(out / "head.nii.gz")
    maps = fake.write_maps(out, rows[0], image)
    write_scan_page(out, rows[0], read_volume(image), maps, fake.reference())
    for row in rows[1:]:
        shutil.copy(out / "maps/sub-0000_thumbnail.png", out / f"maps/{row['scan']}_thumbnail.png")
    fake.write_table(out, rows)
    write_group_page(out)
    return out
