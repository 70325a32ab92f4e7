"""Freezes of a root: whole or absent, never changed; and what a comparison says of sessions, settings and numbers."""

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.report_pages import assert_accessible, assert_opens_from_disk, parsed, table_of, text_of
from tests_support.sessions import catalogue_of

from iblnm_core.cohort.collect import COLLECTED, collect, stage_errors
from iblnm_core.cohort.labels import add_label, read_labels
from iblnm_core.cohort.selection import Selection, account_table, recordings_table, select
from iblnm_core.errors import ConfigurationError, CorruptArtifact
from iblnm_core.freezing import manifest as manifests
from iblnm_core.freezing import storing
from iblnm_core.freezing.comparing import Comparison, compare, differences
from iblnm_core.freezing.manifest import is_kept, summary_of
from iblnm_core.freezing.page import comparison_page, write_comparison
from iblnm_core.freezing.rows import BECAME, LOST, NOISE, P_VALUE, RowChanges, compare_rows
from iblnm_core.freezing.storing import FOLDER, MANIFEST, checked_name, freeze, open_state
from iblnm_core.freezing.wording import account, summary
from iblnm_core.reports.render import render_cohort
from iblnm_core.root import create_root, open_root
from iblnm_core.schemas import (
    CORRECTIONS,
    ERRORS,
    LABELS,
    PERFORMANCE,
    RECORDINGS,
    SELECTION,
    SESSION_STATUS,
    SESSIONS,
    STAGE_LOGS,
    TABLES,
    TRIALS,
)
from iblnm_core.session import pipeline
from iblnm_core.session.fingerprint import library_versions
from iblnm_core.session.pipeline import process_session
from iblnm_core.sources.indexing import index_cache
from iblnm_core.storage.tables import Table, make_table, read_table, write_table

SIGNAL = "alf/photometry/photometry.signal.pqt"

KILLED = """
import os, signal, sys
from iblnm_core.freezing import storing
from iblnm_core.root import open_root

whole, copied = storing._copied, []

def third_time(*arguments):
    copied.append(arguments)
    if len(copied) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*arguments)

storing._copied = third_time
storing.freeze(open_root(sys.argv[1]), "second")
"""
"""A freeze that is killed when some of its tables are written."""


def brought_up_to_date(root):
    """Compute what is due and make the tables, as the graph does, without analyses and figures."""
    catalogue = catalogue_of(root)
    for task in catalogue.tasks(catalogue.due()):
        process_session(task)
    for name in COLLECTED:
        table = collect(root, name).table
        if isinstance(table, Table):
            write_table(root.path, table)
    errors, status = read_table(root.path, ERRORS), catalogue.status()
    labels = read_labels(root.path).rows
    rules = Selection.of(root.parameters)
    sessions, performance, corrections = (read_table(root.path, s) for s in (SESSIONS, PERFORMANCE, CORRECTIONS))
    chosen = select(sessions, errors, rules, performance, status, labels, corrections)
    made = {
        LABELS: labels,
        SESSION_STATUS: status,
        SELECTION: account_table(chosen),
        RECORDINGS: recordings_table(chosen),
        **{schema: stage_errors(errors, stage) for stage, schema in STAGE_LOGS.items()},
    }
    for schema, rows in made.items():
        write_table(root.path, make_table(schema, rows))


@pytest.fixture(scope="module")
def made(tmp_path_factory, copies):
    """A root over two sessions that is up to date, and a freeze of it named `first`. Read only: `world` is a copy."""
    folder = tmp_path_factory.mktemp("frozen")
    cohort = copies(folder / "root" / "cache", 2)
    root = create_root(folder / "root", cache=cohort.cache)
    brought_up_to_date(root)
    freeze(root, "first")
    return root, cohort


@pytest.fixture
def world(made, tmp_path):
    """A copy of that root, and its session folders by session id."""
    original, cohort = made
    shutil.copytree(original.path, tmp_path / "root")
    root = open_root(tmp_path / "root")
    folders = {eid: root.path / path.relative_to(original.path) for eid, path in cohort.folders.items()}
    return root, folders


