"""Example sessions: which recording and stretch stand for a target, what is read of them, and the pictures."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.drawn_families import outside, smallest_font, texts

from iblnm_core.cohort_parameters import FigureParameters
from iblnm_core.errors import ConfigurationError, CorruptArtifact
from iblnm_core.figures.drawing import draw_family
from iblnm_core.figures.example_recordings import ENOUGH_TRIALS, candidates, read_examples, window_start
from iblnm_core.figures.example_session import EXAMPLE_SESSION, round_size
from iblnm_core.figures.theme import DEFAULT
from iblnm_core.parameters import Parameters
from iblnm_core.root import session_folder
from iblnm_core.schemas import PERFORMANCE, RECORDINGS, SELECTION
from iblnm_core.session.layout import preprocessed_part, trials_part, wheel_part
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.storage.session_file import update_session_file
from iblnm_core.storage.tables import make_table, write_table

BEST, SECOND, THIRD = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
FILLING = {"text": "x", "integer": 0, "number": 0.0, "truth": False}


def trials_of(stimuli, feedbacks, contrasts=(100.0, 0.0, 25.0), outcomes=(1.0, -1.0)):
    n = len(stimuli)
    return pd.DataFrame(
        {
            "stimOn_times": stimuli,
            "feedback_times": feedbacks,
            "contrast": np.resize(contrasts, n),
            "feedbackType": np.resize(outcomes, n),
        }
    )


def store(folder, eid, trials, *, wheel=True, fibers=(0,), signal=None):
    """Write a session file: signals at 10 Hz over 100 s, wheel at 10 Hz with the number of the trial as velocity."""
    times = np.arange(1000) / 10
    values = np.sin(times) if signal is None else np.full(len(times), signal)
    parts = {"trials": trials_part(trials)}
    for fiber in fibers:
        made = PreprocessedSignal(
            times=times,
            values=values + fiber,
            sampling_rate_hz=10.0,
            iso_slope=1.0,
            iso_intercept=0.0,
            iso_correlation=1.0,
            mean=0.0,
            standard_deviation=1.0,
            correction="robust",
        )
        parts[f"photometry/R{fiber}/preprocessed"] = preprocessed_part(fiber, made)
    if wheel:
        durations = (trials["feedback_times"] - trials["stimOn_times"]).to_numpy()
        courses = np.arange(31) / 10 <= durations[:, None] + 1e-6
        velocities = np.where(courses, np.arange(len(trials))[:, None], np.nan).astype(np.float32)
        parts["wheel/responses"] = wheel_part(velocities, 10.0)
    path = session_folder(folder) / f"{eid}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    update_session_file(path, eid, lambda _: (parts, lambda _part: True))


def cohort(*rows):
    """Recordings and performance of sessions: eid, fibre, target, type, share of correct choices."""
    columns = ["eid", "fiber_idx", "target_NM", "session_type", "fraction_correct"]
    given_rows = pd.DataFrame(rows, columns=columns).assign(subject="mouse", brain_region="R")
    performance = given_rows[["eid", "fraction_correct"]].drop_duplicates("eid")
    return {"recordings": given_rows.drop(columns="fraction_correct"), "performance": performance}


def example(**values):
    return replace(Parameters(), figures=FigureParameters(**values))


def pictures(tables, parameters=None):
    given_tables = {"selection": SELECTION.arrow().empty_table().to_pandas(), **tables}
    with mpl.rc_context(DEFAULT.rc):
        made = list(EXAMPLE_SESSION.draw(given_tables, parameters or Parameters(), DEFAULT))
        for drawn in made:
            drawn.figure.draw_without_rendering()
    return made


REGULAR = trials_of(10.0 + 3 * np.arange(25), 11.0 + 3 * np.arange(25))


def test_the_best_biased_or_ephys_recording_comes_first_and_equal_ones_by_name():
    tables = cohort(
        ("c", 0, "T", "biased", 0.8),
        ("b", 1, "T", "ephys", 0.8),
        ("b", 0, "T", "ephys", 0.8),
        ("a", 0, "T", "training", 0.9),
        ("d", 0, "T", "biased", np.nan),
        ("e", 0, "T", "biased", 0.7),
        ("f", 0, "U", "biased", 1.0),
    )
    ranked = candidates(tables["recordings"], tables["performance"], "T")
    assert list(zip(ranked["eid"], ranked["fiber_idx"], strict=True)) == [("b", 0), ("b", 1), ("c", 0), ("e", 0)]
    assert not ranked["named"].any()
    # a named session may be of any type; names of other targets do not matter
    named = candidates(tables["recordings"], tables["performance"], "T", ["f", "d", "a"])
    assert named["eid"].tolist() == ["d", "a"]
    assert named["named"].all()
    assert candidates(tables["recordings"], tables["performance"], "T", ["f"])["eid"].tolist() == ranked["eid"].tolist()


@given(
    st.lists(
        st.tuples(st.floats(0.1, 12), st.floats(-2, 5), st.sampled_from(["both", "stimulus", "feedback", "none"])),
        max_size=40,
    ),
    st.floats(1.0, 60.0),
)
@settings(max_examples=60)
def test_the_stretch_has_most_whole_trials_counted_trial_by_trial(drawn, window_s):
    starts = np.cumsum([pause for pause, _, _ in drawn])
    known = [known for _, _, known in drawn]
    stimuli = np.where(np.isin(known, ["both", "stimulus"]), starts, np.nan)
    feedbacks = np.where(np.isin(known, ["both", "feedback"]), starts + [late for _, late, _ in drawn], np.nan)
    trials = trials_of(stimuli, feedbacks)

    def whole(start):
        rows = trials.itertuples()
        end = start + window_s
        return sum(start <= row.stimOn_times <= end and start <= row.feedback_times <= end for row in rows)

    start, n_trials = window_start(trials, window_s)
    if "both" not in known:
        assert n_trials == 0
        return
    assert n_trials == whole(start)
    first = np.nanmin(stimuli)
    best = max(whole(first + 10 * step) for step in range(60))
    if best >= ENOUGH_TRIALS:
        assert n_trials == best
        assert (start - first) % 10 == pytest.approx(0, abs=1e-6) or (start - first) % 10 == pytest.approx(10, abs=1e-6)
    else:
        assert start == first


def test_what_is_read_comes_from_the_first_file_that_has_everything(tmp_path):
    stimuli, feedbacks = REGULAR["stimOn_times"].to_numpy(), REGULAR["feedback_times"].to_numpy().copy()
    # without it, all later feedback would move up by a trial if times were joined by place
    feedbacks[1] = np.nan
    store(tmp_path, BEST, REGULAR, wheel=False)
    store(tmp_path, SECOND, trials_of(stimuli, feedbacks), fibers=(0, 1))
    tables = cohort((BEST, 0, "T", "biased", 0.9), (SECOND, 1, "T", "biased", 0.8), (THIRD, 0, "U", "biased", 0.8))
    read = read_examples(tmp_path, tables, Parameters())
    chosen, unseen = read["example_windows"].to_dict("records")
    assert (chosen["eid"], chosen["fiber_idx"], chosen["missing"]) == (SECOND, 1, "")
    assert (chosen["start_s"], chosen["end_s"], chosen["n_trials"]) == (20.0, 50.0, 10)
    assert unseen["missing"].startswith("no file of the 1 selected biased or ephys recordings")
    trials = read["example_trials"].set_index("trial")
    whole = trials.dropna(subset=["stimOn_times", "feedback_times"])
    assert (whole["feedback_times"] - whole["stimOn_times"] == 1.0).all()
    assert trials["contrast_rank"].map({0: 0.0, 1: 25.0, 2: 100.0}).tolist() == trials["contrast"].tolist()
    traces = read["example_traces"]
    signal = traces[traces["trace"] == "photometry"]
    assert signal["value"].tolist() == pytest.approx((np.sin(signal["time_s"]) + 1).tolist())
    assert (signal["time_s"].min(), signal["time_s"].max()) == (20.0, 50.0)
    wheel = traces[traces["trace"] == "wheel"].dropna()
    # the velocity is the number of the trial, from its stimulus to its feedback
    trial = wheel["value"].astype(int).to_numpy()
    late = wheel["time_s"].to_numpy() - stimuli[trial]
    assert set(np.round(late, 6)) == set(np.round(np.arange(11) / 10, 6))
    assert 1 not in trial


def test_traces_of_trials_are_not_joined(tmp_path):
    store(tmp_path, BEST, REGULAR)
    read = read_examples(tmp_path, cohort((BEST, 0, "T", "biased", 0.9)), Parameters())
    wheel = read["example_traces"].query("trace == 'wheel'")
    joined = wheel["value"].notna() & wheel["value"].shift().notna()
    assert (wheel["time_s"].diff()[joined] < 0.11).all()
    assert wheel["value"].isna().sum() >= 9


def test_the_picture_shows_events_and_traces_as_they_are_read(tmp_path):
    store(tmp_path, BEST, REGULAR)
    tables = cohort((BEST, 0, "XX-NEW", "biased", 0.9))
    read = read_examples(tmp_path, tables, Parameters())
    [drawn] = pictures(read)
    assert drawn.name == "example_XX_NEW"
    events, photometry, wheel = drawn.figure.axes
    trials = read["example_trials"]
    outcomes = {"^": (1, DEFAULT.correct, DEFAULT.correct), "X": (-1, DEFAULT.incorrect, "white")}
    marks = {line.get_marker(): line for line in events.lines if line.get_marker() in outcomes}
    for marker, (outcome, edge, face) in outcomes.items():
        times = trials.loc[trials["feedbackType"] == outcome, "feedback_times"].dropna()
        assert marks[marker].get_xdata().tolist() == times.tolist()
        assert (marks[marker].get_markeredgecolor(), marks[marker].get_markerfacecolor()) == (edge, face)
    stimuli = {line.get_markerfacecolor(): line.get_xdata() for line in events.lines if line.get_marker() == "o"}
    assert list(stimuli) == ["0.000", "0.500", "1.000"]
    assert stimuli["0.500"].tolist() == trials.loc[trials["contrast"] == 25, "stimOn_times"].dropna().tolist()
    for axes, trace in ((photometry, "photometry"), (wheel, "wheel")):
        rows = read["example_traces"][read["example_traces"]["trace"] == trace]
        [line] = [line for line in axes.lines if line.get_linewidth() == 1.0]
        np.testing.assert_array_equal(line.get_ydata(), rows["value"])
    assert {"0.5 z", "5 s", "photometry", "25 %", "correct"} <= set(texts(drawn))
    assert any(text.endswith("rad/s") for text in texts(drawn))
    assert outside(drawn) == []
    assert smallest_font(drawn) >= 7
    assert (
        f"mouse, session {BEST}, fibre 0 (R), chosen for the highest share of correct choices (0.900)" in drawn.caption
    )
    assert drawn.counts == {"n_recordings": 1, "n_sessions": 1, "n_subjects": 1, "n_trials": 10}
    assert len(drawn.data) == len(read["example_traces"]) + trials[["stimOn_times", "feedback_times"]].count().sum()


@pytest.mark.parametrize("signal", [np.nan, 1.0])
def test_a_signal_that_is_unknown_or_constant_is_drawn_as_that(tmp_path, signal):
    store(tmp_path, BEST, REGULAR.head(2), signal=signal)
    [drawn] = pictures(read_examples(tmp_path, cohort((BEST, 0, "T", "biased", 0.9)), Parameters()))
    assert ("not known in this stretch" in texts(drawn)) == np.isnan(signal)
    assert "30 s from the first stimulus (2 whole trials), as no 30 s has 8" in drawn.caption
    assert outside(drawn) == []


def test_what_cannot_be_shown_is_said_in_words(tmp_path):
    store(tmp_path, BEST, trials_of(np.array([10.0, np.nan]), np.array([np.nan, 12.0])))
    tables = cohort((BEST, 0, "T", "biased", 0.9), (SECOND, 0, "U", "training", 0.9))
    few, training = pictures(read_examples(tmp_path, tables, Parameters()))
    assert few.missing == f"session {BEST} has no trial with stimulus and feedback within 30 s"
    assert training.missing == "no selected biased or ephys session of the target has a share of correct choices"
    for drawn in (few, training):
        assert drawn.missing in texts(drawn)
    [nothing] = pictures(read_examples(tmp_path, {name: rows.head(0) for name, rows in tables.items()}, Parameters()))
    assert nothing.missing == "the catalogue has no session"


def test_a_named_session_is_shown_whatever_its_type_and_must_be_selected(tmp_path):
    store(tmp_path, BEST, REGULAR)
    store(tmp_path, SECOND, REGULAR)
    tables = cohort((BEST, 0, "T", "biased", 0.9), (SECOND, 0, "T", "training", np.nan))
    read = read_examples(tmp_path, tables, example(example_eids=(SECOND,), example_window_s=15.0))
    [window] = read["example_windows"].to_dict("records")
    assert (window["eid"], window["end_s"] - window["start_s"]) == (SECOND, 15.0)
    assert "named by `figures.example_eids`" in pictures(read)[0].caption
    with pytest.raises(ConfigurationError, match=f"names {THIRD}; expected sessions of the table recordings"):
        read_examples(tmp_path, tables, example(example_eids=(THIRD,)))


def test_it_is_drawn_again_when_the_shown_session_changed_and_only_then(tmp_path):
    tables = cohort((BEST, 0, "T", "biased", 0.9), (SECOND, 0, "T", "biased", 0.8))
    performance = tables["performance"].set_index("eid")["fraction_correct"]
    write_table(tmp_path, make_table(RECORDINGS, filled(RECORDINGS, tables["recordings"])))
    rows = tables["performance"].assign(fraction_correct=performance.to_numpy())
    write_table(tmp_path, make_table(PERFORMANCE, filled(PERFORMANCE, rows)))
    write_table(tmp_path, make_table(SELECTION, SELECTION.arrow().empty_table().to_pandas()))
    for eid in (BEST, SECOND):
        store(tmp_path, eid, REGULAR)

    def draw():
        return draw_family(tmp_path, EXAMPLE_SESSION, Parameters())

    first = draw()
    assert first.drawn
    assert [figure.name for figure in first.figures] == ["example_T"]
    assert not draw().drawn
    store(tmp_path, SECOND, REGULAR, signal=2.0)
    assert not draw().drawn
    store(tmp_path, BEST, REGULAR, signal=2.0)
    again = draw()
    assert again.drawn
    assert again.content_hash != first.content_hash
    path = session_folder(tmp_path) / f"{BEST}.h5"
    path.write_bytes(path.read_bytes()[:512])
    with pytest.raises(CorruptArtifact, match=BEST):
        draw()


def filled(schema, rows):
    """Return rows with all columns of a schema."""
    missing = {column.name: FILLING.get(column.kind) for column in schema.columns if column.name not in rows}
    lists = {name: [[]] * len(rows) for name, value in missing.items() if value is None}
    return rows.assign(**{**missing, **lists})


def test_bars_have_round_sizes():
    assert [round_size(value) for value in (1.0, 1.9, 2.0, 4.99, 5.0, 0.3, 0.07, 9.99, 1234.0)] == pytest.approx(
        [1.0, 1.0, 2.0, 2.0, 5.0, 0.2, 0.05, 5.0, 1000.0]
    )
