"""Why sessions, tables and figures are as they are: every filter's words, reasons of results, unknown names, hostile texts."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core import errors as error_classes
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import run_analysis
from iblnm_core.answers.ground import Ground
from iblnm_core.answers.making import analysis_standing, differences, table_standing
from iblnm_core.answers.why import why
from iblnm_core.cohort.account import DECIDED_BY, FILTER_WORDS, FIXED, account_of, verdicts_of
from iblnm_core.cohort.blocking import SOUND
from iblnm_core.cohort.labels import add_label, read_labels
from iblnm_core.cohort.selection import ARTEFACT_SESSIONS, Selection, recordings_table, select
from iblnm_core.errors import ConfigurationError, CorruptArtifact, family
from iblnm_core.parameters import PRESETS
from iblnm_core.reports.session_tables import flat
from iblnm_core.reports.texts import UNKNOWN
from iblnm_core.reports.why_sections import session_section
from iblnm_core.root import create_root
from iblnm_core.schemas import (
    CORRECTIONS,
    ERRORS,
    LABELS,
    PERFORMANCE,
    RECORDINGS,
    SESSION_STATUS,
    SESSIONS,
    TABLES,
)
from iblnm_core.storage.tables import make_table, write_table

EID = "0a08b6a4-1996-4c88-9992-a9e4b71004{:02d}"
A, B, C, D, E = (EID.format(number) for number in range(5))
CONTRASTS = [0.0, 6.25, 12.5, 25.0, 100.0]
OUTPUTS = ("trials", "preprocessed_signal", "responses")
HOSTILE = "[bold red]<script>\x1b[31m:smile:\n\u202eend"
FILLING = {"text": "", "integer": 0, "number": np.nan, "truth": False, "texts": [], "numbers": []}


def row_of(schema, **values):
    """A row of a table, of which only what is asked for says something."""
    return {column.name: None if column.nullable else FILLING[column.kind] for column in schema.columns} | values


def session(eid, day=1, **changes):
    """A session that every filter lets pass."""
    sound = {
        "eid": eid,
        "subject": "mouse",
        "start_time": f"2025-03-{day:02d}T10:00:00",
        "session_type": "biased",
        "lab": "lab",
        "session_length": 3600.0,
        "day_n": day,
        "session_n": float(day),
        "brain_region": ["VTA-l"],
        "hemisphere": ["l"],
        "target_NM": ["VTA-DA"],
    }
    return row_of(SESSIONS) | sound | changes


def frame(schema, rows):
    if not rows:
        return schema.arrow().empty_table().to_pandas()
    return pd.DataFrame(list(rows), columns=schema.column_names)


def error(eid, name, **values):
    names = " ".join(family(getattr(error_classes, name)))
    return row_of(ERRORS, eid=eid, error_type=name, error_family=names, stage="task", **values)


def performed(eid, **values):
    return row_of(PERFORMANCE, eid=eid, **{"fraction_correct": 0.9, "contrasts": CONTRASTS, "n_trials": 300.0} | values)


def standing(eid, **states):
    return [
        row_of(SESSION_STATUS, eid=eid, asset=name, state=states.get(name, "ok"), subject="mouse", date="2025-03-01")
        for name in OUTPUTS
    ]


def label(eid, fiber, verdict, **values):
    return row_of(LABELS, eid=eid, fiber_idx=fiber, verdict=verdict, current=True, **values)


def corrected(eid, fiber, correction="robust", status="ok", **values):
    return row_of(
        CORRECTIONS, eid=eid, fiber_idx=fiber, correction=correction, status=status, is_primary=True, **values
    )


class Tables:
    """The tables that a selection is made of, of sound sessions that can be changed."""

    def __init__(self, *sessions, errors=(), statuses=None, performance=None, labels=(), corrections=()):
        eids = [row["eid"] for row in sessions]
        self.sessions = frame(SESSIONS, sessions)
        self.errors = frame(ERRORS, errors)
        self.statuses = frame(SESSION_STATUS, statuses or [row for eid in eids for row in standing(eid)])
        self.performance = frame(PERFORMANCE, [performed(eid) for eid in eids] if performance is None else performance)
        self.labels = frame(LABELS, labels).assign(position=range(len(labels)))
        self.corrections = frame(CORRECTIONS, corrections)

    def account(self, selection=None):
        return account_of(
            selection or Selection(),
            self.sessions,
            self.errors,
            self.statuses,
            performance=self.performance,
            labels=self.labels,
            corrections=self.corrections,
        )


# words of the filters


CASES = {
    "lists_parallel": (
        Tables(session(A, hemisphere=[])),
        {},
        "1 region, 0 sides, 1 target",
        "equally many of each",
    ),
    "session_types": (Tables(session(A, session_type=None)), {}, "unknown", "one of training, biased, ephys"),
    "excluded_subjects": (
        Tables(session(A, subject="test_mouse")),
        {"excluded_subjects": frozenset({"test_mouse"})},
        "test_mouse",
        "none of the 1 subjects left out",
    ),
    "excluded_eids": (
        Tables(session(min(ARTEFACT_SESSIONS))),
        {},
        "a known artefact",
        "no known artefact",
    ),
    "lab": (Tables(session(A, lab=None)), {"lab": "lab"}, "unknown", "lab"),
    "first_session_from": (
        Tables(session(A, 2)),
        {"first_session_from": "2025-03-03"},
        "first session of the subject on 2025-03-02",
        "2025-03-03 or later",
    ),
    "minimum_session_length_s": (
        Tables(session(A, session_length=1199.96)),
        {"minimum_session_length_s": 1200.0},
        "1199.96 s",
        "at least 1200 s",
    ),
    "processed": (
        Tables(session(A), statuses=[*standing(A, responses="out of date")[1:]]),
        {},
        "trials never run; responses out of date",
        "trials, preprocessed_signal, responses ok",
    ),
    "blockers": (
        Tables(
            session(A), errors=[error(A, "InsufficientTrials", measured="60", threshold="90"), error(A, "NMMismatch")]
        ),
        {},
        "InsufficientTrials: 60 found, 90 needed",
        "no blocking error",
    ),
    "labels": (
        Tables(session(A), labels=[label(A, 0, "reject")]),
        {},
        "fibre 0: reject",
        "a fibre in a target that is not reject",
    ),
    "correction": (
        Tables(session(A), corrections=[corrected(A, 0, "no_reference")]),
        {"primary": "robust"},
        "fibre 0: no_reference",
        "robust of a fibre in a target",
    ),
    "targets": (
        Tables(session(A, target_NM=[None])),
        {"targets": ("VTA-DA", "SNc-DA")},
        "unknown",
        "one of VTA-DA, SNc-DA",
    ),
    "minimum_performance": (
        Tables(session(A, session_type="training"), performance=[performed(A, fraction_correct=0.62)]),
        {},
        "0.62",
        "at least 0.7 for training",
    ),
    "required_contrasts": (
        Tables(session(A), performance=[performed(A, contrasts=[100.0, 6.25, 6.25])]),
        {},
        "6.25, 100 %",
        "exactly 0, 6.25, 12.5, 25, 100 %",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_filter_says_what_it_found_and_what_it_needs(name):
    tables, changes, found, needed = CASES[name]
    account = tables.account(replace(Selection(), **changes))
    (failed,) = verdicts_of(account).query("~passed").to_dict("records")
    assert (failed["filter"], failed["found"], failed["needed"]) == (name, found, needed)
    assert failed["decided_by"] == DECIDED_BY.get(name, FIXED)
    assert account.first_failing == {failed["eid"]: name}


def test_every_filter_has_words_and_its_parameter_exists():
    everything = replace(
        Selection(), lab="lab", first_session_from="2025-01-01", minimum_session_length_s=1.0, primary="robust"
    )
    names = Tables(session(A)).account(everything).chosen.passes.columns
    assert set(names) == set(FILTER_WORDS) == {*CASES, "duplicates"}
    parameters = flat(PRESETS["default"])
    assert set(DECIDED_BY.values()) <= set(parameters)
    assert set(DECIDED_BY) <= set(names)


def test_a_value_just_below_its_limit_is_not_shown_as_the_limit():
    tables = Tables(session(A, session_type="training"), performance=[performed(A, fraction_correct=0.69999)])
    verdict = verdicts_of(tables.account()).set_index("filter").loc["minimum_performance"]
    assert (verdict["found"], verdict["needed"], verdict["passed"]) == ("0.69999", "at least 0.7 for training", False)


@pytest.mark.parametrize(
    ("changes", "trials", "selection", "said"),
    [
        ({}, {A: 100, B: 200}, {}, "trials 200 there, 100 here"),
        ({"session_length": 60.0}, {}, {}, "length (s) 3600 there, 60 here"),
        ({"start_time": "2025-03-01T12:00:00"}, {}, {}, "start 2025-03-01T10:00:00 there, 2025-03-01T12:00:00 here"),
        ({"eid": C}, {}, {}, "equal in all else; the first by id"),
        ({"eid": C, "session_length": 9999.0}, {}, {"duplicates": "reference"}, "equal in all else; the first by id"),
    ],
    ids=["trials", "length", "start", "id", "reference"],
)
def test_of_two_sessions_of_a_day_each_says_which_is_used_and_why(changes, trials, selection, said):
    other = session(**{"eid": A} | changes)
    rows = [performed(eid, n_trials=trials.get(eid, 300)) for eid in (A, B, C)]
    account = Tables(session(B), other, performance=rows).account(replace(Selection(), **selection))
    found = verdicts_of(account).set_index(["filter", "eid"]).loc["duplicates", "found"]
    assert found[other["eid"]] == f"{B} is used: {said}"
    assert found[B] == f"preferred to {other['eid']}"


def test_a_session_that_is_not_sound_says_so_of_itself():
    account = Tables(session(A), session(B), errors=[error(A, "MissingRawData")]).account()
    found = verdicts_of(account, [A]).set_index("filter")["found"]
    assert found["duplicates"] == f"{B} is used: this one is not sound, that one is"
    assert account.first_failing == {A: "blockers"}


# the account and the selection are one


@st.composite
def cohorts(draw):
    """Tables in which all filters and duplicates meet."""
    sessions, errors, statuses, performance, labels, corrections = [], [], [], [], [], []
    for number in range(draw(st.integers(0, 8))):
        eid = EID.format(number)
        targets = draw(st.lists(st.sampled_from(["VTA-DA", "PPT-ACh", None]), max_size=2))
        sessions.append(
            session(
                eid,
                draw(st.integers(1, 2)),
                subject=draw(st.sampled_from(["mouse", "test_mouse"])),
                session_type=draw(st.sampled_from(["training", "biased", "passive", None])),
                session_length=draw(st.sampled_from([60.0, 3600.0, np.nan])),
                brain_region=["region"] * len(targets),
                hemisphere=[""] * draw(st.sampled_from([len(targets), len(targets), 0])),
                target_NM=targets,
            )
        )
        errors += [
            error(eid, name)
            for name in draw(st.sets(st.sampled_from(["MissingRawData", "BandInversion", "NMMismatch"]), max_size=2))
        ]
        statuses += standing(eid, responses=draw(st.sampled_from(["ok", "ok", "failed"])))
        performance += [
            performed(eid, fraction_correct=fraction) for fraction in draw(st.sampled_from([[], [0.5], [0.9]]))
        ]
        labels += [label(eid, fiber, draw(st.sampled_from(["keep", "reject"]))) for fiber in range(len(targets))]
        corrections += [
            corrected(eid, fiber, *draw(st.sampled_from([("robust",), ("no_reference",), ("robust", "failed")])))
            for fiber in range(len(targets))
        ]
    selection = replace(
        Selection(),
        primary=draw(st.sampled_from([None, "robust"])),
        minimum_session_length_s=draw(st.sampled_from([None, 100.0])),
        duplicates=draw(st.sampled_from(["resolved", "kept", "reference"])),
    )
    return Tables(
        *sessions,
        errors=errors,
        statuses=statuses or None,
        performance=performance,
        labels=labels,
        corrections=corrections,
    ), selection


FIELDS = {"processed": "required_outputs", "labels": "excluded_labels", "correction": "primary"}
COMES_WITH = {"labels": ["targets"], "correction": ["targets", "labels"]}
NEUTRAL = replace(SOUND, required_outputs=(), blockers=(), excluded_labels=())


def removed_by(tables, selection, name):
    """Sessions that a selection removes which has only this filter, and what comes with it."""
    field = FIELDS.get(name, name)
    only = replace(NEUTRAL, **({field: getattr(selection, field)} if hasattr(selection, field) else {}))
    if name in {"labels", "correction"}:
        # which fibres count depends on the targets, and on those that are left out already
        only = replace(only, targets=selection.targets)
    if name == "correction":
        only = replace(only, excluded_labels=selection.excluded_labels)
    kept = select(
        tables.sessions, tables.errors, only, tables.performance, tables.statuses, tables.labels, tables.corrections
    )
    return set(tables.sessions["eid"]) - set(kept.sessions["eid"])


@settings(max_examples=25)
@given(cohorts())
def test_the_first_filter_that_fails_in_the_account_is_the_one_that_removes_the_session(cohort):
    tables, selection = cohort
    account = tables.account(selection)
    verdicts = verdicts_of(account)
    failed = verdicts[~verdicts["passed"]]
    first = failed.drop_duplicates("eid").set_index("eid")["filter"].to_dict()
    assert first == account.first_failing
    assert set(first) == set(tables.sessions["eid"]) - set(account.chosen.sessions["eid"])
    removed = account.chosen.account.set_index("filter")["removed_in_order"]
    assert pd.Series(first, dtype=object).value_counts().to_dict() == removed[removed > 0].to_dict()
    for name in removed.index.drop("duplicates", errors="ignore"):
        # lists of unequal length are removed whatever filter is on
        together = [name, "lists_parallel", *COMES_WITH.get(name, [])]
        expected = set(failed.loc[failed["filter"].isin(together), "eid"])
        assert expected == removed_by(tables, selection, name), name
    assert len(verdicts) == len(tables.sessions) * len(removed)
    assert verdicts[["found", "needed"]].map(bool).all(axis=None)


# answers of a root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Five sessions: two used, of which one with one fibre; one of few trials, a duplicate, and one of hostile names."""
    folder = tmp_path_factory.mktemp("why")
    (folder / "cache").mkdir()
    created = create_root(folder / "root", source="local", cache=folder / "cache")
    both = {"brain_region": ["VTA-l", "SNc-r"], "hemisphere": ["l", "r"], "target_NM": ["VTA-DA", "SNc-DA"]}
    tables = Tables(
        session(A, 1, **both),
        session(B, 2, **both),
        session(C, 3),
        session(D, 1, session_length=60.0),
        session(E, 1, subject=HOSTILE, session_type=HOSTILE, target_NM=[HOSTILE]),
        errors=[
            error(
                C,
                "InsufficientTrials",
                measured="60",
                threshold="90",
                error_message="n_trials=60 < 90",
                severity="fatal",
            ),
            error(C, "NMMismatch", error_message=f"/data/someone/file {HOSTILE}"),
        ],
        statuses=[
            *standing(A),
            *standing(B),
            *standing(C, responses="failed"),
            *standing(D),
            *standing(E),
        ],
    )
    add_label(created.path, B, 0, "keep", author="ben", note="first look")
    add_label(created.path, B, 0, "reject", author="ana", note=HOSTILE)
    tables.labels = read_labels(created.path).rows
    chosen = tables.account(Selection.of(created.parameters)).chosen
    stored = {
        SESSIONS: tables.sessions,
        ERRORS: tables.errors,
        SESSION_STATUS: tables.statuses,
        PERFORMANCE: tables.performance,
        LABELS: tables.labels,
        RECORDINGS: recordings_table(chosen),
    }
    for schema, rows in stored.items():
        write_table(created.path, make_table(schema, rows))
    for table in run_analysis(created.path, ANALYSES["dataset_overview"], created.parameters).values():
        write_table(created.path, table)
    coefficients, outcomes = ANALYSES["glm_coefficients"].tables
    write_table(created.path, make_table(coefficients, frame(coefficients, [])))
    of_a = {"eid": A, "subject": "mouse", "target_NM": "VTA-DA", "analysis": "session_glm"}
    rows = [
        row_of(outcomes, **of_a, event=event, fiber_idx=0, status="too_few_trials", detail="12 trials")
        for event in ("stimOn", "feedback")
    ]
    write_table(created.path, make_table(outcomes, frame(outcomes, rows)))
    return created