def change_one_sample(folder):
    """Change one sample of the signal of a session by a hundredth."""
    path = folder / SIGNAL
    table = pd.read_parquet(path)
    region = next(name for name in table if name.startswith(("G", "R")))
    table.loc[table.index[table["wavelength"] == 470][1000], region] *= 1.01
    path.unlink()
    table.to_parquet(path)


def since_first(root):
    return compare(open_state(root, "first"), open_state(root, "now"))


def words_of(comparison):
    return "\n".join("\n".join([*b.lines, *("  ".join(row) for row in b.rows)]) for b in account(comparison, None))


# --- freezes on disk


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../out",
        "a/b",
        "a\\b",
        "/abs",
        "-rf",
        ".hidden",
        "now",
        "compare_a_b.html",
        "a\n",
        "ä",
        "a b",
        "x" * 65,
        "a\0",
    ],
)
def test_a_name_that_could_be_a_path_or_something_else_is_refused(name, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot name a freeze"):
        checked_name(name)
    assert list(tmp_path.iterdir()) == []


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True))
def test_other_names_are_taken_as_they_are(name):
    if name != "now" and not name.startswith("compare_"):
        assert checked_name(name) == name


def test_a_freeze_holds_what_the_numbers_rest_on(world):
    root, folders = world
    folder = root.path / FOLDER / "first"
    manifest = json.loads((folder / MANIFEST).read_bytes())
    assert set(manifest["sessions"]) == set(folders)
    session = manifest["sessions"][min(folders)]
    assert session["fibers"] == [0, 1]
    assert re.fullmatch("[0-9a-f]{32}", session["inputs"][SIGNAL])
    assert session["outputs"]["responses"]["state"] == "stored"
    assert manifest["parameters"]["trials"]["minimum_trials"] == root.parameters.trials.minimum_trials
    assert {"numpy", "scipy", "matplotlib", "statsmodels", "iblnm"} <= set(manifest["libraries"])
    assert manifest["tables"]["performance"]["kept"]
    assert not manifest["tables"]["trials"]["kept"]
    assert manifest["tables"]["trials"]["summary"]["contrast"]["n"] == len(read_table(root.path, TRIALS))
    kept = {name for name, entry in manifest["tables"].items() if entry["kept"]}
    assert {path.stem for path in (folder / "tables").iterdir()} == kept >= {"recordings", "selection", "errors"}
    assert str(root.path) not in (folder / MANIFEST).read_text()


def test_equal_states_have_equal_manifests_and_nothing_is_different(world):
    root, _ = world
    first = (root.path / FOLDER / "first" / MANIFEST).read_bytes()
    # the session files were copied: tables that are collected anew note other times
    before = (root.path / PERFORMANCE.path).read_bytes()
    brought_up_to_date(root)
    assert (root.path / PERFORMANCE.path).read_bytes() != before
    second = freeze(root, "second")
    assert (second.path / MANIFEST).read_bytes() == first
    comparison = compare(open_state(root, "first"), open_state(root, "second"))
    assert comparison.nothing
    assert summary(comparison).startswith("Nothing changed: 2 sessions")
    assert since_first(root).nothing


def test_a_name_that_is_taken_is_refused_and_the_freeze_stays_as_it_is(world):
    root, _ = world
    before = {path: path.read_bytes() for path in (root.path / FOLDER).rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match="exists"):
        freeze(root, "first")
    assert {path: path.read_bytes() for path in (root.path / FOLDER).rglob("*") if path.is_file()} == before


def test_an_interrupted_freeze_does_not_exist_and_leaves_no_trace(world, monkeypatch):
    root, _ = world

    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(storing, "_copied", interrupted)
    with pytest.raises(KeyboardInterrupt):
        freeze(root, "second")
    monkeypatch.undo()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(root.path)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list((root.path / FOLDER).glob(".unfinished-*/tables/*.pqt"))) == 2
    with pytest.raises(ConfigurationError, match="there is no freeze second"):
        open_state(root, "second")
    freeze(root, "second")
    assert sorted(path.name for path in (root.path / FOLDER).iterdir()) == [".lock", "first", "second"]


