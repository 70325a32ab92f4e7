"""Pages beside pictures: marks lie where they were drawn, say which session they are, and lead to its report."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests_support.drawn_families import draw as draw_in_memory
from tests_support.report_pages import assert_accessible, parsed, tags_of, text_of

from iblnm_core.demo.simulated_tables import simulate_tables
from iblnm_core.figures.companion import Mark, companion_page, marks_at
from iblnm_core.figures.dataset_overview import DATASET_OVERVIEW
from iblnm_core.figures.drawing import draw_family, stored_family
from iblnm_core.figures.family import Drawn, Family
from iblnm_core.figures.session_models import SESSION_MODEL_FAMILIES
from iblnm_core.parameters import Parameters
from iblnm_core.reports.writing import session_path
from iblnm_core.root import create_root
from iblnm_core.schemas import RECORDINGS
from iblnm_core.storage.tables import make_table, write_table

EIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(4)]
HOSTILE = "<script>alert(1)</script>\"'&</title><img src=x onerror=alert(2)>{{ 7*7 }}\x00\u202e"
COLOURS = ("#b5261e", "#1b66c9", "#1f9e89", "#7a2a7f")


def draw(_tables, _parameters, _theme):
    """Two panels, one with a logarithmic axis; labels push them about."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    right.set_xscale("log")
    left.set_ylabel("a label that takes room")
    figure.suptitle("two panels")
    marks = []
    for axes, scale in ((left, 1.0), (right, 10.0)):
        x, y = scale ** np.arange(4.0) * np.arange(1, 5), np.array([3.0, -1.0, 0.5, 8.0])
        axes.scatter(x, y, s=60, marker="s", c=COLOURS)
        marks += marks_at(axes, x, y, EIDS, [f"mouse {n}\nvalue {n}" for n in range(4)])
    yield Drawn("dots", figure, pd.DataFrame({"eid": EIDS}), "Four dots, twice.", marks=marks)
    yield Drawn("bare", Figure(figsize=(2, 2)), pd.DataFrame({"eid": EIDS}), "Nothing to ask about.")


FAMILY = Family("dotted", "Dots.", "responses", {"recordings": None}, draw)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "cache").mkdir()
    root = create_root(folder / "root", source="local", cache=folder / "cache")
    write_table(root.path, make_table(RECORDINGS, simulate_tables(2, 2, seed=1).recordings))
    return root, draw_family(root.path, FAMILY, Parameters())


def links(content):
    """The marks of a page."""
    (picture,) = [element for element in parsed(content).iter("div") if element.get("class") == "marked"]
    return list(picture.iter("a"))


def place(link):
    """Where a mark lies, as fractions of the picture."""
    return tuple(float(part.split(":")[1].rstrip("%")) / 100 for part in link.get("style").split(";"))


def test_marks_lie_on_the_pixels_that_have_their_colours(drawn):
    _, files = drawn
    picture = np.asarray(Image.open(files.folder / "dots.png").convert("RGB"))
    height, width, _ = picture.shape
    found = links((files.folder / "dots.html").read_bytes())
    assert len(found) == 8
    for link, colour in zip(found, COLOURS * 2, strict=True):
        left, top = place(link)
        row, column = round(top * height), round(left * width)
        expected = np.array(mpl.colors.to_rgb(colour)) * 255
        around = picture[row - 4 : row + 5, column - 4 : column + 5]
        np.testing.assert_allclose(around, np.broadcast_to(expected, around.shape), atol=1)


def test_only_pictures_with_marks_have_a_page_and_it_is_one_of_their_files(drawn):
    root, files = drawn
    by_name = {figure.name: figure for figure in files.figures}
    assert (by_name["dots"].companion, by_name["bare"].companion) == ("dots.html", "")
    assert "dots.html" in by_name["dots"].sha256
    assert {path.name for path in files.folder.glob("*.html")} == {"dots.html"}
    assert stored_family(root.path, "dotted").figures == files.figures
    assert (files.folder / "dots.csv").is_file()


def test_a_page_that_is_lost_comes_back_with_equal_bytes_and_a_needless_one_goes(drawn, tmp_path):
    write_table(tmp_path, make_table(RECORDINGS, simulate_tables(2, 2, seed=1).recordings))
    page = draw_family(tmp_path, FAMILY, Parameters()).folder / "dots.html"
    before = page.read_bytes()
    assert before == (drawn[1].folder / "dots.html").read_bytes()
    page.unlink()
    page.with_name("earlier.html").write_text("a page of a picture that is no more")
    assert draw_family(tmp_path, FAMILY, Parameters()).drawn
    assert page.read_bytes() == before
    assert not page.with_name("earlier.html").exists()


def test_a_mark_says_its_session_and_leads_to_its_report(drawn):
    root, files = drawn
    page = files.folder / "dots.html"
    for link, eid in zip(links(page.read_bytes()), EIDS * 2, strict=True):
        n = EIDS.index(eid)
        assert link.get("aria-label") == f"mouse {n}\nvalue {n}\n{eid}"
        assert (page.parent / link.get("href")).resolve() == session_path(root, eid)


