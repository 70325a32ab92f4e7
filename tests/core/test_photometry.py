"""The extracted signal: bands, regions and session bounds, against ibl-photometry and on a real recording."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iblphotometry import fpio

from iblnm_core.errors import (
    AmbiguousRegionMapping,
    CorruptDataset,
    DegenerateSignal,
    SignalNotFinite,
    SignalWrongType,
    TrialsNotInPhotometryTime,
)
from iblnm_core.parameters import PRESETS
from iblnm_core.session.photometry import (
    Band,
    Recording,
    check_trials_inside,
    match_regions,
    recording_from_tables,
    restrict_to_session,
    roi_columns,
)
from iblnm_core.session.trials import trials_from_table

DEFAULT, REFERENCE = PRESETS["default"].photometry, PRESETS["reference"].photometry
LOCATIONS = pd.DataFrame({"brain_region": ["VTA-l", "DRN"]}, index=pd.Index(["G0", "G1"], name="ROI"))


def signal_frame(n=41):
    """A signal table of n frames: all LEDs on, then Isosbestic and GCaMP in turn; values number the frames."""
    names = np.where(np.arange(n) % 2, "Isosbestic", "GCaMP").astype(object)
    names[0] = ""
    number = np.arange(n, dtype=np.float64)
    return pd.DataFrame(
        {"times": number / 60, "G0": number, "G1": -number, "name": names, "color": "Blue", "valid": True}
    )


def recording_of(signal, locations=LOCATIONS, parameters=DEFAULT):
    signal = signal if isinstance(signal, pa.Table) else pa.Table.from_pandas(signal)
    locations = locations if isinstance(locations, pa.Table) else pa.Table.from_pandas(locations)
    return recording_from_tables(signal, locations, parameters)


def with_value(row, column, value):
    frame = signal_frame()
    frame.loc[row, column] = value
    return frame


# splitting


def test_bands_hold_their_frames_and_the_first_frame_is_gone():
    found = recording_of(signal_frame())
    assert (found.rois, found.regions) == (("G0", "G1"), ("VTA-l", "DR"))
    assert set(found.bands) == {"GCaMP", "Isosbestic"}
    assert found.bands["GCaMP"].values[:, 0].tolist() == list(range(2, 41, 2))
    assert found.bands["Isosbestic"].values[:, 1].tolist() == [-n for n in range(1, 41, 2)]
    assert found.bands["GCaMP"].times.tolist() == (np.arange(2, 41, 2) / 60).tolist()
    assert (found.n_stray_frames, found.n_invalid_samples) == (0, 0)


def test_frames_under_other_leds_are_counted_and_take_no_samples_away():
    frame = signal_frame()
    # dark, dark, dark, several LEDs, another colour
    frame.loc[[10, 11, 12, 20, 31], "name"] = ["None", "", None, "Isosbestic+GCaMP+RCaMP", "RCaMP"]
    frame.loc[20, "G0"] = np.nan
    found = recording_of(frame.drop(columns="valid"))
    assert (found.n_stray_frames, found.n_invalid_samples) == (2, 0)
    assert len(found.bands["GCaMP"].times) == 20 - 3
    assert len(found.bands["Isosbestic"].times) == 20 - 2


@pytest.mark.parametrize("name", ["valid", "include"])
def test_invalid_frames_are_missing_or_used_and_counted_in_any_case(name):
    frame = signal_frame().rename(columns={"valid": name})
    frame.loc[:5, name] = False
    # what is left out may hold anything
    missing = recording_of(frame.assign(G1=frame["G1"].where(frame.index != 4)))
    assert missing.bands["GCaMP"].values[:, 0].tolist() == list(range(6, 41, 2))
    assert missing.n_invalid_samples == 5
    used = recording_of(frame, parameters=REFERENCE)
    assert used.bands["GCaMP"].values[:, 0].tolist() == list(range(2, 41, 2))
    assert used.n_invalid_samples == 5


def test_a_recording_of_invalid_frames_only_has_no_signal():
    with pytest.raises(DegenerateSignal, match="all 20 frames of band GCaMP are marked as outside the synchronised"):
        recording_of(signal_frame().assign(valid=False))
    assert len(recording_of(signal_frame().assign(valid=False), parameters=REFERENCE).bands["GCaMP"].times) == 20


def test_names_may_come_in_dictionaries_that_differ_from_chunk_to_chunk():
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(signal_frame()), buffer, row_group_size=6)
    table = pq.read_table(buffer, read_dictionary=["name"], columns=["times", "name", "valid", "G0", "G1"])
    assert pa.types.is_dictionary(table.schema.field("name").type)
    assert [len(chunk.dictionary) for chunk in table.column("name").chunks] == [3, 2, 2, 2, 2, 2, 2]
    read, plain = recording_of(table), recording_of(signal_frame())
    for name, band in plain.bands.items():
        np.testing.assert_array_equal(read.bands[name].values, band.values)
        np.testing.assert_array_equal(read.bands[name].times, band.times)


def test_fibres_follow_the_locations_not_the_signal():
    found = recording_of(signal_frame(), LOCATIONS.iloc[::-1])
    assert (found.rois, found.regions) == (("G1", "G0"), ("DR", "VTA-l"))
    assert found.bands["GCaMP"].values[0].tolist() == [-2, 2]
    one = recording_of(signal_frame(), LOCATIONS.iloc[:1])
    assert one.bands["GCaMP"].values.shape == (20, 1)


def test_the_index_of_the_locations_may_be_unnamed():
    assert recording_of(signal_frame(), LOCATIONS.rename_axis(None)).rois == ("G0", "G1")


def test_roi_columns_of_all_kinds():
    assert roi_columns(["G0", "times", "name", "color"]) == ("G0",)
    assert roi_columns(["R0", "G0", "Region3G", "times"]) == ("Region3G",)
    assert roi_columns(["times"]) == ()


BROKEN_SIGNALS = {
    "no rows": (signal_frame().iloc[:0], CorruptDataset, "0 rows; expected one per frame"),
    "only the first frame": (signal_frame().iloc[:1], CorruptDataset, "1 rows; expected one per frame"),
    "no times": (
        signal_frame().drop(columns="times"),
        CorruptDataset,
        "photometry.signal.pqt: column times missing; found G0, G1, name, color, valid",
    ),
    "no column of an ROI": (
        signal_frame().drop(columns="G1"),
        CorruptDataset,
        "column G1 missing; found times, G0, name",
    ),
    "float32": (
        signal_frame().astype({"G1": np.float32}),
        SignalWrongType,
        "photometry.signal.pqt: column G1 is float; expected float64 (double)",
    ),
    "text": (signal_frame().astype({"G0": str}), SignalWrongType, "column G0 is string; expected float64 (double)"),
    "whole numbers": (signal_frame().astype({"times": int}), SignalWrongType, "column times is int64; expected"),
    "not finite": (
        with_value([4, 6, 7], ["G0", "G1"], [[np.nan, 1], [1, 1], [np.nan, np.inf]]),
        SignalNotFinite,
        (
            "photometry.signal.pqt: ROI G0 (VTA-l): 2 samples not finite between 0.067 s and 0.117 s; "
            "ROI G1 (DR): 1 samples not finite between 0.117 s and 0.117 s; expected numbers"
        ),
    ),
    "no band": (
        signal_frame().replace({"name": {"GCaMP": "RCaMP"}}),
        DegenerateSignal,
        "photometry.signal.pqt: no frame of band GCaMP; found Isosbestic, RCaMP",
    ),
    "no names": (signal_frame().assign(name=None), DegenerateSignal, "no frame of band GCaMP; found none"),
    "times that repeat": (
        with_value(20, "times", 18 / 60),
        DegenerateSignal,
        "times of band GCaMP do not increase after 0.300 s (1 times in all)",
    ),
    "times that are missing": (
        with_value(21, "times", np.nan),
        DegenerateSignal,
        "times of band Isosbestic do not increase after 0.317 s (2 times in all)",
    ),
}


@pytest.mark.parametrize("case", BROKEN_SIGNALS)
def test_a_broken_signal_is_refused_with_what_was_found(case):
    frame, error, message = BROKEN_SIGNALS[case]
    with pytest.raises(error) as caught:
        recording_of(frame)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("locations", "message"),
    [
        (
            LOCATIONS.rename(columns={"brain_region": "region"}),
            "photometryROI.locations.pqt: columns region, ROI; expected ROI and brain_region",
        ),
        (LOCATIONS.reset_index(drop=True), "columns brain_region; expected ROI and brain_region"),
        (LOCATIONS.assign(brain_region=["VTA-l", "  "]), "ROI G1 has no brain region; expected its name"),
        (LOCATIONS.assign(brain_region=[None, "DR"]), "ROI G0 has no brain region; expected its name"),
        (LOCATIONS.iloc[:0], "0 rows; expected one per fibre"),
        (LOCATIONS.iloc[[0, 1, 0]], "ROI G0 is listed 2 times; expected once"),
    ],
)
def test_broken_locations_are_refused(locations, message):
    with pytest.raises(CorruptDataset) as caught:
        recording_of(signal_frame(), locations)
    assert message in str(caught.value)


# regions


@pytest.mark.parametrize(
    ("columns", "regions", "expected"),
    [
        (["DR"], ["DRN"], (0,)),
        (["VTA", "SNc-r"], ["VTA-l", "SNc-r"], (0, 1)),
        (["LC-r"], ["LC-l", "LC-r"], (1,)),
        (["SI", "PPT"], [], (0, 1)),
        (["DRN", "SNC-l"], ["SNc-l", "DR"], (1, 0)),
        (["VTA", "VTA"], ["VTA-l", "VTA-l"], (0, 1)),
        (["VTA", "VTA"], ["VTA", "SNc-l", "VTA"], (0, 2)),
        (["VTA"], ["VTA-r", "SNc-l", "VTA-r"], (0,)),
    ],
)
def test_columns_find_their_regions_under_any_spelling(columns, regions, expected):
    assert match_regions(columns, regions) == expected


@pytest.mark.parametrize(
    ("columns", "regions", "message"),
    [
        (["PPT"], ["VTA-l"], r"Photometry column 'PPT' has no match in brain_region \['VTA-l'\]"),
        (
            ["LC"],
            ["LC-l", "LC-r"],
            r"'LC' matches multiple entries in brain_region \['LC-l', 'LC-r'\]: \['LC-l', 'LC-r'\]",
        ),
        (["VTA-l"], ["VTA"], r"Photometry column 'VTA-l' has no match"),
    ],
)
def test_columns_without_one_region_are_refused(columns, regions, message):
    with pytest.raises(AmbiguousRegionMapping, match=message):
        match_regions(columns, regions)


@given(st.permutations(["VTA", "VTA-l", "SNc-r"]))
def test_whether_a_mapping_is_ambiguous_does_not_depend_on_the_order(columns):
    # the side of the bare column is not inferred from what another column left over
    with pytest.raises(
        AmbiguousRegionMapping, match=r"'VTA' matches multiple entries in brain_region .*'VTA-l', 'VTA-r'"
    ):
        match_regions(columns, ["VTA-l", "VTA-r", "SNc-r"])


def test_more_columns_than_fibres_are_refused():
    with pytest.raises(AmbiguousRegionMapping) as caught:
        match_regions(["VTA-l", "VTA"], ["VTA-l", "SNc-r"])
    assert str(caught.value) == (
        "Photometry column 'VTA' has no match in brain_region ['VTA-l', 'SNc-r'] that other columns have not taken"
    )


# session bounds


def regular_recording(end=40.0):
    times = np.arange(0, end, 0.5)
    later = times + 0.25
    return Recording(
        ("G0",), ("VTA",), {"GCaMP": Band(times, times[:, None]), "Isosbestic": Band(later, later[:, None])}, 0, 0
    )


def trials_between(intervals, stimuli=(12.0, 20.0)):
    starts, ends = zip(*intervals, strict=True)
    return pd.DataFrame(
        {"intervals_0": starts, "intervals_1": ends, "stimOn_times": stimuli[0], "feedback_times": stimuli[1]}
    )


def test_bounds_are_the_finite_extremes_or_those_of_the_first_and_last_row():
    trials = trials_between([(np.nan, 14.0), (12.0, 30.0), (16.0, 18.0)])
    times = restrict_to_session(regular_recording(), trials, DEFAULT).bands["GCaMP"].times
    assert times[[0, -1]].tolist() == [7.5, 34.5]
    ordered = trials_between([(13.0, 14.0), (12.0, 30.0), (16.0, 18.0)])
    times = restrict_to_session(regular_recording(), ordered, REFERENCE).bands["GCaMP"].times
    assert times[[0, -1]].tolist() == [8.5, 22.5]


def test_only_pairing_by_position_cuts_to_the_shorter_band():
    trials = trials_between([(10.0, 15.0)])
    # 5 s < t < 20 s: 29 samples at full and half seconds, 30 at the quarters between
    kept = {
        name: [len(band.times) for band in restrict_to_session(regular_recording(), trials, p).bands.values()]
        for name, p in (("default", DEFAULT), ("reference", REFERENCE))
    }
    assert kept == {"default": [29, 30], "reference": [29, 29]}


@pytest.mark.parametrize(
    ("parameters", "intervals"),
    [(DEFAULT, [(np.nan, 14.0), (np.nan, 18.0)]), (REFERENCE, [(np.nan, 14.0), (16.0, 18.0)])],
)
def test_unknown_bounds_are_a_verdict(parameters, intervals):
    with pytest.raises(TrialsNotInPhotometryTime) as caught:
        restrict_to_session(regular_recording(), trials_between(intervals), parameters)
    assert str(caught.value) == "Trials [nan, 18.0] outside photometry [0.0, 39.5]"


@pytest.mark.parametrize("parameters", [DEFAULT, REFERENCE])
@pytest.mark.parametrize(
    ("recording", "stimuli", "message"),
    [
        (regular_recording(), (5.25, 30.0), "Trials [5.2, 30.0] outside photometry [5.5, 36.5]"),
        (regular_recording(), (12.0, 36.75), "Trials [12.0, 36.8] outside photometry [5.5, 36.5]"),
        (regular_recording(), (np.nan, 30.0), "Trials [nan, 30.0] outside photometry [5.5, 36.5]"),
        (regular_recording(5.0), (12.0, 30.0), "Trials [12.0, 30.0] outside photometry [nan, nan]"),
    ],
)
def test_trials_outside_the_recording_are_said_with_both_spans(parameters, recording, stimuli, message):
    trials = trials_between([(10.0, 32.0)], stimuli)
    cut = restrict_to_session(recording, trials, parameters)
    with pytest.raises(TrialsNotInPhotometryTime) as caught:
        check_trials_inside(cut, trials, parameters)
    assert str(caught.value) == message


def test_trials_at_the_very_ends_are_inside():
    trials = trials_between([(10.0, 32.0)], (5.5, 36.5))
    cut = restrict_to_session(regular_recording(), trials, DEFAULT)
    assert cut.bands["GCaMP"].times[[0, -1]].tolist() == [5.5, 36.5]
    check_trials_inside(cut, trials, DEFAULT)


# a real recording


@pytest.fixture(scope="module")
def real(real_session):
    paths = [real_session / f"alf/photometry/{name}.pqt" for name in ("photometry.signal", "photometryROI.locations")]
    trials = real_session / "alf/task_00/_ibl_trials.table.pqt"
    signal = pq.read_table(paths[0], read_dictionary=["name"])
    return signal, pq.read_table(paths[1]), pq.read_table(trials), pd.read_parquet(trials)


def test_bands_equal_those_of_the_library(real):
    signal, locations, table, trials = real
    rename = locations.to_pandas()["brain_region"].to_dict()
    expected = fpio.from_photometry_df(signal.to_pandas().astype({"name": str, "color": str}), rename=rename)
    found = recording_from_tables(signal, locations, REFERENCE)
    assert found.regions == tuple(rename.values()) == ("SI", "PPT")
    assert set(found.bands) == set(expected)
    assert found.n_invalid_samples == int((~signal.to_pandas()["valid"].iloc[1:]).sum())
    for cut in (False, True):
        if cut:
            expected = fpio.restrict_to_session_time(expected, trials)
            found = restrict_to_session(found, trials_from_table(table), REFERENCE)
        for name, band in found.bands.items():
            np.testing.assert_array_equal(band.times, expected[name].index.to_numpy())
            np.testing.assert_array_equal(band.values, expected[name].to_numpy())
    check_trials_inside(found, trials_from_table(table), REFERENCE)


def test_the_default_keeps_the_frames_that_the_reference_cuts(real):
    signal, locations, table, _ = real
    trials = trials_from_table(table)
    whole = recording_from_tables(signal, locations, DEFAULT)
    by_time, by_position = (restrict_to_session(whole, trials, p).bands for p in (DEFAULT, REFERENCE))
    for name, band in by_position.items():
        n = len(band.times)
        np.testing.assert_array_equal(by_time[name].times[:n], band.times)
        assert 0 <= len(by_time[name].times) - n <= 1