def test_a_table_that_changes_meanwhile_ends_the_freeze(world, monkeypatch):
    root, _ = world
    original = storing.manifest_of

    def overtaken(*arguments):
        made = original(*arguments)
        write_table(root.path, make_table(PERFORMANCE, read_table(root.path, PERFORMANCE).iloc[:1]))
        return made

    monkeypatch.setattr(storing, "manifest_of", overtaken)
    with pytest.raises(ConfigurationError, match="performance changed while it was frozen"):
        freeze(root, "second")
    assert not (root.path / FOLDER / "second").exists()


def test_a_root_that_is_not_up_to_date_is_refused(world):
    root, folders = world
    change_one_sample(folders[min(folders)])
    with pytest.raises(ConfigurationError, match=rf"out of date \(input\): session {min(folders)}"):
        freeze(root, "second")
    for task in catalogue_of(root).tasks([min(folders)]):
        process_session(task)
    with pytest.raises(ConfigurationError, match=r"tables are older than the sessions: .*qc_photometry"):
        freeze(root, "second")
    comparison = since_first(root)
    assert any("older than the sessions" in text for text in comparison.notices)
    assert "Not up to date" in [block.title for block in account(comparison, 5)]
    brought_up_to_date(root)
    freeze(root, "second")


def test_labels_that_no_run_has_seen_are_not_up_to_date(world):
    root, folders = world
    add_label(root.path, min(folders), 1, "reject", author="ana")
    with pytest.raises(ConfigurationError, match=r"older than the sessions: labels.* recordings"):
        freeze(root, "second")


def test_a_damaged_table_is_named(world):
    root, _ = world
    path = root.path / PERFORMANCE.path
    table = make_table(PERFORMANCE, read_table(root.path, PERFORMANCE))
    other = make_table(PERFORMANCE, read_table(root.path, PERFORMANCE).assign(n_trials=7))
    write_table(root.path, other)
    good = path.read_bytes()
    path.write_bytes(good.replace(other.content_hash.encode(), table.content_hash.encode()))
    with pytest.raises(CorruptArtifact, match="table performance"):
        freeze(root, "second")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tables/performance.pqt", b"other", "is not what was frozen"),
        ("tables/performance.pqt", None, "cannot be read"),
        (MANIFEST, b"{", "no manifest"),
        (MANIFEST, b'{"format": 99}', "format 99"),
        (MANIFEST, b'{"format": 1, "tables": {}}', "it lacks behind, code"),
        (MANIFEST, None, "there is no freeze first in"),
    ],
)
def test_a_freeze_that_somebody_changed_is_no_freeze(world, file, content, message):
    root, _ = world
    path = root.path / FOLDER / "first" / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        open_state(root, "first").read("performance")