def rows_of(answer, title):
    return next(part.rows for part in answer.parts if part.title.startswith(title))


def notes_of(answer, title):
    return next(part.notes for part in answer.parts if part.title.startswith(title))


def test_a_session_in_the_analyses_says_with_which_recordings(root):
    answer = why(root, B)
    assert answer.sentence == "In cohort analyses, with 1 recording: SNc-DA."
    assert {row[1] for row in rows_of(answer, "Filters")} == {"yes"}
    assert [row[-1] for row in rows_of(answer, "Recordings")] == ["no: labelled reject", "yes"]
    said = [row[1:4] for row in rows_of(answer, "Labels")]
    assert said == [("keep", "superseded", "ben"), ("reject", "last word", "ana")]


def test_a_session_out_of_the_analyses_names_filter_value_and_limit(root):
    answer = why(root, C)
    assert answer.sentence == (
        "Not in cohort analyses: an output that analyses need is not there or out of date (filter processed). Found: "
        "responses failed; needed: trials, preprocessed_signal, responses ok; decided by no parameter. "
        "It fails 1 further filter."
    )
    errors = rows_of(answer, "Errors")
    assert errors[0] == ("InsufficientTrials", "yes", "60", "90", "task", "n_trials=60 < 90")
    assert errors[1][:2] == ("NMMismatch", "no")
    assert "/data/someone" not in errors[1][-1]
    assert rows_of(answer, "Outputs that are not ok") == (("responses", "failed", UNKNOWN, ""),)


