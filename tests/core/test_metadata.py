"""The catalogue's repairs, and what the metadata rules say of a session's row."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.errors import InvalidSessionType
from iblnm_core.parameters import PRESETS
from iblnm_core.session.metadata import judge_metadata, session_type_of
from iblnm_core.session.verdicts import Judge
from iblnm_core.sources.base import SourceRecord
from iblnm_core.vocabulary import OTHER_SESSIONS

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
        "implanted": ("VTA l",),
    }
    return SourceRecord(**{**sound, **changes})


def rows_of(*records):
    """Catalogue rows as the session step gets them."""
    rows = build_catalogue(index_frame(records)).to_dict("records")
    return [{name: None if not isinstance(v, list) and pd.isna(v) else v for name, v in row.items()} for row in rows]


def errors_of(row, preset="default"):
    judge = Judge()
    judge_metadata(row, PRESETS[preset].metadata, judge)
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
            {"implanted": ("VTA r",)},
            {"HemisphereMismatch": "subject mouse: VTA is recorded on the side l, the table of fibres has r"},
        ),
        ({"implanted": ("SNc l",)}, {"MissingInsertion": "subject mouse: the table of fibres has none in VTA"}),
        ({"regions": ("VTA",)}, {"MissingHemiSuffix": "VTA without hemisphere"}),
        (
            {"regions": ("VP",)},
            {"InvalidBrainRegion": "'VP' is not a target", "InvalidTargetNM": "None", "MissingInsertion": "none in VP"},
        ),
        (
            {"filled_regions": ("G1: SNc-r",), "regions": ("VTA-l", "SNc-r"), "implanted": ("VTA l", "SNc r")},
            {"InvalidBrainRegion": "fibre G1 has a blank region in _ibl_experiment.description.yaml; SNc-r is taken"},
        ),
        (
            {"regions": (), "implanted": ()},
            {
                "MissingBrainRegion": "no brain region is named by _ibl_experiment.description.yaml",
                "MissingHemisphere": "no fibre is known",
            },
        ),
        (
            {"regions": (), "region_source": "", "implanted": None},
            {
                "MissingRegionSource": "names a brain region",
                "MissingBrainRegion": "no brain region is named by any dataset",
                "MissingHemisphere": "no fibre is known",
            },
        ),
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
    (row,) = rows_of(record(regions=("VTA-l", "SNc-l", "LC"), implanted=("VTA r", "LC l")))
    judge = Judge()
    judge_metadata(row, PRESETS["default"].metadata, judge)
    assert [f.error_type for f in judge.verdicts["hemisphere_consistent"].findings] == [
        "HemisphereMismatch",
        "MissingInsertion",
        "MissingHemiSuffix",
    ]


@pytest.mark.parametrize("implanted", [("VTA midline",), ("VTA l", "VTA r")])
def test_midline_and_bilateral_fibres_are_on_record_and_nothing_is_wrong(implanted):
    (row,) = rows_of(record(regions=("VTA-l",), implanted=implanted))
    assert errors_of(row) == {}
    assert "not on one side" in errors_of(row, "reference")["MissingInsertion"]


def test_a_source_without_tables_of_subjects_and_fibres_says_nothing_about_them():
    (row,) = rows_of(record(strain=None, line=None, n_subject_rows=None, implanted=None))
    judge = Judge()
    judge_metadata(row, PRESETS["default"].metadata, judge)
    assert not any(verdict.findings for verdict in judge.verdicts.values())
    assert not {"strain_known", "line_known", "neuromodulator_known"} & set(judge.verdicts)


# repairs


def test_an_unnamed_side_is_that_of_the_table_and_a_named_one_stays():
    rows = rows_of(
        record(1, regions=("VTA",), implanted=("VTA r",)),
        record(2, regions=("VTA-l",), implanted=("VTA r",)),
        record(3, regions=("DRN",), implanted=("DR midline",), line="Ai148xSert"),
        record(4, regions=("VTA", "VTA"), implanted=("VTA l", "VTA r")),
    )
    assert [row["hemisphere"] for row in rows] == [["r"], ["l"], [""], ["", ""]]
    assert rows[2]["brain_region"] == ["DR"]


def test_a_session_without_regions_takes_those_its_subject_always_has():
    rows = rows_of(
        record(1, regions=("SNC-l",)), record(2, regions=("SNc-l",)), record(3, regions=(), region_source="")
    )
    assert [row["region_source"] == OTHER_SESSIONS for row in rows] == [False, False, True]
    # names are repaired before they are compared
    assert [row["brain_region"] for row in rows] == [["SNc-l"]] * 3
    found = errors_of(rows[2])
    assert "MissingRegionSource" in found
    assert "SNc-l is taken from the subject's other sessions" in found["MissingRegionSource"]


@pytest.mark.parametrize("others", [(("VTA-l",), ("VTA-r",)), ()])
def test_regions_that_others_do_not_agree_on_stay_unknown(others):
    records = [record(2 + place, regions=regions, implanted=()) for place, regions in enumerate(others)]
    strangers = record(9, subject="another", regions=("LC-l",))
    rows = rows_of(record(1, regions=(), region_source="", implanted=()), *records, strangers)
    assert rows[0]["brain_region"] == []
    assert "MissingRegionSource" in errors_of(rows[0])
    assert "is taken from" not in errors_of(rows[0])["MissingRegionSource"]


FIBERS = [
    (("VTA r", "SNc l"), ["VTA", "SNc"], ["r", "l"]),
    (("NBM r", "NBM l"), ["NBM", "NBM"], ["", ""]),
    (("NBM l", "NBM l"), ["NBM", "NBM"], ["l", "l"]),
    # which of the two is which nobody knows
    (("NBM r", "NBM l", "SI r"), ["NBM", "NBM", "SI"], ["", "", "r"]),
    (("DR midline",), ["DR"], [""]),
]


@pytest.mark.parametrize(("implanted", "regions", "sides"), FIBERS)
def test_a_session_without_regions_takes_those_of_the_table_of_fibres(implanted, regions, sides):
    (row,) = rows_of(record(regions=(), region_source="", implanted=implanted))
    assert (row["brain_region"], row["hemisphere"]) == (regions, sides)
    assert len(row["target_NM"]) == len(regions)
    found = errors_of(row)
    assert f"{', '.join(regions)} is taken from the table of fibres" in found["MissingRegionSource"]
    assert not {"MissingBrainRegion", "MissingHemisphere", "MissingHemiSuffix", "HemisphereMismatch"} & set(found)


def test_a_wrong_suffix_stays_and_says_so():
    (row,) = rows_of(record(regions=("SNc-r", "VTA"), implanted=("VTA r", "SNc l")))
    assert row["hemisphere"] == ["r", "r"]
    assert "SNc is recorded on the side r" in errors_of(row)["HemisphereMismatch"]


@given(
    st.lists(st.sampled_from(["VTA-l", "SNc", "DRN", "NBM-r", "XX", ""]), max_size=4),
    st.none() | st.lists(st.sampled_from(["VTA l", "VTA r", "DR midline", "NBM l"]), max_size=4),
    st.lists(st.sampled_from(["LC-l", "LC"]), max_size=2),
)
def test_regions_hemispheres_and_labels_always_match(regions, implanted, of_sibling):
    fibers = None if implanted is None else tuple(implanted)
    rows = rows_of(
        record(1, regions=tuple(regions), implanted=fibers),
        record(2, regions=tuple(of_sibling), implanted=fibers),
    )
    for row in rows:
        assert len(row["brain_region"]) == len(row["hemisphere"]) == len(row["target_NM"])
        assert len(row["fiber_sides"]) == (0 if implanted is None else len(row["brain_region"]))
        errors_of(row)


@pytest.mark.parametrize(
    ("start", "end", "length", "text"),
    [
        ("2024-01-02T10:00:00.123456", "2024-01-02T11:00:00", 3599.876544, None),
        ("2024-01-02T10:00:00.123456", "2024-01-02T09:00:00", -3600.123456, "expected an end after the start"),
        ("2024-01-02T10:00:00.123456", None, None, "Missing end_time"),
        ("2024-01-02T10:00:00", "2024-01-02T11:00:00Z", None, "both with an offset from UTC or both without"),
        ("2024-01-02T10:00:00+01:00", "2024-01-02T10:00:00+00:00", 3600.0, None),
        ("2024-01-02T10:00:00", "soon", None, "expected times in ISO 8601"),
        ("2024-01-02T23:55:00", "2024-01-03T00:03:00", 480.0, None),
    ],
)
def test_session_length(start, end, length, text):
    (row,) = rows_of(record(start_time=start, end_time=end))
    assert row["session_length"] == pytest.approx(length, abs=1e-6)
    found = errors_of(row)
    assert text is None or text in found["InvalidSessionLength"]
    assert (text is None) == ("InvalidSessionLength" not in found)


def test_a_session_over_midnight_is_invalid_for_the_reference():
    (row,) = rows_of(record(start_time="2024-01-02T23:55:00", end_time="2024-01-03T00:03:00"))
    assert "on different days" in errors_of(row, "reference")["InvalidSessionLength"]


def test_days_and_ranks_of_a_subject():
    starts = ["2024-01-05T10:00:00", "2024-01-02T10:00:00", "2024-01-05T18:00:00", "2024-01-09T09:00:00"]
    rows = rows_of(*(record(number, start_time=start) for number, start in enumerate(starts, 1)))
    assert [row["day_n"] for row in rows] == [3, 0, 3, 7]
    assert [row["session_n"] for row in rows] == [2.0, 1.0, 2.0, 3.0]


def test_mixed_conventions_of_time_are_compared_by_their_written_dates():
    rows = rows_of(record(1, start_time="2024-01-02T23:30:00-05:00"), record(2, start_time="2024-01-03T01:00:00"))
    assert [row["day_n"] for row in rows] == [0, 1]


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("_iblrig_tasks_advancedChoiceWorld8", "advanced"),
        ("_iblrig_tasks_neuromodulatorChoiceWorld8.1", "neuromodulator"),
        ("Histology", "histology"),
        ("ephysChoiceWorld_X", "ephys"),
        ("biasedChoiceWorld_ephyssessions1", "biased"),
        ("_iblrig_tasks_trainingPhaseChoiceWorld", "does not match any"),
        ("samuel_cuedBiasedChoiceWorld", "does not match any"),
        ("_iblrig_tasks_delayChoiceWorld", "does not match any"),
        ("", "does not match any"),
        (None, "does not match any"),
        ("_iblrig_tasks_biasedChoiceWorld_RPE_passiveChoiceWorld", "red flags ['RPE']"),
        ("_iblrig_tasks_ephysChoiceWorld8/_iblrig_tasks_passiveChoiceWorld8", "multiple"),
    ],
)
def test_session_types(protocol, expected):
    try:
        found = session_type_of(protocol)
    except InvalidSessionType as error:
        found = str(error)
    assert expected in found


def test_labels_come_from_the_region_alone():
    rows = rows_of(
        record(1, regions=("VTA-l", "DR")),
        record(2, regions=("XX", "VTA")),
        record(3, regions=("DRN-l", "SNC", "SNC-r", "vta")),
        record(4, subject="another", regions=(), implanted=()),
    )
    assert [(row["target_NM"], row["NM"]) for row in rows] == [
        (["VTA-DA", "DR-5HT"], None),
        ([None, "VTA-DA"], "DA"),
        (["DR-5HT", "SNc-DA", "SNc-DA", None], None),
        ([], None),
    ]
    assert rows[2]["brain_region"] == ["DR-l", "SNc", "SNc-r", "vta"]


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