def test_a_manifest_cannot_lead_out_of_its_folder(world):
    root, _ = world
    path = root.path / FOLDER / "first" / MANIFEST
    manifest = json.loads(path.read_bytes())
    manifest["tables"]["../../../data/performance"] = manifest["tables"]["performance"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(ConfigurationError, match="which none can be"):
        open_state(root, "first").read("../../../data/performance")


# --- what is different, and why


def test_one_changed_sample_is_named_with_its_session_dataset_and_numbers(world):
    root, folders = world
    changed = min(folders)
    change_one_sample(folders[changed])
    brought_up_to_date(root)
    comparison = since_first(root)
    (session,) = comparison.sessions
    assert (session.eid, session.kind) == (changed, "changed")
    assert re.fullmatch(rf"input {SIGNAL}: [0-9a-f]{{8}} → [0-9a-f]{{8}}", session.reasons[0])
    assert len(session.reasons) == 1
    tables = {table.name: table for table in comparison.tables}
    assert {"response_matrix", "condition_traces", "qc_photometry"} <= set(tables)
    assert "performance" not in tables
    moved = comparison.moved
    assert set(moved[moved["table"] == "response_matrix"]["row"]) <= {f"{session.name}, fiber_idx {n}" for n in (0, 1)}
    assert tables["responses"].by_summary
    assert not comparison.notices
    assert f"mouse {folders[changed].parts[-2]}" in summary_words(comparison)


def summary_words(comparison):
    return " ".join(words_of(comparison).split())


def test_a_changed_parameter_is_named_with_both_values(world):
    root, folders = world
    settings = root.path / "iblnm.toml"
    settings.write_text(settings.read_text() + "\n[parameters.magnitudes]\nearly_window_s = [0.1, 0.3]\n")
    root = open_root(root.path)
    brought_up_to_date(root)
    comparison = since_first(root)
    (text,) = comparison.settings["Parameters"]
    assert re.fullmatch(r"magnitudes\.early_window_s: \[.*\] → \[0\.1, 0\.3\]", text)
    assert {session.eid for session in comparison.sessions} == set(folders)
    assert all(session.reasons == (f"parameter {text}",) for session in comparison.sessions)
    (sessions,) = [block for block in account(comparison, 5) if block.title == "Sessions"]
    assert len(sessions.rows) == 1, "sessions of which the same became are told once"


def test_a_changed_library_is_named_with_both_versions(world, monkeypatch):
    root, folders = world
    numpy_now = np.__version__
    other = {**library_versions(), "numpy": "99.1"}
    for module in (manifests, pipeline):
        monkeypatch.setattr(module, "library_versions", lambda: other)
    comparison = since_first(root)
    assert comparison.settings["Libraries"] == (f"numpy: {numpy_now} → 99.1",)
    assert comparison.sessions == (), "no session was computed with it"
    for task in catalogue_of(root).tasks([max(folders)], reprocess=True):
        process_session(task)
    brought_up_to_date(root)
    (session,) = since_first(root).sessions
    assert (session.eid, session.reasons) == (max(folders), (f"library numpy: {numpy_now} → 99.1",))


def test_a_changed_code_version_is_named(world):
    root, folders = world
    path = root.path / FOLDER / "first" / MANIFEST
    manifest = json.loads(path.read_bytes())
    now = manifest["code"]["outputs"]["wheel_velocity"]
    manifest["code"]["outputs"]["wheel_velocity"] = "0"
    for entry in manifest["sessions"].values():
        entry["outputs"]["wheel_velocity"]["code"] = "0.0.0"
    path.write_text(json.dumps(manifest))
    comparison = since_first(root)
    assert comparison.settings["Code"] == (f"outputs.wheel_velocity: 0 → {now}",)
    assert [session.reasons for session in comparison.sessions] == [(f"code of wheel_velocity: 0 → {now}",)] * len(
        folders
    )


def test_a_label_and_what_it_takes_out_of_the_selection_are_named(world):
    root, folders = world
    rejected = max(folders)
    add_label(root.path, rejected, 1, "reject", note="<b>jump</b>", author="ana")
    brought_up_to_date(root)
    comparison = since_first(root)
    (session,) = comparison.sessions
    assert session.eid == rejected
    label = "reject (<b>jump</b>) by ana"
    assert session.reasons == (f"label of fibre 1: none → {label}", "fibres that analyses use: 0, 1 → 0")
    assert comparison.settings["Labels"] == (f"{session.name} fibre 1: none → {label}",)
    recordings = next(table for table in comparison.tables if table.name == "recordings")
    assert recordings.rows.went == (f"{session.name}, fiber_idx 1",)
    assert b"<b>jump" not in render_cohort(comparison_page(root, comparison))


def test_sessions_that_come_and_go_are_told(world):
    root, folders = world
    gone = min(folders)
    shutil.rmtree(folders[gone])
    index_cache(root.cache)
    brought_up_to_date(root)
    (unlisted,) = since_first(root).sessions
    assert (unlisted.eid, unlisted.reasons) == (gone, ("fibres that analyses use: 0, 1 → none",)), "it is stored still"
    root.session_file(gone).unlink()
    brought_up_to_date(root)
    freeze(root, "second")
    went = compare(open_state(root, "first"), open_state(root, "second"))
    came = compare(open_state(root, "second"), open_state(root, "first"))
    assert [(s.eid, s.kind, s.reasons) for s in went.sessions] == [
        (gone, "went", ("analyses used 2 of its recordings",))
    ]
    assert [(s.eid, s.kind) for s in came.sessions] == [(gone, "came")]
    assert next(table for table in went.tables if table.name == "performance").rows.went == (went.sessions[0].name,)


# --- rows of tables made by hand


def lmm(**columns):
    base = {
        "target_NM": ["VTA-DA", "VTA-DA", "LC-NE"],
        "term": ["contrast", "reward", "contrast"],
        "Coef.": [1.0, 2.0, 3.0],
        "Std.Err.": [0.1, 0.5, 1.0],
        "P>|z|": [0.001, 0.04, 0.2],
        "q_value": [0.003, 0.06, 0.3],
    }
    return pd.DataFrame(base | columns)


def changes(before, after, key=("target_NM", "term")) -> RowChanges:
    return compare_rows(before, after, key)


def test_a_change_is_told_in_standard_errors_where_the_table_has_some():
    found = changes(lmm(), lmm(**{"Coef.": [1.0, 2.25, 3.0]}))
    (row,) = found.moved.to_dict("records")
    assert (row["row"], row["column"], row["unit"], row["before"], row["after"]) == (
        "VTA-DA, reward",
        "Coef.",
        "standard errors",
        2.0,
        2.25,
    )
    assert row["size"] == pytest.approx(0.5)


def test_a_change_of_significance_is_told_before_a_large_change():
    after = lmm(**{"Coef.": [9.0, 2.0, 3.0], "P>|z|": [0.001, 0.06, 0.2], "q_value": [0.003, 0.06, 0.04]})
    found = changes(lmm(), after).moved.set_index("row")
    assert found["significance"].to_dict() == {
        "VTA-DA, contrast": "",
        "VTA-DA, reward": LOST,
        "LC-NE, contrast": BECAME,
    }
    assert found.loc["VTA-DA, contrast", "size"] == pytest.approx(80)


@pytest.mark.parametrize(
    ("low", "high", "n_errors"),
    [("ci_lower", "ci_upper", 1.96), ("hdi_low", "hdi_high", 1.88), ("lower", "upper", 1.0)],
)
def test_an_interval_stands_for_the_standard_error(low, high, n_errors):
    before = pd.DataFrame({"term": ["a"], "mean": [1.0], low: [1.0 - n_errors], high: [1.0 + n_errors]})
    after = before.assign(mean=3.0)
    (row,) = changes(before, after, ("term",)).moved.to_dict("records")
    assert (row["unit"], row["size"]) == ("standard errors", pytest.approx(2.0))


def test_without_a_standard_error_the_change_is_relative_to_the_larger_value():
    before = pd.DataFrame({"k": ["a", "b", "c", "d"], "r2": [0.5, -0.1, 0.0, np.nan], "sem": [0.0, np.nan, 0.0, 1.0]})
    after = before.assign(r2=[0.4, 0.1, 1e-300, 0.2])
    found = changes(before, after, ("k",)).moved.set_index("row")
    assert found["size"].to_dict() == pytest.approx({"a": 0.2, "b": 2.0, "c": 1.0, "d": np.inf})
    assert set(found["unit"]) == {"relative"}


def test_rows_that_came_or_went_are_matched_by_key_whatever_their_order():
    before = lmm()
    after = pd.concat([lmm().iloc[[2, 0]], lmm().iloc[[1]].assign(term="side")], ignore_index=True)
    for name in ("term", "position", "occurrence"):
        renamed = {"term": name}
        found = changes(before.rename(columns=renamed), after.rename(columns=renamed), ("target_NM", name))
        assert found.moved.empty
        assert (found.came, found.went) == (("VTA-DA, side",), ("VTA-DA, reward",))


def test_rows_that_share_a_key_are_matched_in_their_order():
    before = pd.DataFrame({"k": ["a", "a", None], "value": [1.0, 2.0, 3.0]})
    after = pd.DataFrame({"k": ["a", "a", "a", None], "value": [1.0, 2.5, 7.0, 3.0]})
    found = changes(before, after, ("k",))
    assert found.moved["after"].tolist() == [2.5]
    assert (found.came, found.went) == (("a",), ())


def test_columns_texts_truths_and_lists_are_compared_too():
    before = pd.DataFrame({"k": [1.0, 2.0], "status": ["ok", None], "n": pd.array([1, 2], "Int64"), "gone": 1.0})
    before["draws"] = [np.array([1.0, np.nan]), np.array([2.0])]
    after = before.drop(columns="gone").assign(status=["boundary", None], new=True)
    after["draws"] = [np.array([1.0 + 1e-14, np.nan]), np.array([2.0, 3.0])]
    found = changes(before, after, ("k",))
    assert (found.columns_came, found.columns_went) == (("new",), ("gone",))
    assert found.moved[["row", "column", "unit"]].to_numpy().tolist() == [
        ["k 1", "status", "words"],
        ["k 2", "draws", "words"],
    ]


@given(
    st.lists(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6), min_size=1, max_size=20, unique=True),
    st.floats(-1e-13, 1e-13),
)
def test_rounding_is_no_change_in_values_or_keys(values, noise):
    before = pd.DataFrame({"time": values, "value": values, "sem": np.abs(values)})
    after = before * (1 + noise)
    assert changes(before, after.iloc[::-1], ("time",)).nothing or near(values)


