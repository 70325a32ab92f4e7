"""How far sessions came, and what is complete of each target."""

import numpy as np
import pandas as pd
import pytest

from iblnm_core.analyses.dataset_overview import STEPS, dataset_overview
from iblnm_core.schemas import ERRORS, PERFORMANCE, SESSIONS

CONTRASTS = frozenset({0.0, 6.25, 12.5, 25.0, 100.0})
GOOD = {"qc_videoLeft_timestamps": "PASS", "qc_videoLeft_dropped_frames": "PASS", "qc_videoLeft_pin_state": "WARNING"}


def session(eid, subject="m1", session_type="biased", day=0, targets=("VTA-DA",), **values):
    lists = {
        "target_NM": list(targets),
        "brain_region": [t.split("-")[0] for t in targets],
        "hemisphere": ["l"] * len(targets),
    }
    row = {"eid": eid, "subject": subject, "session_type": session_type, "day_n": day, "session_n": day + 1.0}
    row |= {name: np.array(elements, dtype=object) for name, elements in lists.items()}
    return row | {"start_time": f"2025-01-{day + 1:02d}T10:00:00", "session_length": 3600.0} | GOOD | values


def overview(sessions, errors=(), performance=()):
    failed = [dict.fromkeys(ERRORS.column_names, "") | {"eid": eid, "error_family": family} for eid, family in errors]
    done = [
        {"eid": eid, "fraction_correct": share, "contrasts": np.array(sorted(levels))}
        for eid, share, levels in performance
    ]
    return dataset_overview(
        pd.DataFrame(sessions) if sessions else SESSIONS.arrow().empty_table().to_pandas(),
        pd.DataFrame(done) if done else PERFORMANCE.arrow().empty_table().to_pandas(),
        pd.DataFrame(failed) if failed else ERRORS.arrow().empty_table().to_pandas(),
        minimum_performance=0.7,
        required_contrasts=CONTRASTS,
    )


@pytest.mark.parametrize(
    ("error", "video", "step", "stopped_by"),
    [
        ("", {}, "video_ready", ""),
        ("MissingRawData", {}, "recorded", "MissingRawData"),
        ("InsufficientTrials", {}, "raw_data", "InsufficientTrials"),
        ("BandInversion QCValidationError", {}, "complete_data", "QCValidationError"),
        ("FewUniqueSamples", {}, "complete_data", "FewUniqueSamples"),
        ("MissingInsertion", {}, "video_ready", ""),
        ("", {"qc_videoLeft_pin_state": "FAIL"}, "passes_qc", "qc_videoLeft_pin_state"),
        ("", {"qc_videoLeft_timestamps": "WARNING"}, "passes_qc", "qc_videoLeft_timestamps"),
        ("", {"qc_videoLeft_dropped_frames": None}, "passes_qc", "qc_videoLeft_dropped_frames"),
    ],
)
def test_a_session_comes_as_far_as_its_errors_let_it(error, video, step, stopped_by):
    [row] = overview([session("a", **video)], [("a", error)] if error else ())["session_matrix"].to_dict("records")
    assert (row["step"], row["stopped_by"]) == (step, stopped_by)
    assert step in STEPS


def test_an_early_error_counts_before_a_late_one():
    [row] = overview([session("a")], [("a", "FewUniqueSamples"), ("a", "MissingRawData")])["session_matrix"].to_dict(
        "records"
    )
    assert (row["step"], row["stopped_by"]) == ("recorded", "MissingRawData")


def test_which_sessions_there_are_and_which_are_complete():
    sessions = [
        session("two fibres", targets=("VTA-DA", "SNc-DA")),
        session("no target", day=1, targets=("VP-DA",)),
        session("no type", day=2, session_type="passive"),
        session("worse", "m2", day=3),
        session("better", "m2", day=3),
        session("failed", "m3", day=4),
    ]
    errors = [("worse", "MissingRawData"), ("failed", "QCValidationError")]
    made = overview(sessions, errors)
    assert set(made["session_matrix"]["eid"]) == {"two fibres", "better", "failed"}
    complete = made["complete_recordings"].set_index("target_NM")
    assert complete.loc["VTA-DA", ["n_recordings", "n_sessions", "n_subjects"]].tolist() == [2, 2, 2]
    assert complete.loc["SNc-DA", ["n_recordings", "n_sessions", "n_subjects"]].tolist() == [1, 1, 1]
    assert made["session_matrix"].set_index("eid")["n_recordings"].to_dict() == {
        "two fibres": 2,
        "better": 1,
        "failed": 1,
    }


def test_training_is_proficient_when_it_is_good_and_has_all_contrasts():
    sessions = [
        session(eid, day=day, session_type="training") for day, eid in enumerate(("good", "poor", "easy", "unknown"))
    ]
    performance = [("good", 0.7, CONTRASTS), ("poor", 0.69, CONTRASTS), ("easy", 0.9, {25.0, 100.0})]
    made = overview([*sessions, session("biased", day=9)], (), performance)["session_matrix"].set_index("eid")[
        "proficiency"
    ]
    assert made.to_dict() == dict.fromkeys(("good", "biased"), "proficient") | dict.fromkeys(
        ("poor", "easy", "unknown"), "not_proficient"
    )


def test_nothing_is_an_outcome():
    made = overview([])
    assert made["session_matrix"].empty
    assert made["complete_recordings"].empty
    assert made["dataset_overview_outcomes"]["status"].tolist() == ["no_data"]
