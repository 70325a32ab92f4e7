"""Driving the web interface: `iblnm ui` as a child process, its processes, and a reader of its pages."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

import iblnm_dagster

COMMAND = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()"]
# the dot behind each partition's name, by the colour that the reader sees
_DOTS = """() => [...document.querySelectorAll('div')]
    .filter(dot => dot.style.borderRadius === '100%' && dot.previousElementSibling?.querySelector('[title]'))
    .map(dot => [dot.previousElementSibling.querySelector('[title]').title, getComputedStyle(dot).backgroundColor])"""


def environment(root):
    """The environment of our own processes: this very code, this root."""
    code = str(Path(iblnm_dagster.__file__).parents[1])
    return {**os.environ, "IBLNM_ROOT": str(root), "PYTHONPATH": code}


def command(root, *arguments):
    """Run an `iblnm` command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(root),
        cwd=root,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def eventually(ask, seconds, what):
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return answer


def processes_of(root):
    """All processes that were started for a root, whatever became of their parents."""
    found = []
    for process in psutil.process_iter():
        # a process may end while it is looked at, and others' may not be looked at
        with contextlib.suppress(psutil.Error):
            if process.environ().get("IBLNM_ROOT") == str(root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Server:
    """`iblnm ui` on a root."""

    def __init__(self, root):
        self.root = root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = root / "ui.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "ui", "--root", str(root), "--port", str(self.port)],
                env=environment(root),
                cwd=root,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self):
        """Wait until the graph is loaded; return the names of repository and location."""
        query = "{repositoriesOrError{... on RepositoryConnection{nodes{name location{name}}}}}"

        def answer():
            assert self.process.poll() is None, f"`iblnm ui` ended:\n{self.log.read_text()}"
            try:
                return self.ask(query)["repositoriesOrError"].get("nodes")
            except (urllib.error.URLError, ConnectionError):
                return None

        (repository,) = eventually(answer, 60, "the graph is loaded")
        self.selector = {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}

    def ask(self, query, **variables):
        """Send a query as the pages do."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def runs(self):
        """All runs, the latest first."""
        return self.ask("{runsOrError{... on Runs{results{runId status}}}}")["runsOrError"]["results"]

    def stop(self):
        """End the servers as a user does, and say what is left of them."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        deadline = time.monotonic() + 10
        while (left := processes_of(self.root)) and time.monotonic() < deadline:
            time.sleep(0.1)
        described = [shlex.join(process.cmdline()) for process in left]
        for process in left:
            process.kill()
        return described


class Reader:
    """Someone who looks at the pages of a server and clicks on them."""

    def __init__(self, page, url):
        self.page = page
        self.url = url
        page.set_default_timeout(20_000)

    def open(self, path):
        """Open a page and wait until it has read what it shows."""
        self.page.goto(self.url + path)
        # pages that poll are never quiet for long; what a test needs it waits for by itself
        with contextlib.suppress(Exception):
            self.page.wait_for_load_state("networkidle", timeout=3_000)

    def text(self):
        """All text of the page."""
        return self.page.inner_text("body")

    def button(self, name):
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def counts(self):
        """The numbers of partitions by standing, as the page says them."""
        return {
            name: int(count) for name, count in re.findall(r"^([A-Z][A-Za-z ]+) \((\d+)\)$", self.text(), re.MULTILINE)
        }

    def colours(self):
        """The colour of each partition's dot."""
        return {name: _colour(value) for name, value in self.page.evaluate(_DOTS)}

    def shows(self, path, seconds, **counts):
        """Reload a page until it says these numbers."""

        def said():
            self.open(path)
            found = self.counts()
            return all(found.get(name) == count for name, count in counts.items())

        eventually(said, seconds, f"{path} shows {counts}")

    def materialise(self, path, launch):
        """Press *Materialize* on a page; `launch` is the name of the button that then starts it."""
        self.open(path)
        self.page.get_by_role("button", name="Materialize").first.click()
        if launch is not None:
            self.button(launch)


def _colour(value):
    red, green, _ = (int(number) for number in re.findall(r"\d+", value)[:3])
    if red > 1.5 * green:
        return "red"
    return "green" if green > 1.5 * red else value
