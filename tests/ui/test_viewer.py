"""The viewer as people use it: the command, a real browser, every control, and the labels that it leaves."""

import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import h5py
import html5lib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests_support.demo import plan
from tests_support.sessions import processed_root
from ui.interface import COMMAND, command, environment, eventually

from iblnm_core.cohort.labels import read_labels
from iblnm_core.cohort.status import Catalogue
from iblnm_core.identifiers import uuid_from
from iblnm_core.schemas import SESSION_STATUS, SESSIONS
from iblnm_core.storage.tables import make_table, read_table, write_table

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"


class Viewer:
    """`iblnm view` on a root."""

    def __init__(self, root):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [*COMMAND, "view", "--root", str(root.path), "--port", str(self.port)],
            env=environment(root.path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.greeting = self.process.stdout.readline()

    def session(self, eid, **query):
        asked = "&".join(f"{name}={value}" for name, value in {"eid": eid, **query}.items())
        return f"{self.url}/session?{asked}"

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=20)
        return output


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three sessions, one of two fibres; and one that is in the catalogue only, of a hostile name."""
    folder = tmp_path_factory.mktemp("viewer")
    plans = [plan(minutes=8.0), plan("DEMO-NE1", 1, minutes=8.0), plan("DEMO-ACh1", 2, minutes=8.0)]
    root = processed_root(folder, plans)
    rows = read_table(root.path, SESSIONS)
    stranger = rows.iloc[[0]].assign(eid=uuid_from("stranger"), subject=HOSTILE, start_time="2020-01-01T10:00:00")
    write_table(root.path, make_table(SESSION_STATUS, Catalogue.load(root).status()))
    write_table(root.path, make_table(SESSIONS, pd.concat([rows, stranger], ignore_index=True)))
    return root


@pytest.fixture(scope="module")
def viewer(root, browser):
    viewer = Viewer(root)
    yield viewer
    said = viewer.stop()
    # a page that is closed while it is drawn leaves a warning of the library's; nothing of ours is in it
    assert "ERROR" not in said
    assert "iblnm_core" not in said


@pytest.fixture(scope="module")
def eids(root):
    """Sessions by subject."""
    rows = read_table(root.path, SESSIONS)
    return dict(zip(rows["subject"], rows["eid"], strict=True))


@pytest.fixture
def page(browser, request):
    """A page that says nothing in the console, and asks nobody else for anything."""
    opened = browser.new_page(viewport={"width": 1500, "height": 1500})
    heard = []
    opened.on("console", lambda message: heard.append(message.text) if message.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on(
        "request",
        lambda asked: (
            None if asked.url.startswith(("http://127.0.0.1:", "data:", "blob:")) else heard.append(asked.url)
        ),
    )
    yield opened
    if folder := os.environ.get("IBLNM_SCREENSHOTS"):
        opened.screenshot(path=Path(folder) / f"{request.node.name}.png")
    opened.close()
    assert heard == []


def open_session(page, address):
    page.goto(address)
    page.locator(".responses canvas").first.wait_for()


def until(page, condition, argument=None):
    page.wait_for_function(condition, arg=argument, timeout=15_000)


def query_has(page, name, value):
    """Wait until the address says so; None for nothing."""
    until(page, "([name, value]) => new URLSearchParams(location.search).get(name) === value", [name, value])


def query(page):
    return page.evaluate("Object.fromEntries(new URLSearchParams(location.search))")


MODELS = "Bokeh.documents.flatMap(document => [...document._all_models.values()])"
SIGNALS = f"{MODELS}.filter(model => model.type === 'ColumnDataSource' && model.name === 'corrected')"


def signal_points(page):
    """Time and value of the corrected signal, as the browser has them."""
    return page.evaluate(f"""{SIGNALS}.map(source => ['time', 'value'].map(
        name => Array.from(source.data[name]).map(number => Number.isNaN(number) ? null : number)))""")[0]


def time_window(page):
    """Ends of the axis of the signals."""
    return page.evaluate(
        f"(() => {{ const r = {MODELS}.find(m => m.min_interval === 0.1); return [r.start, r.end] }})()"
    )


def heat_maps(page):
    """Values of the first heat map."""
    return np.array(
        page.evaluate(
            f"""(() => {{ const image = {MODELS}.find(m => m.type === 'ColumnDataSource' && m.data.image
            && m.data.image[0] && m.data.image[0].shape[1] > 10).data.image[0];
            return [image.shape, Array.from(image).map(v => Number.isNaN(v) ? null : v)] }})()"""
        ),
        dtype=object,
    )


def test_the_list_finds_sorts_and_opens(viewer, page, eids):
    page.goto(viewer.url)
    assert page.locator("tbody tr").count() == 4
    assert HOSTILE in page.locator("tbody").inner_text()
    assert page.locator("tbody img").count() == 0
    html5lib.HTMLParser(strict=True).parse(page.content())
    page.get_by_label("Search").fill("demo-")
    page.get_by_role("button", name="Show").click()
    assert page.locator("tbody tr").count() == 3
    page.get_by_role("link", name="Subject").click()
    assert page.locator("tbody a").all_inner_texts() == ["DEMO-ACh1", "DEMO-DA1", "DEMO-NE1"]
    page.get_by_role("link", name="DEMO-DA1").click()
    page.locator(".responses canvas").first.wait_for()
    assert query(page)["eid"] == eids["DEMO-DA1"]
    page.keyboard.press("n")
    until(page, "eid => new URLSearchParams(location.search).get('eid') === eid", eids["DEMO-NE1"])
    page.locator(".responses canvas").first.wait_for()
    page.get_by_role("link", name="Previous").click()
    until(page, "eid => new URLSearchParams(location.search).get('eid') === eid", eids["DEMO-DA1"])
    assert query(page)["sort"] == "subject"


def test_the_list_of_nothing_says_so(viewer, page):
    page.goto(f"{viewer.url}/?text=nobody")
    assert "No session is like that" in page.locator("body").inner_text()


def test_keys_and_controls_change_only_what_they_are_about(viewer, page, eids):
    open_session(page, viewer.session(eids["DEMO-DA1"]))
    page.keyboard.press("j")
    query_has(page, "trial", "0")
    until(page, f"{SIGNALS}[0].data.time.length < 400")
    window = time_window(page)
    assert window[1] - window[0] == pytest.approx(6.0)
    page.get_by_text("trial 0:").wait_for()
    before = heat_maps(page)
    for key, name, value in (
        ("e", "events", "1"),
        ("s", "order", "outcome"),
        ("b", "baseline", "1"),
        ("m", "mask", "1"),
    ):
        page.keyboard.press(key)
        query_has(page, name, value)
        assert time_window(page) == window
    until(page, f"{MODELS}.some(m => m.type === 'ColumnDataSource' && m.data.dash && m.data.time?.length > 0)")
    # what is below the lines of the signal may still be on its way
    eventually(lambda: heat_maps(page)[1] != before[1], 15, "the heat map changed")
    after = heat_maps(page)
    assert before[0] == after[0]
    assert None in after[1]
    # read before the key: the page may answer faster than it is asked again
    first = page.title()
    page.keyboard.press("r")
    until(page, "title => document.title !== title", first)
    second = page.title().split()[-1]
    assert query(page)["region"] == second
    assert time_window(page) == window
    page.keyboard.press("0")
    query_has(page, "t0", None)
    page.get_by_role("button", name="Keys").click()
    page.get_by_text("next session of the list").wait_for()
    page.get_by_label("Note").press_sequentially("jest")
    assert query(page)["trial"] == "0"


def test_zooming_sends_more_points_and_moves_all_signals(viewer, page, eids):
    open_session(page, viewer.session(eids["DEMO-DA1"]))
    times, values = signal_points(page)
    assert 1_000 < len(times) <= 2_400
    start, end = time_window(page)
    density = len(times) / (end - start)
    box = page.locator(".signals canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(12):
        page.mouse.wheel(0, -240)
    query_has(page, "t0", f"{time_window(page)[0]:.3f}")
    until(page, f"{SIGNALS}[0].data.time.length < 2300")
    near = time_window(page)
    assert near[1] - near[0] < (end - start) / 3
    times, values = signal_points(page)
    assert len(times) / (times[-1] - times[0]) > density
    assert times[0] <= near[0] + 0.1
    # as stored, sample by sample
    with h5py.File(next(Path(viewer_root(viewer)).glob(f"{eids['DEMO-DA1']}.h5"))) as file:
        stored = file[f"photometry/{query(page)['region']}/preprocessed"]
        at = np.searchsorted(stored["times"][:], times[:50])
        np.testing.assert_allclose(stored["signal"][:][at], np.array(values[:50], float), rtol=1e-12)


def viewer_root(viewer):
    return re.search(r"Viewer of (.*): http", viewer.greeting)[1] + "/data/sessions"


def test_a_click_on_a_row_moves_the_signals_to_its_trial(viewer, page, eids):
    open_session(page, viewer.session(eids["DEMO-DA1"], order="reaction_time"))
    box = page.locator(".responses canvas").first.bounding_box()
    page.mouse.click(box["x"] + 250, box["y"] + 150)
    until(page, "new URLSearchParams(location.search).has('trial')")
    chosen = int(query(page)["trial"])
    page.get_by_text(re.compile(rf"trial {chosen}:")).wait_for()
    window = time_window(page)
    with h5py.File(next(Path(viewer_root(viewer)).glob(f"{eids['DEMO-DA1']}.h5"))) as file:
        assert window[0] == pytest.approx(file["trials/stimOn_times"][chosen] - 2.0)


def test_an_address_restores_the_view(viewer, page, eids):
    open_session(page, viewer.session(eids["DEMO-DA1"]))
    other = page.get_by_label("Recording").locator("option").all_inner_texts()[1]
    wanted = {
        "region": other,
        "t0": "100.000",
        "t1": "130.000",
        "trial": "5",
        "order": "outcome",
        "baseline": "1",
        "wheel": "1",
    }
    open_session(page, viewer.session(eids["DEMO-DA1"], **wanted))
    assert time_window(page) == [100.0, 130.0]
    assert page.get_by_label("Recording").input_value() == other
    assert page.get_by_label("Less baseline").is_checked()
    assert query(page) == {"eid": eids["DEMO-DA1"], **wanted}


def test_two_recordings_are_compared_on_the_same_axes(viewer, page, eids):
    open_session(page, viewer.session(eids["DEMO-DA1"]))
    n_before = page.locator(".responses canvas").count()
    other = page.get_by_label("Recording").locator("option").all_inner_texts()[1]
    page.get_by_label("Compare with").select_option(other)
    query_has(page, "compare", other)
    until(page, f"{SIGNALS}.every(source => source.data.time.length > 0)")
    page.locator(".responses canvas").nth(n_before).wait_for()
    ranges = page.evaluate(
        f"""{MODELS}.filter(m => m.type === 'Figure').map(m => [m.x_range.id, m.y_range.id])
        .filter(([x]) => x === {MODELS}.find(m => m.min_interval === 0.1).id)"""
    )
    # two figures for each recording and the strip, over one time
    assert len(ranges) == 5
    assert len({y for _, y in ranges}) == 5


def test_the_banner_says_the_verdict_and_opens_what_did_not_hold(viewer, page, eids):
    open_session(page, viewer.session(eids["DEMO-ACh1"]))
    finding = page.get_by_text("MissingLP")
    assert not finding.is_visible()
    page.get_by_text(re.compile(r"\d+ findings")).click()
    finding.wait_for()
    assert page.get_by_role("status").first.inner_text().startswith("! Usable, with warnings.")


def test_what_did_not_hold_and_what_is_missing_is_said(viewer, page, root, eids):
    eid = eids["DEMO-NE1"]
    path = root.session_file(eid)
    content = path.read_bytes()
    try:
        with h5py.File(path, "r+") as file:
            first = next(iter(file["photometry"]))
            file[f"photometry/{first}/preprocessed/signal"][5] = 1e6
            del file[f"photometry/{first}/responses"]
        page.goto(viewer.session(eid))
        page.get_by_text(re.compile("stored photometry/.*/preprocessed .* is broken")).wait_for()
        page.get_by_text(re.compile("responses")).filter(visible=True).first.wait_for()
        assert page.locator(".signals canvas").count() > 0
    finally:
        path.write_bytes(content)
    page.goto(viewer.session(eids[HOSTILE]))
    page.get_by_text("Nothing of session").wait_for()
    page.goto(viewer.session("../../etc/passwd"))
    page.get_by_text("names no session").wait_for()


def test_labels_are_added_and_two_browsers_share_nothing_else(viewer, browser, page, root, eids):
    open_session(page, viewer.session(eids["DEMO-DA1"]))
    other = browser.new_context().new_page()
    try:
        open_session(other, viewer.session(eids["DEMO-DA1"]))
        page.keyboard.press("j")
        query_has(page, "trial", "0")
        page.get_by_role("button", name="reject").click()
        page.get_by_label("Note").fill(HOSTILE)
        page.get_by_label("Your name").fill("ana")
        page.get_by_role("button", name="Save label").click()
        page.get_by_role("cell", name=HOSTILE).wait_for()
        [row] = read_labels(root.path).rows.to_dict("records")
        assert (row["eid"], row["fiber_idx"], row["verdict"], row["author"]) == (eids["DEMO-DA1"], 0, "reject", "ana")
        assert row["note"] == HOSTILE
        page.get_by_label("Your name").fill("")
        page.get_by_role("button", name="Save label").click()
        page.get_by_role("alert").filter(has_text="needs the name").wait_for()
        assert len(read_labels(root.path).rows) == 1
        assert "trial" not in query(other)
        assert other.get_by_label("Note").input_value() == ""
    finally:
        other.context.close()


def test_samples_and_view_are_taken_home(viewer, page, eids, tmp_path, browser):
    open_session(page, viewer.session(eids["DEMO-DA1"], t0="100.000", t1="110.000"))
    with page.expect_download() as download:
        page.get_by_text("Visible samples (CSV)").click()
    samples = pd.read_csv(download.value.path())
    assert samples["time_s"].between(100.0, 110.0).all()
    assert samples.groupby("signal").size().between(250, 350).all()
    with page.expect_download() as download:
        page.get_by_text("This view (PNG)").click()
    picture = Image.open(download.value.path()).convert("L")
    assert picture.width > 1200
    assert picture.height > 700
    # signals above, responses below
    halves = np.array_split(np.asarray(picture) < 128, 2)
    assert all(0.001 < half.mean() < 0.5 for half in halves)
    with page.expect_download() as download:
        page.get_by_text("This view (HTML)").click()
    saved = tmp_path / "view.html"
    download.value.save_as(saved)
    alone = browser.new_page()
    asked = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(saved.as_uri())
    alone.locator("canvas").first.wait_for()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    alone.close()


def test_only_who_knows_the_server_by_its_name_is_answered(viewer, root):
    (root.path / "reports").mkdir(exist_ok=True)
    (root.path / "reports" / "cohort.html").write_text("report")
    assert urllib.request.urlopen(f"{viewer.url}/reports/cohort.html").read() == b"report"
    for path in ("/", "/reports/cohort.html"):
        asked = urllib.request.Request(f"{viewer.url}{path}", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked)
        assert refused.value.code == 403
    for path in ("/reports/../iblnm.toml", "/reports/%2e%2e/iblnm.toml", "/iblnm.toml"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{viewer.url}{path}")
        assert refused.value.code in {403, 404}


def test_a_port_in_use_and_an_id_that_is_none_end_in_a_word(viewer, root):
    taken = command(root.path, "view", "--port", str(viewer.port))
    assert (taken.returncode, "choose another --port" in taken.stderr) == (2, True)
    unknown = command(root.path, "view", "not-an-id")
    assert (unknown.returncode, "is not a session id" in unknown.stderr) == (2, True)
