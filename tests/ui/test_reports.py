"""Reports in a real browser: they open from disk, ask for nothing, fit narrow screens, print, and filter."""

import re

import pytest

from iblnm_core.cohort.collect import COLLECTED, collect
from iblnm_core.cohort.status import Catalogue
from iblnm_core.reports.writing import write_cohort_report, write_session_report
from iblnm_core.root import create_root
from iblnm_core.schemas import SESSION_STATUS
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.tables import Table, make_table, write_table


@pytest.fixture(scope="module")
def pages(tmp_path_factory, copies, few_trials):
    """The pages of a sound session, of one with too few trials, and of both together."""
    from tests_support.sessions import catalogue_of

    folder = tmp_path_factory.mktemp("reports")
    made = copies(folder / "cache", 2)
    sound, blocked = made.eids
    few_trials(made.folders[blocked])
    root = create_root(folder / "root", source="local", cache=made.cache)
    catalogue_of(root)
    for task in Catalogue.load(root).tasks(made.eids):
        process_session(task)
    for name in COLLECTED:
        table = collect(root, name).table
        assert isinstance(table, Table)
        write_table(root.path, table)
    write_table(root.path, make_table(SESSION_STATUS, Catalogue.load(root).status()))
    written = {"sound": write_session_report(root, sound), "blocked": write_session_report(root, blocked)}
    return {**written, "cohort": write_cohort_report(root)}


@pytest.fixture
def opened(browser, pages):
    """Open a page from disk, and watch for messages and requests."""
    contexts = []

    def open_page(name, width=1200, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.heard = []
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("request", lambda request: page.heard.append(request.url))
        address = pages[name].path.as_uri()
        page.goto(address)
        page.heard = [text for text in page.heard if text != address and not text.startswith("data:image/")]
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", ["sound", "blocked", "cohort"])
def test_a_page_opens_from_disk_in_silence_and_is_not_blank(opened, pages, name):
    page = opened(name)
    assert page.heard == []
    assert pages[name].verdict in page.inner_text("body")
    assert page.evaluate("Array.from(document.images).every((image) => image.complete && image.naturalWidth > 100)")
    edge = page.evaluate("getComputedStyle(document.querySelector('.banner')).borderLeftColor")
    assert edge == {"sound": "rgb(107, 71, 0)", "blocked": "rgb(138, 28, 12)", "cohort": "rgb(11, 74, 138)"}[name]
    assert len(page.screenshot()) > 20_000
    preview = pages[name].preview
    assert len(preview) <= 200_000
    assert preview.startswith(b"\x89PNG") == (name != "cohort")


@pytest.mark.parametrize("name", ["sound", "blocked", "cohort"])
def test_a_narrow_screen_scrolls_only_downwards(opened, name):
    page = opened(name, width=360)
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= seen == 360


def test_a_session_prints_on_a_few_pages_with_everything_open(opened):
    page = opened("sound")
    printed = page.pdf(format="A4")
    n_pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 4 <= n_pages <= 12
    page.emulate_media(media="print")
    assert page.evaluate("Array.from(document.querySelectorAll('details table')).every((t) => t.offsetHeight > 50)")
    assert not page.is_visible("nav")


def test_the_filter_shows_the_rows_asked_for_and_headers_sort(opened, pages):
    page = opened("cohort")
    rows = page.locator("#session-rows tbody tr:visible")
    assert rows.count() == 2
    page.fill("#filter", "NOT USABLE")
    assert rows.count() == 1
    assert page.inner_text("#shown") == "1 of 2 sessions"
    page.fill("#filter", "")
    page.get_by_role("button", name="Trials").click()
    few = rows.first.inner_text()
    assert "60" in few
    page.get_by_role("button", name="Trials").click()
    assert rows.last.inner_text() == few
    rows.last.get_by_role("link", name="report").click()
    page.wait_for_url(pages["blocked"].path.as_uri())
    page.get_by_role("link", name="Cohort report").click()
    page.wait_for_url(pages["cohort"].path.as_uri())


def test_without_script_the_table_is_complete(opened):
    page = opened("cohort", java_script_enabled=False)
    assert page.locator("#session-rows tbody tr:visible").count() == 2
    assert not page.is_visible("#filter")
