"""Every writer on a file system of its own that is full; run as a program in a mount namespace, prints how it went as JSON.

`python -m tests_support.full_disk DISK PREPARED`: DISK is the small file system, PREPARED holds a root and its cache.
"""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from iblnm_core.cohort.current import note_current
from iblnm_core.cohort.labels import FILE, add_label
from iblnm_core.cohort.status import Catalogue
from iblnm_core.cohort.unavailable import note_availability
from iblnm_core.errors import StorageFull
from iblnm_core.figures.drawing import draw_family, stored_family
from iblnm_core.figures.family import Drawn, Family
from iblnm_core.root import SETTINGS, create_root
from iblnm_core.schemas import ERRORS, SESSIONS
from iblnm_core.session.pipeline import process_session
from iblnm_core.sources.indexing import index_cache
from iblnm_core.storage.tables import make_table, read_table, write_table

FREE_BYTES = (0, 4096, 3 * 4096)
"""What is left on the disk."""


@contextlib.contextmanager
def full(disk, free):
    """Fill the disk up to some bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"\1" * 4096)
        file.truncate(max(ballast.stat().st_size - free, 0))
    try:
        yield
    finally:
        ballast.unlink()


def _drawn(title):
    """Return a family of one picture, another one with each title."""
    from matplotlib.figure import Figure

    def draw(tables, _parameters, _theme):
        figure = Figure(figsize=(4, 3))
        figure.subplots().plot(range(500), [hash((title, i)) % 97 for i in range(500)])
        data = pd.DataFrame({"value": range(2_000)})
        yield Drawn("picture", figure, data, f"Caption of {title}.", {"n": len(tables["sessions"])})

    return Family("small", "of sessions", "qc_overview", {"sessions": ("eid",)}, draw, code_version=title)


def writers(root, eid):
    """Return, for every writer, the paths that it writes and a function that writes something new, by number."""
    catalogue = Catalogue.load(root)
    (task,) = catalogue.tasks([eid], reprocess=True)
    sessions = read_table(root.path, SESSIONS)

    def table(number):
        rows = pd.DataFrame(
            {name: [f"{number} {i}" for i in range(800)] for name in ERRORS.column_names if name != "blocks_analysis"}
        ).assign(blocks_analysis=False)
        write_table(root.path, make_table(ERRORS, rows, {"number": number}))

    def index(number):
        folder = root.cache / "lab" / "Subjects" / "mouse" / f"2026-01-{number + 1:02d}" / "001" / "alf"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(100):
            (folder / f"_ibl_trials.some{number}x{i}_times.npy").touch()
        index_cache(root.cache)

    def label(number):
        add_label(root.path, eid, 0, "keep", note=f"{number} " + "x" * 1900, author="ana")

    figures = root.path / "figures" / "small"
    return {
        "table": ([root.path / ERRORS.path], table),
        "session file": ([root.session_file(eid)], lambda _number: process_session(task)),
        "settings": ([root.path / "other" / SETTINGS], lambda n: _new_root(root.path / "other" / str(n), root.cache)),
        "index": ([root.cache / "sessions.pqt", root.cache / "datasets.pqt"], index),
        "notes": (
            [root.path / "metadata" / "current.json"],
            lambda number: note_current(root, {f"{number}-{i}": [[i], "x" * 50] for i in range(400)}),
        ),
        "unavailable": (
            [root.path / "metadata" / "unavailable.json"],
            lambda number: note_availability(root, {f"{number}-{i}": "x" * 50 for i in range(400)}, []),
        ),
        "labels": ([root.path / FILE], label),
        "figures": (
            [figures / "manifest.json"],
            lambda number: draw_family(root.path, _drawn(str(number)), root.parameters),
        ),
        "catalogue": (
            [root.path / SESSIONS.path],
            lambda number: write_table(root.path, make_table(SESSIONS, sessions.assign(lab=f"{number}" * 9000))),
        ),
    }


def _new_root(path, cache):
    create_root(path, cache=cache)


def _bytes(paths):
    # a log without a line is none
    return [(path.read_bytes() or None) if path.exists() else None for path in paths]


def try_writers(disk, root, eid):
    """Let each writer meet a full disk; return how often each ended how, and what went wrong."""
    counts, wrong = Counter(), []
    for name, (paths, write) in writers(root, eid).items():
        for number, free in enumerate(FREE_BYTES):
            before = _bytes(paths)
            with full(disk, free):
                try:
                    write(number)
                    ended = "new"
                except StorageFull as error:
                    ended = "old" if any(before) else "absent"
                    if str(disk) not in str(error):
                        wrong.append(f"{name}, {free} bytes free: the message names no path: {error}")
                except Exception as error:  # noqa: BLE001 - that is what is looked for
                    wrong.append(f"{name}, {free} bytes free: {type(error).__name__}: {error}")
                    continue
            # several files of one writer are each old or new
            if ended != "new" and any(a != b for a, b in zip(_bytes(paths)[-1:], before[-1:], strict=True)):
                wrong.append(f"{name}, {free} bytes free: changed although it said that there is no room")
            left = list(root.path.rglob(".*.tmp"))
            if left:
                wrong.append(f"{name}, {free} bytes free: {left[0]} is left")
            counts[f"{name}: {ended}"] += 1
            write(number)
        if name == "figures" and stored_family(root.path, "small") is None:
            wrong.append("the family is not whole after a run with room")
    return counts, wrong


def try_run(disk, root):
    """Let `iblnm run` meet a full disk; then one with room."""
    counts, wrong = Counter(), []
    # the event log needs room before anything of a session does
    for free in FREE_BYTES[:2]:
        with full(disk, free):
            result = _iblnm(root, "run", "--reprocess", "--only", "query_database", "--only", "photometry")
        text = result.stdout + result.stderr
        counts["run: old"] += 1
        if result.returncode not in {1, 2} or "Traceback" in text or "no space left" not in text:
            wrong.append(f"run, {free} bytes free: exit code {result.returncode}: {text[-1500:]}")
    result = _iblnm(root, "run", "--only", "query_database", "--only", "photometry")
    if result.returncode:
        wrong.append(f"the run with room: {result.stdout}{result.stderr}")
    return counts, wrong


def _iblnm(root, *words):
    command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()", words[0], "--root", str(root.path)]
    return subprocess.run([*command, *words[1:]], capture_output=True, text=True, check=False, timeout=200)


def main(disk, prepared):
    """Copy the prepared root to the disk, and try."""
    shutil.copytree(prepared / "cache", disk / "cache")
    shutil.copytree(prepared / "root", disk / "root")
    settings = disk / "root" / SETTINGS
    settings.write_text(settings.read_text().replace(str(prepared), str(disk)))
    root = create_root(disk / "root")
    eid = next(iter(Catalogue.load(root).sessions))
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        runs, wrong = try_run(disk, root)
        written, others = try_writers(disk, root, eid)
    sys.stdout.write(json.dumps({"counts": {**runs, **written}, "wrong": [*wrong, *others]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