def test_a_parameter_that_decides_stands_with_its_value(root):
    strict = replace(
        root, parameters=replace(root.parameters, selection=replace(root.parameters.selection, targets=("LC-NE",)))
    )
    answer = why(strict, A)
    assert answer.sentence.endswith("Found: VTA-DA, SNc-DA; needed: one of LC-NE; decided by selection.targets.")
    decided = {row[0]: row[-1] for row in rows_of(answer, "Filters")}
    assert decided["targets"] == 'selection.targets = ["LC-NE"]'
    assert [row[-1] for row in rows_of(answer, "Recordings")] == ["no: the session is left out by targets"] * 2
    (note,) = notes_of(answer, "Filters")
    assert note.startswith("The stored recordings, on which results stand, are not those of this account")


def test_a_duplicate_shows_the_session_that_is_used(root):
    answer = why(root, D)
    assert f"{A} is used: length (s) 3600 there, 60 here" in answer.sentence
    assert [(row[0], row[-1]) for row in rows_of(answer, "Sessions of that mouse")] == [
        (A, "yes"),
        (D, f"no: gives way to {A}"),
    ]


def test_every_table_of_results_that_names_sessions_has_a_reason_or_rows(root):
    names = {
        schema.name
        for analysis in ANALYSES.values()
        for schema in analysis.tables
        if "eid" in schema.column_names and not schema.name.endswith("_outcomes")
    }
    used, unused = ({row[0]: row[1:] for row in rows_of(why(root, eid), "Tables of results")} for eid in (A, C))
    assert set(used) == set(unused) == names
    assert used["glm_coefficients"] == ("0", "too_few_trials in 2 of 2 groups: 12 trials")
    assert unused["glm_coefficients"] == ("0", "not selected: processed")
    assert used["session_matrix"] == ("1", "")
    assert used["modelling_frame"] == (UNKNOWN, "the table is not stored")


