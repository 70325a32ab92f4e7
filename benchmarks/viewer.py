"""The viewer on a 1-hour session with five recordings, in headless Chromium: first paint, and how long a change takes until it is seen.

Run with `python benchmarks/viewer.py`. Prints milliseconds (medians), and writes them to `benchmarks/results/viewer.json`;
exits with 1 when a budget is passed.
"""

import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import sync_playwright
from reports import one_hour

from iblnm_core.storage.session_file import SessionFile, update_session_file

RESULTS = Path(__file__).parent / "results" / "viewer.json"
N_RECORDINGS = 5
REPEATS = 15
LIMITS = {"first_paint_ms": 2000.0, "pan_ms": 100.0, "toggle_ms": 100.0, "recording_ms": 200.0}

_MODELS = "Bokeh.documents.flatMap(document => [...document._all_models.values()])"
# what was asked for is on the screen when the frame after the new data is drawn
_UNTIL_SEEN = f"""(change) => new Promise(seen => {{
    const models = {_MODELS};
    const signal = models.find(model => model.type === 'ColumnDataSource' && model.name === 'corrected');
    const image = models.find(model => model.type === 'ColumnDataSource' && model.data.image
        && model.data.image[0] && model.data.image[0].shape[1] > 10);
    const range = models.find(model => model.min_interval === 0.1);
    const watched = change === 'pan' ? signal : image;
    const start = performance.now();
    watched.properties.data.change.connect(function once() {{
        watched.properties.data.change.disconnect(once);
        requestAnimationFrame(() => requestAnimationFrame(() => seen(performance.now() - start)));
    }});
    if (change === 'pan') range.setv({{start: range.start + 5, end: range.end + 5}});
    else document.dispatchEvent(new KeyboardEvent('keydown', {{key: change}}));
}})"""


def five_recordings(root, eid):
    """Give the session as many recordings as it has to have, copies of those that it has."""

    def change(stored: SessionFile):
        regions, parts = stored.regions(), {}
        for number in range(len(regions), N_RECORDINGS):
            for name in ("preprocessed", "bands", "responses"):
                part = stored.read(f"photometry/{regions[number % len(regions)]}/{name}")
                parts[f"photometry/COPY{number}/{name}"] = replace(
                    part, attributes={**part.attributes, "fiber_idx": number}
                )
        return parts, lambda _: False

    update_session_file(root.session_file(eid), eid, change)


def measure(address):
    """Return medians over repeats, ms."""
    program = shutil.which("chromium")
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        paints = []
        for _ in range(5):
            context = browser.new_context(viewport={"width": 1600, "height": 1400})
            page = context.new_page()
            page.goto(address)
            page.locator(".responses canvas").first.wait_for()
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            context.close()
        found["first_paint_ms"] = statistics.median(paints)
        page = browser.new_page(viewport={"width": 1600, "height": 1400})
        page.goto(f"{address}&t0=100&t1=1900")
        page.locator(".responses canvas").first.wait_for()
        page.wait_for_timeout(1000)
        for name, change in (("pan_ms", "pan"), ("toggle_ms", "b"), ("recording_ms", "r")):
            times = []
            for _ in range(REPEATS):
                times.append(page.evaluate(_UNTIL_SEEN, change))
                page.wait_for_timeout(300)
            found[name] = statistics.median(times)
        browser.close()
    return found


def main():
    """Measure, print, keep."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        root, eid = one_hour(Path(folder))
        five_recordings(root, eid)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()"]
        server = subprocess.Popen(
            [*command, "view", eid, "--root", str(root.path), "--port", str(port)], stdout=subprocess.PIPE, text=True
        )
        try:
            server.stdout.readline()
            found = measure(f"http://127.0.0.1:{port}/session?eid={eid}")
        finally:
            server.terminate()
            server.wait()
    for name, value in found.items():
        print(f"{name:<16}{value:>8.0f}  limit {LIMITS[name]:g}")
    rounded = {name: round(value) for name, value in found.items()}
    RESULTS.write_text(json.dumps({"measured": rounded, "limits": LIMITS}, indent=1) + "\n")
    sys.exit(any(found[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    main()
