"""The default demo cohort is broken only where planned, arranged otherwise only where planned, and the pipeline sees just that."""

import dataclasses
import datetime as dt
import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from one.api import One
from tests_support.demo import SEED, extracted_by_library, plan
from tests_support.sessions import catalogue_of

from iblnm_core import errors
from iblnm_core.demo import expectations, files
from iblnm_core.demo import plan as plan_module
from iblnm_core.demo.camera import BLACK_LEVEL
from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.expectations import HABITUATION_ERRORS
from iblnm_core.demo.outcome import surprises
from iblnm_core.demo.plants import PLANTS
from iblnm_core.demo.presets import SUBJECTS, demo_plans
from iblnm_core.demo.session import make_session
from iblnm_core.errors import ConfigurationError, MissingExtractedData
from iblnm_core.root import create_root
from iblnm_core.rules import RULES, Consequence, Rule, Severity
from iblnm_core.session import layout
from iblnm_core.session.metadata import absent_categories
from iblnm_core.session.outputs import COMPUTED, ORDINARY
from iblnm_core.session.pipeline import process_session
from iblnm_core.sources.local import LocalSource
from iblnm_core.storage.session_file import SessionFile

PLANS = demo_plans()
BROKEN = {p.plant: p for p in PLANS if p.plant}
SOUND = [p for p in PLANS if not p.plant]
ARRANGED = {p.layout: p for p in PLANS if p.layout != "standard"}
# of stages that are still to come
FUTURE_OUTPUTS = {"wheel_velocity", "video_qc", "task_performance"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("default") / "cache", PLANS, seed=SEED)


@pytest.fixture(scope="module")
def records(cohort):
    return {record.eid: record for record in LocalSource(cohort.cache).list_sessions().records}