def near(values):
    """Whether two values are so near to each other that rounding could confuse them."""
    ordered = np.sort(values)
    return bool((np.diff(ordered) <= 4 * NOISE * np.abs(ordered[1:])).any())


@given(st.floats(0.1, 10.0), st.floats(1e-11, 1.0))
def test_more_than_rounding_is_a_change(value, by):
    before, after = (pd.DataFrame({"k": ["a"], "r2": [number]}) for number in (value, value * (1 + by)))
    assert len(changes(before, after, ("k",)).moved) == 1


def test_lists_of_numbers_move_by_their_root_mean_square():
    before = pd.DataFrame({"k": ["a", "b"], "draws": [np.array([3.0, 4.0]), np.array([np.nan, 1.0])]})
    after = pd.DataFrame({"k": ["a", "b"], "draws": [np.array([3.0, 3.0]), np.array([0.0, 1.0])]})
    found = changes(before, after, ("k",)).moved
    assert found["size"].tolist() == pytest.approx([1 / 5, 1.0])
    assert set(found["unit"]) == {"relative"}


def test_what_is_tiny_beside_its_column_is_told_but_not_first():
    before = pd.DataFrame({"k": list("abc"), "r2": [1e-9, 0.5, 0.6]})
    found = changes(before, before.assign(r2=[-1e-9, 0.4, 0.6]), ("k",)).moved.sort_values("importance")
    assert found["row"].tolist() == ["a", "b"]
    assert found["size"].tolist() == pytest.approx([2.0, 0.2])


