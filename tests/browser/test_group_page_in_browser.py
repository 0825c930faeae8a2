import pytest

pytestmark = pytest.mark.browser


def open_group(page, out):
    page.goto((out / "index.html").as_uri())
    page.wait_for_selector("body[data-ready=true]", state="attached")


def visible_names(page):
    return page.eval_on_selector_all("tbody th", "cells => cells.map((cell) => cell.innerText)")


def point(page, plot=0, kind="fail"):
    box = page.locator(".plot svg").nth(plot).locator(f".point.{kind}").first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_hovering_a_point_shows_its_scan_everywhere(page, folder):
    open_group(page, folder)
    page.mouse.move(*point(page))
    assert "bad" in page.inner_text("#card") and "noise" in page.inner_text("#card")
    assert page.inner_text("tr.here th") == "bad"
    assert page.inner_text(".tile a.here").startswith("bad")
    assert page.locator(".plot circle.ring:not(.hidden)").count() == 2


@pytest.mark.parametrize("plot", [0, 1])
def test_a_click_on_a_point_opens_its_scan(page, folder, plot):
    open_group(page, folder)
    page.mouse.click(*point(page, plot, "review"))
    page.wait_for_url("**/unsure.html")
    assert page.inner_text("h1") == "unsure"
    page.wait_for_selector("#viewer[data-ready=true]")
    page.click("nav a")
    page.wait_for_url("**/index.html")


def test_keyboard_alone_chooses_and_opens(page, folder):
    open_group(page, folder)
    page.locator(".plot svg").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")  # three points, the last is the most uncertain
    page.keyboard.press("Enter")
    page.wait_for_url("**/bad.html")


def test_outliers_first_then_as_the_reader_wants(page, folder):
    open_group(page, folder)
    assert visible_names(page)[-3:] == ["bad", "unsure", "good"]
    page.get_by_role("button", name="predicted Dice").click()
    assert visible_names(page)[:3] == ["bad", "unsure", "good"]
    page.get_by_role("button", name="predicted Dice").click()
    assert visible_names(page)[:3] == ["good", "unsure", "bad"]
    assert page.locator("th[aria-sort=descending]").inner_text() == "predicted Dice"
    assert page.eval_on_selector_all(".tile span:first-of-type", "e => e.map((x) => x.innerText)")[0] == "good"
    page.select_option("#order", "name")
    assert visible_names(page)[1:] == ["bad", "ct", "good", "unsure"]


def test_search_and_decisions_hide_the_rest_everywhere(page, folder):
    open_group(page, folder)
    page.fill("#search", "MOTION")
    assert visible_names(page) == ["unsure"]
    assert page.locator(".point:not(.off)").count() == 2 and page.locator(".tile").count() == 1
    assert page.inner_text("#shown") == "1 of 5 shown"
    page.fill("#search", "")
    page.click("button[data-decision=fail]")
    page.click("button[data-decision=error]")
    assert sorted(visible_names(page))[1:] == ["bad", "ct"]


def test_a_scan_that_could_not_be_read_says_why_and_its_name_is_only_text(page, folder):
    open_group(page, folder)
    assert page.inner_text("tbody tr >> nth=0").startswith("<img src=x onerror=alert(1)> \"'&")
    assert not page.locator("tbody tr img").count()
    assert "It is a CT." in page.inner_text("tbody")


def processor_seconds(session):
    """Return the time that the page's main thread has used; other load on the machine does not count."""
    found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return found["ThreadTime"]


def test_two_thousand_scans_open_and_answer_quickly(page, large_folder):
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    open_group(page, large_folder)
    assert page.locator("tbody tr").count() == 2000 and page.locator(".tile").count() == 2000
    opened = processor_seconds(session)
    page.fill("#search", "fail")
    page.locator(".table thead button").first.click()
    assert page.inner_text("#shown") == "200 of 2000 shown"
    answered = processor_seconds(session) - opened
    size = (large_folder / "index.html").stat().st_size
    print(f"2,000 scans: {size / 1e6:.2f} MB; processor s to open {opened:.2f}, to search and sort {answered:.2f}")
    assert opened < 5 and answered < 3
