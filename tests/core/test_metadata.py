"""The catalogue's repairs, and what the metadata rules say of a session's row."""

import pandas as pd
import pytest

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.session.metadata import judge_metadata
from iblnm_core.session.verdicts import Judge
from iblnm_core.sources.base import SourceRecord

DATASETS = (
    "raw_task_data_00/_iblrig_taskData.raw.jsonable",
    "raw_video_data/_iblrig_leftCamera.raw.mp4",
    "raw_photometry_data/_neurophotometrics_fpData.channels.csv",
    "raw_photometry_data/_neurophotometrics_fpData.raw.pqt",
    "alf/_ibl_trials.table.pqt",
    "alf/_ibl_wheel.position.npy",
    "alf/photometry/photometry.signal.pqt",
    "alf/photometry/photometryROI.locations.pqt",
)


def record(number=1, **changes):
    """A session of which nothing is doubtful."""
    sound = {
        "eid": f"0a1b2c3d-0000-4000-8000-{number:012d}",
        "subject": "mouse",
        "start_time": f"2025-03-{number:02d}T10:00:00",
        "number": 1,
        "lab": "lab",
        "task_protocol": "_iblrig_tasks_biasedChoiceWorld8.25.0",
        "folder": f"lab/Subjects/mouse/2025-03-{number:02d}/001",
        "datasets": DATASETS,
        "end_time": f"2025-03-{number:02d}T11:00:00",
        "strain": "B6.SJL-Slc6a3t",
        "line": "Ai148xDat",
        "regions": ("VTA-l",),
        "region_source": "_ibl_experiment.description.yaml",
        "n_subject_rows": 1,
        "fiber_sides": ("l",),
    }
    return SourceRecord(**{**sound, **changes})


def rows_of(*records):
    """Catalogue rows as the session step gets them."""
    rows = build_catalogue(index_frame(records)).to_dict("records")
    return [{name: None if not isinstance(v, list) and pd.isna(v) else v for name, v in row.items()} for row in rows]


def errors_of(row):
    judge = Judge()
    judge_metadata(row, judge)
    return {
        finding.error_type: finding.error_message for verdict in judge.verdicts.values() for finding in verdict.findings
    }


def test_nothing_is_doubtful_about_a_sound_session():
    (row,) = rows_of(record())
    assert errors_of(row) == {}
    assert (row["NM"], row["target_NM"], row["hemisphere"]) == ("DA", ["VTA-DA"], ["l"])


GENETICS = ("InvalidStrain", "InvalidLine", "InvalidNeuromodulator")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": "test_mouse"}, {"InvalidSubject": "subject test_mouse is excluded from the project"}),
        ({"n_subject_rows": 0}, {"SubjectNotUnique": "Expected exactly 1 subject for 'mouse', found 0"}),
        ({"n_subject_rows": 2}, {"SubjectNotUnique": "Expected exactly 1 subject for 'mouse', found 2"}),
        ({"strain": "B7"}, {"InvalidStrain": "strain 'B7'; expected among B6.Cg, "}),
        ({"line": "Ai9"}, {"InvalidLine": "line 'Ai9'; expected among ", "InvalidNeuromodulator": "neither strain"}),
        (
            {"strain": None, "line": None},
            {
                "InvalidStrain": "strain None",
                "InvalidLine": "line None",
                "InvalidNeuromodulator": "neither strain None",
            },
        ),
        ({"line": "Ai148xSert"}, {"NMMismatch": "report 5HT, recorded is VTA-DA"}),
        (
            {"fiber_sides": ("r",)},
            {"HemisphereMismatch": "subject mouse: VTA is recorded on the side l, the table of fibres has r"},
        ),
        ({"fiber_sides": ("absent",)}, {"MissingInsertion": "subject mouse: the table of fibres has none in VTA"}),
        ({"regions": ("VTA",)}, {"MissingHemiSuffix": "VTA without hemisphere"}),
        (
            {"regions": ("VP",), "fiber_sides": ("absent",)},
            {"InvalidBrainRegion": "'VP' is not a target", "InvalidTargetNM": "None", "MissingInsertion": "none in VP"},
        ),
        (
            {"filled_regions": ("G1: SNc-r",), "regions": ("VTA-l", "SNc-r"), "fiber_sides": ("l", "r")},
            {"InvalidBrainRegion": "fibre G1 has a blank region in _ibl_experiment.description.yaml; SNc-r is taken"},
        ),
        ({"regions": ()}, {"MissingBrainRegion": "names no brain region"}),
        ({"task_protocol": "x"}, {"InvalidSessionType": "'x' does not match"}),
        ({"end_time": None}, {"InvalidSessionLength": "Missing end_time"}),
        ({"datasets": DATASETS[1:]}, {"DataNotListed": "raw_task"}),
    ],
)
def test_what_is_doubtful_is_said_and_nothing_else(changes, expected):
    (row,) = rows_of(record(**changes))
    found = errors_of(row)
    assert set(found) == set(expected)
    for name, text in expected.items():
        assert text in found[name]


