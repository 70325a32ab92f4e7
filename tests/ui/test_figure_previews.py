"""Figures in the web interface: a materialised family shows its pictures and captions on the page of its asset."""

import io

import pandas as pd
import pytest
from PIL import Image
from ui.interface import eventually

from iblnm_core.analyses.dataset_overview import STEPS
from iblnm_core.root import create_root
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import make_table, write_table

pytestmark = pytest.mark.browser

ASSET = "/assets/figures/dataset_overview"
_PICTURE = 'img[src^="data:image/png;base64,"]'


def sessions(n):
    """Sessions of three mice, some at every step."""
    steps = list(STEPS)
    return pd.DataFrame(
        {
            "eid": [f"{number:08x}-0000-4000-8000-000000000000" for number in range(n)],
            "subject": [f"mouse_{number % 3}" for number in range(n)],
            "start_time": [f"2025-03-{1 + number // 3:02d}T10:00:00" for number in range(n)],
            "session_type": [("training", "biased", "ephys")[number // 9 % 3] for number in range(n)],
            "session_n": [1.0 + number // 3 for number in range(n)],
            "day_n": [number // 3 for number in range(n)],
            "n_recordings": 1,
            "proficiency": "proficient",
            "step": [steps[number % len(steps)] for number in range(n)],
            "stopped_by": "",
        }
    )


@pytest.fixture(scope="module")
def server(serve, tmp_path_factory):
    """A server on a root whose tables of the overview are stored and not drawn yet."""
    folder = tmp_path_factory.mktemp("previews")
    (folder / "cache").mkdir()
    root = create_root(folder / "root", source="local", cache=folder / "cache")
    for name in ("session_matrix", "complete_recordings", "dataset_overview_outcomes"):
        schema = TABLES[name]
        rows = sessions(24) if name == "session_matrix" else schema.arrow().empty_table().to_pandas()
        write_table(root.path, make_table(schema, rows))
    return serve(root.path)


def test_the_page_of_a_family_shows_its_pictures_captions_and_files(reader, server):
    heard = []
    reader.page.on("pageerror", lambda error: heard.append(str(error)))
    reader.page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    # its tables were stored without the graph, which asks whether that is meant
    reader.materialise(ASSET, "Confirm")
    runs = eventually(
        lambda: [run for run in server.runs() if run["status"] in {"SUCCESS", "FAILURE"}], 90, "it is drawn"
    )
    assert [run["status"] for run in runs] == ["SUCCESS"]
    reader.open(ASSET)
    expected = ("captions", "companions", "sessions_5_video_ready.html", "n_subjects", "theme")
    eventually(lambda: all(said in reader.text() for said in expected), 30, "the page tells of the pictures")
    # what is long opens in a window of its own
    shown = reader.page.get_by_text("[Show Markdown]")
    shown.first.click()
    picture = reader.page.locator(_PICTURE)
    picture.wait_for()
    eventually(lambda: picture.evaluate("(image) => image.complete && image.naturalWidth"), 10, "the picture is there")
    width, height = picture.evaluate("(image) => [image.naturalWidth, image.naturalHeight]")
    assert 800 <= width <= 900
    seen = picture.bounding_box()
    assert seen["width"] > 400
    assert seen["width"] / seen["height"] == pytest.approx(width / height, rel=0.02)
    # what is on the screen is the picture itself, not white
    colours = Image.open(io.BytesIO(picture.screenshot())).convert("RGB").getcolors(1_000_000)
    assert len(colours) > 50
    reader.button("Close")
    picture.wait_for(state="hidden")
    shown.nth(1).click()
    caption = reader.page.get_by_text("Sessions of every mouse, in order of its first one").first
    caption.wait_for()
    assert float(caption.evaluate("(text) => parseFloat(getComputedStyle(text).fontSize)")) >= 12
    assert reader.page.locator("li strong", has_text="sessions_1_recorded").count() == 1
    assert heard == []
