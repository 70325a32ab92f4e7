"""Pages beside pictures in a real browser: pointing at a mark, or tabbing to it, says which session it is; a click opens its report."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from iblnm_core.demo.simulated_tables import simulate_tables
from iblnm_core.figures.companion import marks_at
from iblnm_core.figures.drawing import draw_family
from iblnm_core.figures.family import Drawn, Family
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import RECORDINGS
from iblnm_core.storage.tables import make_table, write_table

EIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(3)]
WORDS = "getComputedStyle(document.activeElement, '::after').content"


def draw(_tables, _parameters, _theme):
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.scatter(range(3), range(3))
    marks = marks_at(axes, range(3), range(3), EIDS, [f"mouse {n}\nvalue {n}" for n in range(3)])
    yield Drawn("dots", figure, pd.DataFrame({"eid": EIDS}), "Three dots of three mice.", marks=marks)


@pytest.fixture
def opened(browser, tmp_path):
    """The page of a picture, opened from disk; the report of one of its sessions is there."""
    write_table(tmp_path, make_table(RECORDINGS, simulate_tables(2, 2, seed=1).recordings))
    files = draw_family(tmp_path, Family("dotted", "Dots.", "responses", {"recordings": None}, draw), Parameters())
    report = tmp_path / "reports" / "sessions" / f"{EIDS[1]}.html"
    report.parent.mkdir(parents=True)
    report.write_text("<!DOCTYPE html><title>the report</title>")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    heard = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    address = (files.folder / "dots.html").as_uri()
    page.goto(address)
    assert [text for text in heard if text != address and not text.startswith("data:image/")] == []
    yield page, report
    page.close()


def test_a_mark_says_its_session_when_pointed_at_and_a_click_opens_its_report(opened):
    page, report = opened
    mark, picture = page.locator(f'a[href$="{EIDS[1]}.html"]'), page.locator("img").bounding_box()
    # the middle one of three dots on a diagonal: whoever points there meets this mark
    spot = mark.bounding_box()
    x, y = spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2
    assert picture["x"] < x < picture["x"] + picture["width"]
    assert picture["y"] < y < picture["y"] + picture["height"]
    read = "(mark) => getComputedStyle(mark, '::after').content"
    assert mark.evaluate(read) == "none"
    page.mouse.move(x, y)
    said = mark.evaluate(read)
    assert "mouse 1" in said
    assert EIDS[1] in said
    page.mouse.click(x, y)
    page.wait_for_url(report.as_uri())
    assert page.title() == "the report"


def test_the_tab_key_reaches_every_mark_and_shows_its_words(opened):
    page, _ = opened
    said = []
    for _ in range(8):
        page.keyboard.press("Tab")
        said.append(page.evaluate(WORDS))
    assert [n for n in range(3) if any(f"mouse {n}" in words for words in said)] == [0, 1, 2]


@pytest.mark.parametrize("width", [360, 1200])
def test_words_of_the_outermost_marks_stay_on_the_screen(opened, width):
    page, _ = opened
    page.set_viewport_size({"width": width, "height": 900})
    for mark in page.locator(".marked a").all():
        mark.focus()
        wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= seen