@pytest.fixture(scope="module")
def details(cohort):
    lines = (cohort.cache / "session_details.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry.pop("id"): entry for entry in map(json.loads, lines)}


@pytest.fixture(scope="module")
def catalogue(cohort, tmp_path_factory):
    return catalogue_of(create_root(tmp_path_factory.mktemp("root"), cache=cohort.cache))


@pytest.fixture(scope="module")
def reports(catalogue):
    return {task.eid: process_session(task) for task in catalogue.tasks(catalogue.sessions)}


def folder_of(cohort, session):
    return cohort.cache / session.key.folder


def pair(cohort, name):
    """The folder of the broken session, and the content of the same session as it would be without the plant."""
    session = BROKEN[name]
    return folder_of(cohort, session), make_session(dataclasses.replace(session, plant=None), SEED)


def arranged_pair(cohort, name):
    """The folder of the session in another layout, and the content of the same session in the standard one."""
    session = ARRANGED[name]
    return folder_of(cohort, session), make_session(dataclasses.replace(session, layout="standard"), SEED)


def eid_of(name):
    return BROKEN[name].eid(SEED)


def paths_below(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def changed_files(folder, sound):
    before = {path: files.serialised(path, content) for path, content in sound.datasets.items()}
    after = {path: (folder / path).read_bytes() for path in paths_below(folder)}
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    return gone, new, {path for path in before.keys() & after.keys() if before[path] != after[path]}


def read(folder, path):
    return pd.read_parquet(folder / path)


def described_fibers(folder):
    description = yaml.safe_load((folder / files.DESCRIPTION).read_text(encoding="utf-8"))
    return {roi: entry["location"] for roi, entry in description["devices"]["neurophotometrics"]["fibers"].items()}


def runs(values):
    """Lengths of runs of equal values."""
    edges = np.flatnonzero(np.diff(values)) + 1
    return np.diff([0, *edges, len(values)]).tolist()


# --- plants: what they change


def lost(*paths):
    return set(paths), set(), set()


def changed(*paths):
    return set(), set(), set(paths)


TRIAL_FILES = {files.TRIALS, *files.TRIAL_ATTRIBUTES}
FRAMES = (files.SIGNAL, files.RAW_FRAMES)
FIBERS = (files.LOCATIONS, files.DESCRIPTION)
CHANGED_FILES = {
    "no_trials_no_raw": lost(*TRIAL_FILES, files.RAW_TASK),
    "no_trials": lost(*TRIAL_FILES),
    "truncated_trials": changed(files.TRIALS),
    "two_collections": (set(), {path.replace("task_00", "task_01") for path in TRIAL_FILES}, set()),
    "few_trials": changed(*TRIAL_FILES, files.RAW_TASK),
    "incomplete_events": changed(files.TRIALS),
    "nan_interval": changed(files.TRIALS),
    "block_bug": changed(files.TRIALS),
    "block_bug_no_plan": changed(files.TRIALS, files.RAW_SETTINGS),
    "block_bug_training": changed(files.TRIALS),
    "no_wheel_no_raw": lost(files.WHEEL_TIMES, files.WHEEL_POSITION, files.RAW_ENCODER),
    "no_wheel": lost(files.WHEEL_TIMES, files.WHEEL_POSITION),
    "no_signal_no_raw": lost(*FRAMES),
    "no_signal": lost(files.SIGNAL),
    "no_locations": lost(files.LOCATIONS),
    "truncated_signal": changed(files.SIGNAL),
    "raw_missing": lost(files.RAW_FRAMES),
    "raw_layout": changed(files.RAW_FRAMES),
    "signal_nan": changed(files.SIGNAL),
    "signal_float32": changed(files.SIGNAL),
    "led_gap": changed(*FRAMES),
    "led_gaps": changed(*FRAMES),
    "few_unique": changed(*FRAMES),
    "dead_channel": changed(*FRAMES),
    "stray_multi": changed(*FRAMES),
    "band_inversion": changed(*FRAMES),
    "early_sample": changed(*FRAMES),
    "trials_outside": changed(*FRAMES),
    "region_no_match": changed(files.LOCATIONS),
    "region_ambiguous": changed(files.LOCATIONS),
    "duplicate_region": changed(*FIBERS),
    "not_ascii": changed(files.LOCATIONS),
    "no_regions": lost(*FIBERS),
    "blank_region": changed(files.DESCRIPTION),
    "hemisphere": changed(*FIBERS),
    "suffix": changed(*FIBERS),
    "protocol": changed(),
    "midnight": changed(),
    "not_listed": lost(files.RAW_CHANNELS, files.RAW_VIDEO, files.CAMERA_TIMES),
    "video": changed(files.CAMERA_TIMES),
    "same_day": changed(),
    "excluded": changed(),
    "genetics": changed(),
    "unknown_subject": changed(*FIBERS),
}
CHANGED_DETAILS = {
    "block_bug_no_plan": {"json"},
    "not_ascii": {"users", "narrative"},
    "protocol": {"task_protocol", "end_time"},
    "midnight": {"start_time", "end_time"},
    "video": {"extended_qc"},
}


@pytest.mark.parametrize("name", PLANTS)
def test_plants_change_the_files_and_details_they_say_and_no_others(cohort, details, name):
    folder, sound = pair(cohort, name)
    assert changed_files(folder, sound) == CHANGED_FILES[name]
    found = details[eid_of(name)]
    assert found.keys() == sound.details.keys()
    assert {key for key in found if found[key] != sound.details[key]} == CHANGED_DETAILS.get(name, set())


@pytest.mark.parametrize("name", ["truncated_trials", "truncated_signal"])
def test_truncated_files_cannot_be_read(cohort, name):
    folder, sound = pair(cohort, name)
    path = files.TRIALS if name == "truncated_trials" else files.SIGNAL
    whole = files.serialised(path, sound.datasets[path])
    assert (folder / path).read_bytes() == whole[: int(0.6 * len(whole))]
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(folder / path)


def test_second_collection_holds_the_same_trials(cohort):
    folder, _ = pair(cohort, "two_collections")
    pd.testing.assert_frame_equal(read(folder, files.TRIALS), read(folder, files.TRIALS.replace("task_00", "task_01")))


def test_few_trials_are_few_everywhere(cohort):
    folder, sound = pair(cohort, "few_trials")
    trials = read(folder, files.TRIALS)
    pd.testing.assert_frame_equal(trials, sound.table(files.TRIALS).to_pandas().head(60))
    assert {len(np.load(folder / path)) for path in files.TRIAL_ATTRIBUTES} == {60}
    assert len((folder / files.RAW_TASK).read_text().splitlines()) == 60


def test_lost_event_times(cohort):
    folder, _ = pair(cohort, "incomplete_events")
    feedback = read(folder, files.TRIALS)["feedback_times"]
    assert np.flatnonzero(feedback.isna()).tolist() == list(range(5, len(feedback), 6))
    folder, _ = pair(cohort, "nan_interval")
    ends = read(folder, files.TRIALS)["intervals_1"]
    assert np.flatnonzero(ends.isna()).tolist() == [len(ends) - 1]


BLOCK_PLAN = {"LEN_BLOCKS", "POSITIONS", "BLOCK_PROBABILITY_SET"}


@pytest.mark.parametrize("name", ["block_bug", "block_bug_no_plan"])
def test_four_trials_interrupt_the_second_block(cohort, details, name):
    folder, sound = pair(cohort, name)
    trials, meant = read(folder, files.TRIALS), sound.table(files.TRIALS).to_pandas()
    found, planned = trials.pop("probabilityLeft").to_numpy(), meant.pop("probabilityLeft").to_numpy()
    pd.testing.assert_frame_equal(trials, meant)
    assert np.flatnonzero(found != planned).tolist() == [45, 46, 47, 48]
    assert {*planned[45:49]} <= {0.2, 0.8}
    assert {*found[45:49], *planned[45:49]} == {0.2, 0.8}
    assert (found[45:49] != planned[45:49]).all()
    assert runs(planned)[0] == 40
    assert runs(found)[:3] == [40, 5, 4]
    assert min(runs(found)) == 4
    settings = json.loads((folder / files.RAW_SETTINGS).read_text())
    kept = set() if name == "block_bug_no_plan" else BLOCK_PLAN
    assert BLOCK_PLAN & settings.keys() == details[eid_of(name)]["json"].keys() == kept
    assert settings == {key: value for key, value in sound.datasets[files.RAW_SETTINGS].items() if key in settings}


def test_ten_trials_of_a_training_session_are_biased(cohort):
    folder, sound = pair(cohort, "block_bug_training")
    trials, meant = read(folder, files.TRIALS), sound.table(files.TRIALS).to_pandas()
    assert set(meant.pop("probabilityLeft")) == {0.5}
    found = trials.pop("probabilityLeft").to_numpy()
    assert np.flatnonzero(found != 0.5).tolist() == list(range(50, 60))
    assert set(found) == {0.5, 0.8}
    pd.testing.assert_frame_equal(trials, meant)


def test_bad_signal_values(cohort):
    folder, _ = pair(cohort, "signal_nan")
    signal = read(folder, files.SIGNAL)
    assert np.flatnonzero(signal["G0"].isna()).tolist() == list(range(10_001, 10_038))
    assert signal["G1"].notna().all()
    folder, sound = pair(cohort, "signal_float32")
    schema = pq.read_schema(folder / files.SIGNAL)
    assert (schema.field("G0").type, schema.field("G1").type) == (pa.float32(), pa.float64())
    assert schema.names == sound.table(files.SIGNAL).column_names
    folder, _ = pair(cohort, "raw_layout")
    assert pq.read_schema(folder / files.RAW_FRAMES).names[:4] == [
        "FrameCounter",
        "SystemTimestamp",
        "LedStatus",
        "ComputerTimestamp",
    ]


@pytest.mark.parametrize(
    ("name", "lengths", "label"),
    [("led_gap", [10], ""), ("led_gaps", [10, 3], ""), ("stray_multi", [1], "Isosbestic+GCaMP+RCaMP")],
)
def test_odd_led_states_are_in_raw_and_extracted_frames(cohort, name, lengths, label):
    folder, sound = pair(cohort, name)
    raw, signal = read(folder, files.RAW_FRAMES), read(folder, files.SIGNAL)
    odd = ~raw["LedState"].isin([1, 2]).to_numpy()
    odd[0] = False
    assert runs(odd)[1::2] == lengths
    assert odd.sum() == sum(lengths)
    assert set(signal.loc[odd, "name"]) == {label}
    assert signal.loc[odd, "wavelength"].isna().all()
    assert signal.loc[~odd, "name"].iloc[1:].isin(["GCaMP", "Isosbestic"]).all()
    extracted = extracted_by_library(raw)
    assert extracted["name"].tolist() == signal["name"].iloc[1:].tolist()
    assert extracted["color"].tolist() == signal["color"].iloc[1:].tolist()
    for path, labels in ((files.RAW_FRAMES, ["LedState"]), (files.SIGNAL, ["name", "color", "wavelength"])):
        meant = sound.table(path).to_pandas()
        pd.testing.assert_frame_equal(read(folder, path).drop(columns=labels), meant.drop(columns=labels))
        pd.testing.assert_frame_equal(read(folder, path)[~odd], meant[~odd])


def test_dropped_and_early_frames(cohort):
    folder, sound = pair(cohort, "band_inversion")
    raw, signal = read(folder, files.RAW_FRAMES), read(folder, files.SIGNAL)
    assert len(raw) == len(signal) == sound.table(files.RAW_FRAMES).num_rows - 1
    assert (np.diff(raw["LedState"]) == 0).sum() == 1
    assert (np.diff(raw["FrameCounter"]) == 2).sum() == 1
    assert np.diff(signal["times"]).max() == pytest.approx(2 / 60, abs=2e-4)
    folder, _ = pair(cohort, "early_sample")
    for path, column in ((files.RAW_FRAMES, "SystemTimestamp"), (files.SIGNAL, "times")):
        intervals = np.diff(read(folder, path)[column])
        assert (intervals < np.median(intervals) - 0.001).sum() == 1
        assert intervals.min() == pytest.approx(1 / 60 - 0.002, abs=2e-4)
        assert intervals.max() == pytest.approx(1 / 60 + 0.002, abs=2e-4)


@pytest.mark.parametrize("name", ["few_unique", "dead_channel"])
def test_counts_of_few_levels_are_those_of_raw_and_extracted_frames(cohort, name):
    folder, sound = pair(cohort, name)
    states = read(folder, files.RAW_FRAMES)["LedState"].to_numpy()
    rois = [f"G{place}" for place in range(len(BROKEN[name].subject.regions))]
    for path in FRAMES:
        table, meant = read(folder, path), sound.table(path).to_pandas()
        pd.testing.assert_frame_equal(table.drop(columns=rois), meant.drop(columns=rois))
        pd.testing.assert_frame_equal(table[:1], meant[:1])
        for roi in rois:
            levels = {state: sorted(set(table[roi][states == state])) for state in (1, 2)}
            if name == "dead_channel":
                assert levels == {1: [BLACK_LEVEL], 2: [BLACK_LEVEL]}
            else:
                assert {state: len(values) for state, values in levels.items()} == {1: 3, 2: 3}
                assert np.corrcoef(table[roi][states == 2], meant[roi][states == 2])[0, 1] > 0.7
    pd.testing.assert_frame_equal(read(folder, files.RAW_FRAMES)[rois], read(folder, files.SIGNAL)[rois])


def test_short_recording_ends_a_minute_before_the_last_trial(cohort):
    folder, _ = pair(cohort, "trials_outside")
    signal, trials = read(folder, files.SIGNAL), read(folder, files.TRIALS)
    assert signal["times"].iloc[-1] == pytest.approx(trials["intervals_0"].iloc[-1] - 60, abs=0.02)
    assert len(read(folder, files.RAW_FRAMES)) == len(signal)


def test_regions_that_do_not_match(cohort, records):
    names = [
        "region_no_match", "region_ambiguous", "duplicate_region", "blank_region", "hemisphere", "suffix",
        "unknown_subject",
    ]  # fmt: skip
    found = {}
    for name in names:
        folder, record = folder_of(cohort, BROKEN[name]), records[eid_of(name)]
        located = tuple(read(folder, files.LOCATIONS)["brain_region"])
        found[name] = (located, tuple(described_fibers(folder).values()), record.regions, record.filled_regions)
    assert found == {
        "region_no_match": (("PPT", "SNc-r"), ("VTA-l", "SNc-r"), ("VTA-l", "SNc-r"), ()),
        "region_ambiguous": (("LC", "LC"), ("LC-l", "LC-r"), ("LC-l", "LC-r"), ()),
        "duplicate_region": (("NBM", "NBM"), ("NBM", "NBM"), ("NBM", "NBM"), ()),
        "blank_region": (("DR", "MR"), ("DR", ""), ("DR", "MR"), ("G1: MR",)),
        "hemisphere": (("NBM-r",), ("NBM-r",), ("NBM-r",), ()),
        "suffix": (("LC",), ("LC",), ("LC",), ()),
        "unknown_subject": (("VP",), ("VP",), ("VP",), ()),
    }
    record = records[eid_of("no_regions")]
    assert (record.regions, record.region_source) == ((), "")
    implanted = pd.read_csv(cohort.cache / "fibers.csv").set_index("subject")["X-ml_um"]
    # both were implanted on the left
    assert implanted[BROKEN["hemisphere"].subject.name] > 0
    assert implanted[BROKEN["suffix"].subject.name] > 0


@pytest.mark.parametrize(
    ("name", "message"),
    [("region_ambiguous", "expected two in one region"), ("duplicate_region", "expected two fibres")],
)
def test_plants_for_two_fibers_are_refused_for_one(name, message):
    with pytest.raises(ConfigurationError, match=message):
        make_session(plan("DEMO-5HT2", plant=name), SEED)


def test_letters_beyond_ascii_survive(cohort, records, details):
    folder, eid = folder_of(cohort, BROKEN["not_ascii"]), eid_of("not_ascii")
    assert records[eid].users == ("Zoë Müller", "José Ñandú")
    assert not any(name.isascii() for name in read(folder, files.LOCATIONS)["fiber"])
    assert not details[eid]["narrative"].isascii()


def test_strange_protocol_and_unknown_end_are_what_the_source_says(cohort, catalogue, records):
    record, row = (table[eid_of("protocol")] for table in (records, catalogue.sessions))
    assert record.task_protocol == "_iblrig_tasks_cuedBiasedChoiceWorld8.25.0"
    assert record.end_time is None
    assert (row["session_type"], row["target_NM"]) == (None, ["NBM-ACh"])
    assert row["session_length"] is None


def test_session_across_midnight_has_its_length(catalogue, records):
    record, day = records[eid_of("midnight")], BROKEN["midnight"].date
    assert record.start_time == f"{day}T23:55:00"
    assert record.end_time == f"{day + dt.timedelta(days=1)}T00:03:00"
    assert catalogue.sessions[eid_of("midnight")]["session_length"] == 480.0


def test_bad_video_runs_on_and_fails_in_every_respect(cohort, details):
    folder, sound = pair(cohort, "video")
    times, meant = np.load(folder / files.CAMERA_TIMES), sound.datasets[files.CAMERA_TIMES]
    np.testing.assert_array_equal(times[: len(meant)], meant)
    assert times[-1] - meant[-1] == pytest.approx(180)
    np.testing.assert_allclose(np.diff(times[len(meant) :]), 1 / 60)
    quality, planned = details[eid_of("video")]["extended_qc"], sound.details["extended_qc"]
    odd = {key: value for key, value in quality.items() if planned.get(key) != value}
    assert planned.keys() <= quality.keys()
    assert odd.pop("_videoLeft_timestamps") is False
    assert odd.pop("_videoLeft_dropped_frames") == [30, 12, 3]
    assert odd.pop("_videoLeft_pin_state") == [50, 9, 2]
    # what no check expects: no number at all, and a mapping
    assert sorted(map(type, odd.values()), key=str) == [dict, list]
    assert [] in odd.values()


def test_second_session_of_a_day_is_the_shorter_one(cohort):
    second = BROKEN["same_day"]
    (first,) = (p for p in SOUND if (p.subject, p.date) == (second.subject, second.date))
    assert (first.number, second.number) == (1, 2)
    n_first, n_second = (len(read(folder_of(cohort, p), files.TRIALS)) for p in (first, second))
    assert n_first > n_second > 90


def test_tables_of_subjects_and_fibers_leave_the_strangers_out(cohort, records):
    subjects, fibers = (pd.read_csv(cohort.cache / f"{name}.csv") for name in ("subjects", "fibers"))
    assert sorted(subjects["subject"]) == sorted([*SUBJECTS, "photometry_test_subject_A", "DEMO-X1"])
    assert set(fibers["subject"]) == set(SUBJECTS)
    implanted = [
        (name, region.partition("-")[0], {"": 0, "l": 1, "r": -1}[region.partition("-")[2]])
        for name, subject in SUBJECTS.items()
        for region in subject.regions
    ]
    found = zip(fibers["subject"], fibers["targeted_region"], np.sign(fibers["X-ml_um"]), strict=True)
    assert sorted(found) == sorted(implanted)
    genetics = {name: (records[eid_of(name)].strain, records[eid_of(name)].line) for name in BROKEN}
    assert genetics.pop("unknown_subject") == (None, None)
    assert genetics == {name: (p.subject.strain, p.subject.line) for name, p in BROKEN.items() if name in genetics}


# --- plants: what follows


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_expectations_agree_with_the_rules(plant, cohort):
    # every planted name can be a folder name
    rules = [rule for name, rule in RULES.items() if name != "session_paths_safe"]
    assets = {rule.asset for rule in RULES.values()}
    known = {name for rule in RULES.values() for c in rule.consequences for name in errors.family(c.error)}
    stopped = set()
    for expected in plant.expected:
        assert re.compile(expected.message_pattern)
        assert expected.asset in {*COMPUTED, *FUTURE_OUTPUTS}
        if not expected.is_judged:
            # else a rule was meant, and the expectation would never be held
            assert expected.asset not in assets or expected.error_type not in known, expected
            continue
        consequences = [
            c
            for rule in rules
            if rule.asset == expected.asset
            for c in rule.consequences
            if c.error is getattr(errors, expected.error_type)
        ]
        assert consequences, expected
        assert {c.severity is Severity.FATAL for c in consequences} == {expected.fatal}
        stopped |= {output for c in consequences for output in c.stops}
    # without any photometry file or region there is nothing to report the quality of
    assert (plant.absent & set(COMPUTED)) - {"photometry_qc"} == stopped
    assert plant.absent <= {*COMPUTED, *FUTURE_OUTPUTS}
    missing = absent_categories(sorted(paths_below(folder_of(cohort, BROKEN[plant.name]))))
    patterns = [e.message_pattern for e in plant.expected if e.error_type == "DataNotListed"]
    assert patterns == ([f"^{', '.join(missing)}$"] if missing else [])


# as the acceptance table of the cohort has them; of two assets where it tells them apart
ERROR_COUNTS = {
    ("MissingRawData", "trials"): 1,
    ("MissingRawData", "photometry_qc"): 2,
    ("MissingRawData", "wheel_velocity"): 1,
    ("MissingExtractedData", "trials"): 1,
    ("MissingExtractedData", "photometry_qc"): 3,
    ("MissingExtractedData", "wheel_velocity"): 1,
    "CorruptDataset": 2,
    "MultipleCollections": 1,
    "SignalNotFinite": 1,
    "SignalWrongType": 1,
    "UnknownRawLayout": 1,
    "LedStateGap": 2,
    "BandInversion": 1,
    "EarlySamples": 1,
    "FewUniqueSamples": 2,
    "AmbiguousRegionMapping": 2,
    "TrialsNotInPhotometryTime": 1,
    "InsufficientTrials": 1,
    "IncompleteEventTimes": 3,
    "BlockStructureBug": 3,
    "MissingBlockInfo": 1,
    "InvalidSubject": 1,
    "SubjectNotUnique": 1,
    "NMMismatch": 1,
    "InvalidStrain": 2,
    "InvalidLine": 2,
    "InvalidNeuromodulator": 2,
    "InvalidBrainRegion": 2,
    "InvalidTargetNM": 1,
    "MissingRegionSource": 1,
    "HemisphereMismatch": 1,
    "MissingHemiSuffix": 2,
    "MissingInsertion": 3,
    "InvalidSessionType": 1,
    "InvalidSessionLength": 1,
    "DataNotListed": 10,
    "TrueDuplicateSession": 1,
    "MissingVideoTimestamps": 1,
    "VideoLengthError": 1,
    "VideoTimestampsQCError": 1,
    "VideoDroppedFramesQCError": 1,
    "VideoPinStateQCError": 1,
    "InvalidExtendedQC": 1,
    "NoUsableSignal": 2,
}


def test_expected_errors_add_up_to_those_of_the_whole_cohort():
    expected = [e for p in PLANS if p.plant for e in PLANTS[p.plant].expected]
    expected += [e for p in PLANS if p.session_type == "habituation" for e in HABITUATION_ERRORS]
    apart = ("MissingRawData", "MissingExtractedData")
    counts = Counter((e.error_type, e.asset) if e.error_type in apart else e.error_type for e in expected)
    assert counts == ERROR_COUNTS
    fatal = [p for p in PLANTS.values() if any(e.fatal and e.asset != "wheel_velocity" for e in p.expected)]
    assert len(fatal) == 21


def test_expectations_hold_as_soon_as_rule_and_output_exist(monkeypatch):
    broken = plan(plant="no_wheel")
    later = Rule("wheel", "wheel_velocity", "", (Consequence(MissingExtractedData, Severity.FATAL),))
    for rules, outputs in (({}, ()), ({"wheel": later}, ("wheel_velocity",))):
        monkeypatch.setattr(expectations, "RULES", rules)
        monkeypatch.setattr(plan_module, "COMPUTED", outputs)
        expected = [(e.asset, e.error_type) for e in broken.expected]
        assert expected == [("wheel_velocity", "MissingExtractedData") for _ in rules]
        assert broken.absent == set(outputs)


@pytest.mark.parametrize("name", PLANTS)
def test_pipeline_finds_what_is_planted_and_nothing_else(reports, name):
    report = reports[eid_of(name)]
    assert surprises(BROKEN[name], report.eid, report.provenance, report.verdicts) == []


@pytest.mark.parametrize("session", SOUND, ids=lambda p: f"{p.subject.name}-{p.date}-{p.session_type}-{p.layout}")
def test_sound_sessions_have_all_outputs_and_no_fatal_error(reports, session):
    report = reports[session.eid(SEED)]
    assert set(ORDINARY) <= report.provenance.keys()
    assert report.stopped == {}
    assert not report.failed
    assert surprises(session, report.eid, report.provenance, report.verdicts) == []


def test_only_habituation_has_errors_by_nature(reports):
    for session in SOUND:
        verdict = reports[session.eid(SEED)].verdicts["event_times_complete"]
        messages = [finding.error_message for finding in verdict.findings]
        unknown = session.session_type == "habituation"
        assert messages == (["Incomplete events: firstMovement_times"] if unknown else [])


def test_outputs_add_up_to_those_of_the_whole_cohort(reports):
    stored = Counter(
        name for report in reports.values() for name, made in report.provenance.items() if made.state == "stored"
    )
    assert len(reports) == stored["session_metadata"] == 84
    assert (stored["trials"], stored["preprocessed_signal"], stored["responses"]) == (80, 64, 63)
    failed = {name for name in BROKEN if reports[eid_of(name)].failed}
    without_wheel = {"no_wheel_no_raw", "no_wheel"}
    assert len(failed - without_wheel) == 21


# --- layouts


def test_older_instrument_names_and_places_things_otherwise(cohort):
    folder, sound = arranged_pair(cohort, "timestamp")
    moved = {path: path for path in sound.datasets}
    for path in (*TRIAL_FILES, files.WHEEL_TIMES, files.WHEEL_POSITION):
        moved[path] = path.replace("alf/task_00/", "alf/")
    for path in (files.RAW_TASK, files.RAW_SETTINGS, files.RAW_ENCODER):
        moved[path] = path.replace("raw_task_data_00/", "raw_behavior_data/")
    assert paths_below(folder) == set(moved.values())
    assert "alf/_ibl_trials.table.pqt" in moved.values()
    assert "raw_behavior_data/_iblrig_taskData.raw.jsonable" in moved.values()
    rewritten = {files.RAW_FRAMES, *FRAMES, *FIBERS}
    for path in sound.datasets.keys() - rewritten:
        assert (folder / moved[path]).read_bytes() == files.serialised(path, sound.datasets[path])
    raw, meant = read(folder, files.RAW_FRAMES), sound.table(files.RAW_FRAMES).to_pandas()
    assert list(raw) == ["FrameCounter", "Timestamp", "LedState", "Region0G"]
    meant = meant.rename(columns={"SystemTimestamp": "Timestamp", "G0": "Region0G"})
    pd.testing.assert_frame_equal(raw, meant.drop(columns="ComputerTimestamp"))
    signal, meant = read(folder, files.SIGNAL), sound.table(files.SIGNAL).to_pandas()
    assert list(signal) == ["Region0G", "times", "valid", "wavelength", "name", "color"]
    pd.testing.assert_frame_equal(signal, meant.rename(columns={"G0": "Region0G"}))
    locations = read(folder, files.LOCATIONS)
    assert locations.index.name == "ROI"
    assert locations["brain_region"].to_dict() == described_fibers(folder) == {"Region0G": "LC-l"}
    description = yaml.safe_load((folder / files.DESCRIPTION).read_text())
    assert [entry["collection"] for task in description["tasks"] for entry in task.values()] == ["raw_behavior_data"]


def test_flags_hold_led_states_among_digital_lines(cohort):
    folder, sound = arranged_pair(cohort, "flags")
    assert changed_files(folder, sound) == changed(files.RAW_FRAMES)
    raw, meant = read(folder, files.RAW_FRAMES), sound.table(files.RAW_FRAMES).to_pandas()
    assert list(raw) == ["FrameCounter", "Timestamp", "Flags", "G0"]
    assert raw["Flags"].dtype == np.int16
    flags = raw["Flags"].to_numpy()
    assert flags[0] == 16
    lines = flags[1:] - meant["LedState"].to_numpy()[1:] - 16
    assert np.mean(lines > 0) == pytest.approx(0.01, abs=2e-4)
    found = Counter(lines[lines > 0].tolist())
    assert found.keys() == {256, 512}
    assert abs(found[256] - found[512]) <= 1
    meant = meant.rename(columns={"SystemTimestamp": "Timestamp"})
    pd.testing.assert_frame_equal(raw.drop(columns="Flags"), meant.drop(columns=["LedState", "ComputerTimestamp"]))


def test_dead_rois_are_in_the_raw_frames_only(cohort):
    folder, sound = arranged_pair(cohort, "dead_rois")
    assert changed_files(folder, sound) == changed(files.RAW_FRAMES)
    raw, meant = read(folder, files.RAW_FRAMES), sound.table(files.RAW_FRAMES).to_pandas()
    assert list(raw) == [*meant, "G1", "G2"]
    pd.testing.assert_frame_equal(raw[list(meant)], meant)
    assert (raw[["G1", "G2"]] == 1 / 255).all(axis=None)
    assert read(folder, files.LOCATIONS).index.tolist() == list(described_fibers(folder)) == ["G0"]


@pytest.mark.parametrize("name", ARRANGED)
def test_loader_of_the_library_reads_every_layout(cohort, name):
    from iblphotometry.fpio import PhotometrySessionLoader

    session = ARRANGED[name]
    _, sound = arranged_pair(cohort, name)
    loader = PhotometrySessionLoader(eid=session.eid(SEED), one=One(cache_dir=cohort.cache, mode="local"))
    loader.load_trials()
    loader.load_wheel()
    loader.load_photometry()
    assert loader.trials["stimOn_times"].tolist() == sound.table(files.TRIALS)["stimOn_times"].to_pylist()
    assert np.ptp(loader.wheel["times"]) == pytest.approx(np.ptp(sound.datasets[files.WHEEL_TIMES]), abs=0.01)
    assert set(loader.photometry) == {"GCaMP", "Isosbestic"}
    signal = sound.table(files.SIGNAL).to_pandas().set_index("times")
    for band, frame in loader.photometry.items():
        assert tuple(frame.columns) == session.subject.regions
        assert len(frame) > 18_000
        meant = signal.loc[signal["name"] == band, "G0"]
        assert frame.iloc[:, 0].tolist() == meant.loc[frame.index[0] : frame.index[-1]].tolist()


@pytest.mark.parametrize("name", ARRANGED)
def test_extraction_of_the_library_agrees_with_every_layout(cohort, name):
    folder = folder_of(cohort, ARRANGED[name])
    raw, signal = read(folder, files.RAW_FRAMES), read(folder, files.SIGNAL).iloc[1:]
    extracted = extracted_by_library(raw)
    rois = [column for column in signal if column in raw]
    assert len(rois) == 1
    np.testing.assert_array_equal(extracted[rois], signal[rois])
    labels = ["name", "color", "wavelength"]
    unread = np.zeros(len(signal), bool)
    if name == "flags":
        # the library has no label for the first input line beside the output line
        unread = (raw["Flags"].to_numpy()[1:] & 256) > 0
        assert unread.any()
        assert set(extracted.loc[unread, "name"]) == {""}
    pd.testing.assert_frame_equal(
        extracted.loc[~unread, labels].reset_index(drop=True), signal.loc[~unread, labels].reset_index(drop=True)
    )


def results(root, eid):
    with SessionFile(root.session_file(eid), eid) as file:
        return layout.read_trials(file), layout.read_qc(file), layout.read_signals(file), layout.read_responses(file)


def test_results_do_not_depend_on_the_layout(reports, catalogue, tmp_path):
    plans = [dataclasses.replace(p, layout="standard") for p in ARRANGED.values()]
    usual = write_cohort(tmp_path / "cache", plans, seed=SEED)
    usual_root = create_root(tmp_path / "root", cache=usual.cache)
    for task in catalogue_of(usual_root).tasks(usual.eids):
        assert not process_session(task).failed
    for eid, session in usual.plans.items():
        found, expected = results(catalogue.root, eid), results(usual_root, eid)
        for table, meant in zip(found[:2], expected[:2], strict=True):
            pd.testing.assert_frame_equal(table, meant)
        assert tuple(found[2]) == tuple(found[3]) == session.subject.regions
        for region in session.subject.regions:
            pd.testing.assert_series_equal(found[2][region][1], expected[2][region][1])
            np.testing.assert_array_equal(found[3][region].values, expected[3][region].values)