def test_no_text_of_the_data_gives_commands_to_a_terminal_or_a_page(root):
    for answer in (why(root, E), why(root, B), why(root, C)):
        shown = [answer.title, answer.sentence]
        shown += [text for part in answer.parts for row in (part.notes, *part.rows) for text in row]
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", "".join(shown))
    assert "[bold red]<script>" in why(root, E).title


# tables and figures


def steps_of(answer):
    return {row[0]: row[1:] for row in rows_of(answer, "From the catalogue")}


def test_a_table_of_selected_recordings_shows_what_each_filter_leaves(root):
    steps = steps_of(why(root, "recordings"))
    assert steps["sessions of the catalogue"][:3] == ("2", "5", "7")
    assert steps["after session_types"] == ("1", "4", "6", "", "1 session removed: session type is not analysed")
    assert steps["after processed"][1] == "3"
    assert steps["after duplicates"][1] == "2"
    assert steps["selected recordings"][:3] == ("1", "2", "3")
    assert steps["recordings (table)"][:4] == ("1", "2", "3", "3")
    parameters = [row[0] for row in rows_of(why(root, "recordings"), "Parameters")]
    assert "selection.minimum_training_performance" in parameters


def test_a_table_of_results_counts_groups_by_reason(root):
    answer = why(root, "glm_coefficients")
    assert steps_of(answer)["glm_coefficients: groups with a result"] == (
        *("", "", "", "0"),
        "of 2 groups: 2 too_few_trials (12 trials)",
    )
    assert rows_of(answer, "Groups without") == (
        ("glm_coefficients: session_glm", "VTA-DA", "feedback, stimOn", "2", "too_few_trials", "12 trials"),
    )


