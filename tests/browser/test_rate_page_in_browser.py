"""The rating page as a rater uses it: keys, a tab that is closed half way, and the table that is saved."""

import pandas as pd
import pytest
from rated_run import SCANS, make_rated_run, shown_order

from decoupled_qc import cli
from decoupled_qc.rating.judgements import read_ratings

pytestmark = pytest.mark.browser


def saved_table(tab, folder):
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save the table").click()
    download.value.save_as(folder / download.value.suggested_filename)
    path = folder / "ratings-anna.tsv"
    table = pd.read_csv(path, sep="\t").set_index("scan")
    read = read_ratings(path, pd.Series(SCANS))  # as scoring does
    assert read.dropna().to_dict() == table["rating"].to_dict()
    return table


def test_keys_rate_and_the_page_keeps_them_when_it_is_closed(page, tmp_path):
    run = make_rated_run(tmp_path / "run")
    assert cli.main(["rate", str(run), "--rater", "anna"]) == 0
    file = run / "rate-anna.html"
    first, second, third, *_ = shown_order(file.read_text())
    page.goto(file.as_uri())
    for key in ("3", "1", "7"):  # 7 is no rating
        page.keyboard.press(key)
    assert saved_table(page, tmp_path)["rating"].to_dict() == {first: 3, second: 1}
    again = page.context.new_page()
    page.close()
    again.goto(file.as_uri())
    assert again.locator("#place").inner_text().startswith(f"3 of {len(SCANS)}, 2 rated")
    for key in ("4", "ArrowLeft", "2"):  # begins at the first that is not rated, and goes back to it
        again.keyboard.press(key)
    table = saved_table(again, tmp_path)
    assert table["rating"].to_dict() == {first: 3, second: 1, third: 2} and set(table["rater"]) == {"anna"}


def test_all_rated_asks_to_save(page, tmp_path):
    run = make_rated_run(tmp_path / "run")
    assert cli.main(["rate", str(run), "--rater", "anna"]) == 0
    page.goto((run / "rate-anna.html").as_uri())
    for _ in SCANS:
        page.get_by_role("button", name="2").click()
    assert "All are rated" in page.locator("#place").inner_text()
    assert saved_table(page, tmp_path)["rating"].to_dict() == dict.fromkeys(SCANS, 2)