def of_words(words, eid):
    figure = Figure(figsize=(2, 2))
    axes = figure.subplots()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return companion_page("a_name", words, figure, [Mark(axes, 0.5, 0.5, eid, words)], buffer.getvalue(), "a_name.csv")


def test_hostile_words_change_nothing_but_the_text():
    harmless, hostile = parsed(of_words("a mouse", EIDS[0])), parsed(of_words(HOSTILE, EIDS[0]))
    assert tags_of(hostile) == tags_of(harmless)
    assert "script" not in tags_of(hostile)
    (link,) = [link for link in hostile.iter("a") if link.get("style")]
    assert link.get("aria-label").startswith(
        "<script>alert(1)</script>\"'&</title><img src=x onerror=alert(2)>{{ 7*7 }}\ufffd\\u202e"
    )
    assert HOSTILE.partition("\x00")[0] in text_of(hostile)


@pytest.mark.parametrize("eid", ["../../../etc/passwd", "javascript:alert(1)", "", HOSTILE])
def test_what_is_no_session_id_is_no_link_and_still_reachable(eid):
    (mark,) = [link for link in parsed(of_words("a mouse", eid)).iter("a") if link.get("style")]
    assert mark.get("href") is None
    assert mark.get("tabindex") == "0"


def test_a_page_is_valid_accessible_and_asks_for_nothing(drawn):
    content = (drawn[1].folder / "dots.html").read_bytes()
    tree = parsed(content)
    assert_accessible(tree)
    addresses = [value for element in tree.iter() for name, value in element.items() if name in {"src", "href"}]
    assert all(
        value.startswith(("data:image/png;base64,", "#", "../../reports/")) or value == "dots.csv"
        for value in addresses
    )
    (policy,) = [meta.get("content") for meta in tree.iter("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script" not in tags_of(tree)


def overview(n):
    """Sessions of two mice, the later ones stopped early; one has no number."""
    rows = {
        "eid": [f"{number:08x}-0000-4000-8000-00000000000{number}" for number in range(n)],
        "subject": [f"mouse {number % 2}" for number in range(n)],
        "start_time": [f"2025-03-0{1 + number // 2}T10:00:00" for number in range(n)],
        "session_type": "biased",
        "session_n": [np.nan, *(1.0 + number // 2 for number in range(1, n))],
        "day_n": 1,
        "n_recordings": 1,
        "proficiency": "proficient",
        "step": ["video_ready"] * 3 + ["raw_data"] * (n - 3),
        "stopped_by": [""] * 3 + ["MissingExtractedData"] * (n - 3),
    }
    return pd.DataFrame(rows)


def test_cells_of_the_matrix_say_how_far_their_session_came_and_what_stopped_it():
    pictures = draw_in_memory(DATASET_OVERVIEW, {"session_matrix": overview(6)})
    drawn = pictures["sessions_3_complete_data"]
    (axes,) = drawn.figure.axes
    cells = {tuple(offset) for dots in axes.collections for offset in dots.get_offsets().data}
    assert {(mark.x, mark.y) for mark in drawn.marks} == cells
    said = {mark.eid: mark.words for mark in drawn.marks}
    rows = drawn.data.set_index("eid")
    assert set(said) == set(rows.index[rows["session_n"].notna()])
    last = rows.index[-1]
    assert said[last] == (
        "mouse 1, 2025-03-03, session 3 (biased)\nfarthest step: raw data, stopped there by MissingExtractedData"
    )
    assert not pictures["complete_recordings"].marks


def test_slopes_say_which_recording_they_are():
    rows = pd.DataFrame(
        {"eid": EIDS, "subject": ["a", "a", "b", "b"], "fiber_idx": [0, 1, 0, 0], "target_NM": "VTA-DA"}
    )
    rows = rows.assign(observed_slope=[0.1, 0.2, -0.3, 0.4], q_value=[0.01, 0.5, 0.5, np.nan], null_slope=0, null_r2=0)
    means = pd.DataFrame({"behaviour": "performance", "target_NM": "VTA-DA", "subject": ["a", "b"]})
    shares = pd.DataFrame({"behaviour": ["performance"], "target_NM": ["VTA-DA"], "share": [0.25]})
    tables = {
        "baseline_performance": rows,
        "baseline_mice": means.assign(observed_slope=[0.15, 0.05]),
        "baseline_shares": shares.assign(n_significant=1, n_tested=4),
    }
    (family,) = (each for each in SESSION_MODEL_FAMILIES if each.name == "baseline_coding")
    marks = {mark.eid: mark for mark in draw_in_memory(family, tables)["baseline_performance"].marks}
    assert {eid: mark.y for eid, mark in marks.items()} == dict(zip(EIDS, rows["observed_slope"], strict=True))
    assert marks[EIDS[1]].words == "a, VTA-DA, fibre 1\nslope over baseline (per z) 0.2"
