"""A real webserver and daemon, started as a user starts them, and a real browser in front of them."""

import os
import shutil
from pathlib import Path

import pytest
from ui.interface import Reader, Server

_CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; without one these tests cannot say anything."""
    program = shutil.which("chromium")
    if program is None:
        reason = "no `chromium` on the PATH: the pages of the web interface are not tested"
        if os.environ.get("IBLNM_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=_CHROMIUM_OPTIONS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def serve():
    """Start `iblnm ui` on a root; it ends with the module, and must leave no process behind."""
    servers = []

    def start(root):
        server = Server(root)
        servers.append(server)
        server.wait_until_ready()
        return server

    yield start
    left = {server.root: server.stop() for server in servers}
    assert not any(left.values()), left


@pytest.fixture
def reader(browser, server, request):
    """A fresh page in front of the module's server; a folder in IBLNM_SCREENSHOTS gets what it showed last."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    yield Reader(page, server.url)
    if folder := os.environ.get("IBLNM_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png")
    page.close()