def test_a_table_is_found_by_its_path_from_the_root_and_from_anywhere(root):
    path = TABLES["session_matrix"].path
    assert why(root, str(path)) == why(root, "session_matrix") == why(root, str(root.path / path))


def test_what_every_session_of_the_catalogue_is_used_for_says_so(root):
    answer = why(root, "session_matrix")
    assert steps_of(answer)["selection"][-1] == "not asked: sessions that it leaves out are used, too"
    assert answer.sentence.endswith("what would be made now of what it reads.")


def test_a_result_says_what_changed_since_it_was_made(root, tmp_path):
    def standing_with(**changes):
        changed = replace(root, parameters=replace(root.parameters, **changes))
        return analysis_standing(Ground.of(changed), "dataset_overview")

    assert standing_with() == "current"
    selection = replace(root.parameters.selection, minimum_training_performance=0.8)
    assert standing_with(selection=selection) == "no: selection.minimum_training_performance was 0.7, is 0.8"
    assert standing_with(modelling=replace(root.parameters.modelling, blocks="all")) == "current"
    assert analysis_standing(Ground.of(root), "task_lmm").startswith("not stored")
    then = {"inputs": {"a": "1", "b": "2"}, "parameters": {}, "code_version": "1"}
    now = {"inputs": {"a": "3"}, "parameters": {}, "code_version": "2"}
    assert differences(then, now) == ["a changed", "b is no input any more", "its code was version 1, is 2"]