def test_empty_tables_can_be_compared():
    nothing = lmm().iloc[:0]
    assert changes(nothing, nothing).nothing
    assert len(changes(nothing, lmm()).came) == len(changes(lmm(), nothing).went) == 3


def test_the_columns_of_p_values_are_known_in_all_tables():
    found = {
        column.name
        for schema in TABLES.values()
        for column in schema.columns
        if column.kind == "number" and P_VALUE.fullmatch(column.name)
    }
    said = {
        column.name
        for schema in TABLES.values()
        for column in schema.columns
        if column.kind == "number" and re.search("p-value|false discovery|two-sided|Holm", column.description)
    }
    assert said <= found
    assert found.isdisjoint({"probabilityLeft", "probability", "predicted", "pre_event", "q25", "q75", "PC1"})


def test_what_is_kept_is_small_and_holds_no_trials():
    performance, frame = TABLES["performance"], TABLES["modelling_frame"]
    assert is_kept(performance, 1000)
    assert not is_kept(performance, 10**7)
    assert not is_kept(frame, 1000)
    assert not is_kept(TABLES["fibers"], 1000)


def test_a_summary_says_what_is_known_of_columns():
    rows = pd.DataFrame(
        {"x": [1.0, 3.0, np.nan], "word": ["a", "a", None], "none": [None] * 3, "flag": [True, False, True]}
    )
    found = summary_of(rows)
    expected = {"n": 2, "mean": 2, "sd": 2**0.5, "sem": 1, "minimum": 1, "maximum": 3}
    assert found["x"] == pytest.approx(expected)
    assert found["word"] == {"n": 2, "n_different": 1}
    assert found["none"]["n"] == 0
    assert found["flag"] == {"n": 3, "n_different": 2}


