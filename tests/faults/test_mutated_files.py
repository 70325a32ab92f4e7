"""Files broken in many ways: an input costs its own session alone, a stored file is detected, and both are mended."""

import datetime as dt
import os
import random
import re
from collections import Counter

import pytest
from tests_support.broken_sessions import Try, catalogue_again, mend, try_input, try_session_file, try_table
from tests_support.mutations import mutations
from tests_support.promise import assert_promise, assert_up_to_date, results_of
from tests_support.reliability import record
from tests_support.sessions import catalogue_of

from iblnm_core.cohort.collect import COLLECTED, collect
from iblnm_core.cohort.current import note_current
from iblnm_core.cohort.unavailable import note_availability, unavailable_sessions
from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.plan import CLINIC_PACE, SessionPlan
from iblnm_core.demo.presets import SUBJECTS
from iblnm_core.errors import ConfigurationError
from iblnm_core.root import create_root, open_root
from iblnm_core.session.datasets import DATASET_KINDS
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.tables import Table, write_table
from iblnm_core.workers import run_tasks

pytestmark = pytest.mark.faults

N_MUTATIONS = int(os.environ.get("IBLNM_MUTATIONS", "30"))
"""Broken files in all; `make faults` asks for more."""

SHARES = {"input": 0.65, "session file": 0.15, "table": 0.15, "note": 0.05}
LONGEST_S = 30.0
READ = (*DATASET_KINDS.values(), r"_ibl_experiment\.description\.yaml", r"raw_.*/_iblrig_taskSettings\.raw\.json")
BESIDE = ("subjects.csv", "fibers.csv", "session_details.jsonl", "sessions.pqt", "datasets.pqt")


def number_of(what):
    return max(int(N_MUTATIONS * SHARES[what]), 4)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A root over two sessions of one mouse, computed and collected."""
    folder = tmp_path_factory.mktemp("mutated")
    plans = [
        SessionPlan(SUBJECTS["DEMO-DA1"], dt.date(2025, 3, day), 1, "biased", 8.0, pace=CLINIC_PACE, pose=day == 3)
        for day in (3, 4)
    ]
    cohort = write_cohort(folder / "cache", plans)
    root = create_root(folder / "root", cache=cohort.cache)
    for task in catalogue_of(root).tasks(cohort.eids):
        assert not process_session(task).failed
    for name in COLLECTED:
        table = collect(root, name).table
        assert isinstance(table, Table)
        write_table(root.path, table)
    return root, *cohort.eids


def outcomes_of(function, tries):
    """Run tries one after the other in a process of their own; none may hang, crash or end untyped."""
    counts, wrong = Counter(), []
    for outcome in run_tasks(function, tries, workers=1):
        if outcome.result is None:
            wrong.append(f"{outcome.task.number} {outcome.task.mutation}: {outcome.error!r}")
            continue
        counts[outcome.result.word] += 1
        if outcome.result.word == "untyped" or outcome.result.seconds > LONGEST_S:
            wrong.append(f"{outcome.task.number} {outcome.task.mutation}: {outcome.result}")
    assert not wrong, "\n".join(wrong)
    return counts


def test_a_broken_input_costs_its_session_alone(made):
    root, eid, other = made
    cache, listed = root.cache, catalogue_of(root).listed[eid]
    paths = [path for path in listed.datasets if any(re.fullmatch(pattern, path) for pattern in READ)]
    files = {(listed.folder / path).relative_to(cache).as_posix() for path in paths}
    assert {path.rpartition(".")[2] for path in files} == {"pqt", "npy", "yaml", "json", "jsonable", "ssv"}
    sound = {path: (cache / path).read_bytes() for path in sorted(files | set(BESIDE))}
    before = {eid: results_of(root.session_file(eid), eid) for eid in (eid, other)}
    tries = [
        Try(number, root.path, eid, other, mutation)
        for number, mutation in enumerate(mutations(sound, number_of("input"), seed=3))
    ]
    counts = outcomes_of(try_input, tries)
    record("input mutated", counts)
    assert {"computed", "typed errors"} <= set(counts)
    mend(cache, root.path.parent / "broken_input")
    catalogue, left_out = catalogue_again(root)
    assert not left_out
    for task in catalogue.tasks([eid, other]):
        process_session(task)
    assert {eid: results_of(root.session_file(eid), eid) for eid in (eid, other)} == before
    assert_promise(root)
    assert_up_to_date(root)


def test_a_broken_session_file_is_detected_and_made_anew(made):
    root, eid, other = made
    path = root.session_file(eid).relative_to(root.path).as_posix()
    neighbour = (root.path / path).with_name(f"{other}.h5").read_bytes()
    sound = {path: (root.path / path).read_bytes(), path.replace(eid, other): neighbour}
    tries = [
        Try(number, root.path, eid, other, mutation)
        for number, mutation in enumerate(
            m for m in mutations(sound, 2 * number_of("session file"), 4) if eid in m.path
        )
    ]
    counts = outcomes_of(try_session_file, tries)
    record("session file mutated", counts)
    assert counts["detected, mended"]
    assert root.session_file(other).read_bytes() == neighbour
    assert_promise(root)
    assert_up_to_date(root)


def test_a_broken_table_is_detected_and_made_anew(made):
    root, eid, other = made
    for name in COLLECTED:
        table = collect(root, name).table
        if isinstance(table, Table):
            write_table(root.path, table)
    paths = ["errors", "trials", "qc_photometry", "performance", "response_cells"]
    files = [str(COLLECTED[name][0].path) for name in paths]
    sound = {path: (root.path / path).read_bytes() for path in files}
    tries = [
        Try(number, root.path, eid, other, mutation)
        for number, mutation in enumerate(mutations(sound, number_of("table"), seed=5))
    ]
    counts = outcomes_of(try_table, tries)
    record("table mutated", counts)
    assert counts["detected, mended"]
    assert_promise(root)


def test_broken_notes_and_settings_cost_nothing_or_are_refused(made):
    root, eid, _ = made
    note_current(root, {eid: [[1, 2, 3], "state"]})
    note_availability(root, {eid: "the server was away"}, [])
    dead = root.path / "metadata" / "under_way" / "of-a-dead-run.json"
    dead.parent.mkdir(exist_ok=True)
    dead.write_text(f'["{eid}"]')
    notes = ["iblnm.toml", "metadata/current.json", "metadata/unavailable.json", dead.relative_to(root.path).as_posix()]
    sound = {path: (root.path / path).read_bytes() for path in notes}
    counts = Counter()
    for mutation in mutations(sound, 4 * number_of("note"), seed=6):
        path = root.path / mutation.path
        path.write_bytes(mutation.content)
        refusal = ""
        try:
            opened = open_root(root.path)
            catalogue = catalogue_of(opened)
            due = set(catalogue.status()["due"].dropna())
            unavailable_sessions(opened)
        except ConfigurationError as error:
            refusal = str(error)
        if refusal:
            assert mutation.path == "iblnm.toml", mutation
            assert str(root.path) in refusal
        else:
            # a note that says nothing makes nothing due
            assert opened.parameters != root.parameters or due == set()
        counts["refused" if refusal else "computed"] += 1
        path.write_bytes(sound[mutation.path])
    record("note or setting mutated", counts)
    note_availability(root, {}, [eid])
    dead.unlink()
    assert_promise(root)


def test_the_broken_files_are_the_same_every_time():
    sound = {"a": random.Random(1).randbytes(300), "b": b"some text", "c": b""}
    some = list(mutations(sound, 30, seed=1))
    assert some == list(mutations(sound, 60, seed=1))[:30]