def test_every_fibre_has_its_own_verdict():
    (row,) = rows_of(record(regions=("VTA-l", "SNc-l", "LC"), fiber_sides=("r", "absent", "l")))
    judge = Judge()
    judge_metadata(row, judge)
    assert [f.error_type for f in judge.verdicts["hemisphere_consistent"].findings] == [
        "HemisphereMismatch",
        "MissingInsertion",
        "MissingHemiSuffix",
    ]


@pytest.mark.parametrize("sides", [("midline",), ("both",)])
def test_midline_and_bilateral_fibres_are_on_record_and_nothing_is_wrong(sides):
    (row,) = rows_of(record(regions=("VTA-l",), fiber_sides=sides))
    assert errors_of(row) == {}


def test_a_source_without_tables_of_subjects_and_fibres_says_nothing_about_them():
    (row,) = rows_of(record(strain=None, line=None, n_subject_rows=None, fiber_sides=()))
    judge = Judge()
    judge_metadata(row, judge)
    assert not any(verdict.findings for verdict in judge.verdicts.values())
    assert not {"strain_known", "line_known", "neuromodulator_known"} & set(judge.verdicts)


# repairs


def test_an_unnamed_side_is_that_of_the_table_and_a_named_one_stays():
    rows = rows_of(
        record(1, regions=("VTA",), fiber_sides=("r",)),
        record(2, regions=("VTA-l",), fiber_sides=("r",)),
        record(3, regions=("DRN",), fiber_sides=("midline",), line="Ai148xSert"),
        record(4, regions=("VTA", "VTA"), fiber_sides=("both", "both")),
    )
    assert [row["hemisphere"] for row in rows] == [["r"], ["l"], [""], ["", ""]]
    assert rows[2]["brain_region"] == ["DR"]


def test_a_session_without_regions_takes_those_its_subject_always_has():
    rows = rows_of(
        record(1, regions=("SNC-l",)), record(2, regions=("SNc-l",)), record(3, regions=(), region_source="")
    )
    # names are repaired before they are compared
    assert [row["brain_region"] for row in rows] == [["SNc-l"]] * 3
    found = errors_of(rows[2])
    assert set(found) == {"MissingRegionSource"}
    assert "SNc-l is taken from the subject's other sessions" in found["MissingRegionSource"]


@pytest.mark.parametrize("others", [(("VTA-l",), ("VTA-r",)), ()])
def test_regions_that_others_do_not_agree_on_stay_unknown(others):
    records = [record(2 + place, regions=regions) for place, regions in enumerate(others)]
    strangers = record(9, subject="another", regions=("LC-l",))
    rows = rows_of(record(1, regions=(), region_source=""), *records, strangers)
    assert rows[0]["brain_region"] == []
    assert "MissingRegionSource" in errors_of(rows[0])
    assert "is taken from" not in errors_of(rows[0])["MissingRegionSource"]


TASK = "_iblrig_tasks_{}ChoiceWorld8.25.0"
SAME_DAY = {"start_time": "2025-03-01T14:00:00", "end_time": "2025-03-01T15:00:00"}


@pytest.mark.parametrize(
    ("second", "discarded"),
    [
        ({}, 2),  # as long: the earlier one
        ({"end_time": "2025-03-01T15:30:00"}, 1),  # longer
        ({"end_time": None}, 2),  # nobody knows how long
        ({"task_protocol": TASK.format("habituation")}, None),  # no rival
        ({"subject": "another"}, None),
    ],
)
def test_of_several_sessions_of_a_day_one_is_used(second, discarded):
    rows = rows_of(record(1), record(2, **{**SAME_DAY, **second}))
    raised = [number for number, row in enumerate(rows, 1) if "TrueDuplicateSession" in errors_of(row)]
    assert raised == ([] if discarded is None else [discarded])
    if discarded:
        kept = rows[2 - discarded]["eid"]
        assert kept in errors_of(rows[discarded - 1])["TrueDuplicateSession"]


def test_a_habituation_session_displaces_no_training_session():
    habituation = record(1, task_protocol=TASK.format("habituation"))
    rows = rows_of(habituation, record(2, **SAME_DAY))
    assert [row["duplicate_of"] for row in rows] == [None, None]