def test_differences_are_told_by_dotted_names():
    before = {"a": {"x": 1, "y": [1, 2]}, "b": "same", "gone": 1}
    after = {"a": {"x": 2, "y": [1, 2], "z": None}, "b": "same", "new": {"deep": "v"}}
    assert list(differences(before, after)) == ["a.x: 1 → 2", "gone: 1 → none", "new.deep: none → v"]


# --- the account


def by_hand(before, after) -> Comparison:
    """Compare two states that hold one table and a session with a hostile name."""
    session = {
        "subject": "<script>alert(1)</script>",
        "date": "2025-01-01",
        "fibers": [0],
        "row": {},
        "inputs": {"a": "1" * 32},
    }
    session |= {"outputs": {}, "libraries": {}}
    entry = {"path": "x", "key": ["target_NM", "term"], "n_rows": 3, "kept": True, "made_from": None, "libraries": None}
    states = []
    for name, rows in (("old", before), ("new", after)):
        manifest = {"behind": [], "unsettled": [], "preset": "default", "parameters": {}, "libraries": {}, "labels": {}}
        manifest |= {"code": {"outputs": {}}, "figures": {}}
        manifest["sessions"] = {"e" * 8: session | {"inputs": {"a\x1b[31m": name * 10}}}
        manifest["tables"] = {"lmm": entry | {"content_hash": name, "summary": None}}
        states.append(storing.State(name, manifest, lambda _, rows=rows: rows))
    return compare(*states)


def test_the_page_is_valid_says_the_most_important_first_and_shows_names_as_text(tmp_path, made):
    root = replace(made[0], path=tmp_path)
    after = lmm(**{"Coef.": [9.0, 2.0, 3.0], "q_value": [0.003, 0.06, 0.04]})
    comparison = by_hand(lmm(), after)
    path = write_comparison(root, comparison)
    assert path == tmp_path / FOLDER / "compare_old+new.html"
    content = path.read_bytes()
    tree = parsed(content)
    assert_opens_from_disk(tree)
    assert_accessible(tree)
    assert b"<script>alert" not in content
    assert b"\x1b" not in content
    rows = table_of(tree, "Rows that moved")
    assert [row[1] for row in rows] == ["LC-NE, contrast", "VTA-DA, contrast"]
    assert rows[0][2:] == ["q_value", "0.3", "0.04", "became significant"]
    assert rows[1][2:] == ["Coef.", "1", "9", "80 standard errors"]
    assert "<script>alert(1)</script> 2025-01-01" in text_of(tree)


def test_the_account_shows_the_first_rows_and_counts_the_rest():
    many = pd.DataFrame({"target_NM": "a", "term": [str(n) for n in range(30)], "r2": np.arange(1.0, 31.0)})
    comparison = by_hand(many, many.assign(r2=many["r2"] + 1e-7))
    (numbers,) = [block for block in account(comparison, 20) if block.title == "Numbers"]
    assert (len(numbers.rows), numbers.left_out) == (20, 10)
    assert numbers.rows[0][3] != numbers.rows[0][4], "values that differ are not shown as the same"
    (everything,) = [block for block in account(comparison, None) if block.title == "Numbers"]
    assert (len(everything.rows), everything.left_out) == (30, 0)


def test_tables_that_differ_by_rounding_only_are_no_change():
    comparison = by_hand(lmm(), lmm(**{"Coef.": [1.0 + 1e-14, 2.0, 3.0]}))
    assert comparison.rounded == ("lmm",)
    assert comparison.tables == ()