def test_labels_that_were_added_since_the_last_run_are_told(root, tmp_path):
    assert table_standing(Ground.of(root), "labels") == "current"
    other = replace(root, path=tmp_path)
    write_table(tmp_path, make_table(LABELS, read_labels(root.path).rows))
    add_label(tmp_path, A, 0, "keep", author="ana")
    assert table_standing(Ground.of(other), "labels") == "no: labels were added since"


def test_figures_that_were_not_drawn_say_so(root):
    answer = why(root, "figures/mean_traces")
    assert answer.sentence == "Not stored, or by another version: `iblnm run` makes it."
    assert "figures/mean_traces" in {row[0] for row in rows_of(answer, "What it is made from")}
    # a name of both is the table, which leads to the figures
    assert why(root, "mean_traces").title.startswith("Table mean_traces")
    assert why(root, "contrast_curves").sentence.endswith("`iblnm why figures/contrast_curves`.")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("modeling_frame", "near: modelling_frame"),
        ("figures/task_encodng", "near: figures/task_encoding"),
        ("anova", "near: anova_subject_means"),
        ("task_lmm", "task_lmm is an analysis; ask about one of its tables: lmm_coefficients_early"),
        (EID.format(99), f"near: {A[:-2]}"),
        (A[:13], f"'{A[:13]}' is not a session id; near: {A}"),
        ("../../etc/passwd", "is neither a session id, nor a table, nor a family of figures"),
        ("", "is neither a session id"),
        ("\x1b[31m" * 100, "is neither a session id"),
    ],
)
def test_an_unknown_name_is_refused_with_what_is_near(root, name, said):
    with pytest.raises(ConfigurationError) as refused:
        why(root, name)
    assert said in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_a_session_that_left_the_catalogue_is_not_unknown(root):
    lost = EID.format(98)
    path = root.session_file(lost)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a session file")
    try:
        answer = why(root, lost)
    finally:
        path.unlink()
    assert answer.sentence == "Not in cohort analyses: it is not in the catalogue, from which they select."
    assert rows_of(answer, "What is known") == (("session file", "stored"),)


def test_a_root_in_which_nothing_was_made_has_answers(root, tmp_path):
    bare = replace(root, path=tmp_path)
    answer = why(bare, "recordings")
    assert answer.sentence.startswith("Not stored")
    assert steps_of(answer)["sessions of the catalogue"][:3] == ("0", "0", "0")
    with pytest.raises(ConfigurationError, match="neither in the catalogue"):
        why(bare, A)


def test_a_damaged_table_is_named_and_costs_a_page_only_its_section(root, tmp_path):
    broken = replace(root, path=tmp_path)
    path = tmp_path / ERRORS.path
    path.parent.mkdir()
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(CorruptArtifact, match="table errors"):
        why(broken, "recordings")
    (notice,) = session_section(broken, A).notices
    assert "table errors" in notice
    assert str(tmp_path) not in notice
