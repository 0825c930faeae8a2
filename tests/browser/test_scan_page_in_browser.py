import io

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser


def open_scan(page, path):
    page.goto(path.as_uri())
    page.wait_for_selector("#viewer[data-ready=true]")
    page.wait_for_timeout(300)
    return page


def pixels(page):
    """Return what the viewer shows, (height, width, 3)."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    picture = page.locator("#canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def colourfulness(picture):
    """Return the share of pixels that are no grey."""
    return ((picture.max(axis=2) - picture.min(axis=2)) > 30).mean()


def changed(before, after):
    return (np.abs(before - after).max(axis=2) > 12).mean()


@pytest.mark.parametrize("scan", ["good/good", "sub-01/anat/unsure", "bad/bad"])
def test_the_viewer_draws(page, folder, scan):
    picture = pixels(open_scan(page, folder / f"{scan}.html"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500  # neither blank nor one colour
    thirds = np.array_split(picture, 3, axis=1)
    assert all((third.max(axis=2) > 60).mean() > 0.1 for third in thirds)  # three planes
    assert not page.locator("#still-note").count()


def test_a_slider_moves_its_plane(page, folder):
    open_scan(page, folder / "good/good.html")
    page.check("input[name=map][value='-1']")
    before, where = pixels(page), page.inner_text("#where-2")
    slider = page.locator(".plane[data-axis='2']")
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    after = pixels(page)
    assert changed(before, after) > 0.01
    assert float(page.inner_text("#where-2").split()[0].replace("−", "-")) == pytest.approx(
        float(where.split()[0].replace("−", "-")) + 6 * 4, abs=1
    )


def test_maps_outline_and_opacity_change_the_picture(page, folder):
    open_scan(page, folder / "bad/bad.html")
    assert page.locator("input[name=map]:checked").evaluate("e => e.parentElement.innerText.trim()") == "noise"
    noise = pixels(page)
    page.check("input[name=map][value='-1']")
    none = pixels(page)
    assert colourfulness(none) < colourfulness(noise) / 2
    page.uncheck("#outline")
    bare = pixels(page)
    assert changed(none, bare) > 0.001 and colourfulness(bare) < colourfulness(none)
    page.check("input[name=map][value='0']")
    total = pixels(page)
    page.locator("#opacity").fill("10")
    assert colourfulness(pixels(page)) < colourfulness(total)


def test_the_planes_go_to_the_highest_place_of_a_map(page, folder):
    open_scan(page, folder / "bad/bad.html")
    page.click("#peak")
    wanted = page.evaluate("() => JSON.parse(document.getElementById('data').textContent).maps[2].peak_mm")
    shown = [float(page.inner_text(f"#where-{axis}").split()[0].replace("−", "-")) for axis in range(3)]
    assert shown == pytest.approx(wanted, abs=2.1)  # within half a voxel of 4 mm


def test_wheel_over_a_plane_scrolls_through_it(page, folder):
    open_scan(page, folder / "good/good.html")
    before = [page.inner_text(f"#where-{axis}") for axis in range(3)]
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 6, box["y"] + box["height"] / 2)
    for _ in range(4):
        page.mouse.wheel(0, 120)
    page.wait_for_timeout(500)
    assert [page.inner_text(f"#where-{axis}") for axis in range(3)] != before


def test_a_page_sent_without_its_viewer_shows_still_pictures(page, folder, tmp_path):
    alone = tmp_path / "alone.html"
    alone.write_bytes((folder / "good/good.html").read_bytes())
    page.goto(alone.as_uri())
    assert page.locator("#still img").first.evaluate("e => e.checkVisibility() && e.naturalWidth") > 400
    assert "The 3D viewer could not start here" in page.inner_text("#still-note")
    assert not page.locator("#viewer").is_visible()
    assert [problem for problem in page.problems if "ERR_FILE_NOT_FOUND" not in problem] == []
    page.problems.clear()


def test_a_browser_without_webgl_shows_still_pictures(page, folder):
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    page.goto((folder / "good/good.html").as_uri())
    assert page.locator("#still img").first.is_visible() and page.locator("#still-note").is_visible()
    assert not page.locator("#viewer").is_visible()
