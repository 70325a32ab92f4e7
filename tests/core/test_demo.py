"""The demo cohort is a real ONE cache, has the sessions that are said, is what its seed says, and looks like a recording."""

import dataclasses
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from one.api import One
from tests_support.demo import SEED, extracted_by_library, plan

from iblnm_core.demo import files
from iblnm_core.demo.behaviour import _draw_recorded, simulate_behaviour, trial_columns
from iblnm_core.demo.cohort import STATEMENT, write_cohort
from iblnm_core.demo.counts import BLACK_LEVEL
from iblnm_core.demo.effects import EARLY_WINDOW_S, EVENTS, TARGET_EFFECTS
from iblnm_core.demo.identity import random_stream
from iblnm_core.demo.layouts import LAYOUTS
from iblnm_core.demo.noise import coloured_noise, event_train, responses_to
from iblnm_core.demo.plan import CLINIC_PACE, DEMO_PACE, HOUR_PACE
from iblnm_core.demo.plants import PLANTS
from iblnm_core.demo.presets import SUBJECTS, demo_plans, hour_plans, ruler_plans, tiny_plans
from iblnm_core.demo.session import session_content, simulate_session
from iblnm_core.demo.signal import event_gains, side_sign, variance_budget
from iblnm_core.errors import ConfigurationError
from iblnm_core.identifiers import is_eid
from iblnm_core.parameters import PRESETS
from iblnm_core.session.correcting import preprocess
from iblnm_core.session.metadata import absent_categories
from iblnm_core.sources.local import LocalSource
from iblnm_core.vocabulary import EXCLUDED_SUBJECTS, split_region


def contents(folder):
    """Hashes of all files below a folder, cache tables as frames: the time they were made stands in them."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in {"sessions.pqt", "datasets.pqt"}:
            found[name] = pd.read_parquet(path).reset_index().to_json(default_handler=str)
        else:
            found[name] = hashlib.blake2b(path.read_bytes()).hexdigest()
    return found


TINY = (plan("DEMO-DA1"), plan("DEMO-5HT2", 1, kind="training"), plan("DEMO-NE3", 2))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("tiny") / "cache", TINY, seed=SEED)


@pytest.fixture(scope="module")
def client(tiny):
    return One(cache_dir=tiny.cache, mode="local")


# --- a real ONE cache


def test_client_finds_all_sessions_and_datasets(tiny, client):
    assert sorted(str(eid) for eid in client.search()) == sorted(tiny.eids)
    assert [str(eid) for eid in client.search(subject="DEMO-NE3")] == [tiny.eids[2]]
    assert client.search(task_protocol="training")[0] == uuid.UUID(tiny.eids[1])
    for eid, session in tiny.plans.items():
        folder = tiny.cache / session.key.folder
        on_disk = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        assert set(client.list_datasets(eid)) == on_disk
        assert len(on_disk) == 16
        assert absent_categories(sorted(on_disk)) == []
    datasets = client._cache["datasets"]
    assert datasets["hash"].isna().all()
    folders = [tiny.cache / tiny.plans[str(eid)].key.folder for eid in datasets.index.get_level_values(0)]
    sizes = [(folder / path).stat().st_size for folder, path in zip(folders, datasets["rel_path"], strict=True)]
    assert sizes == datasets["file_size"].tolist()


def test_client_loads_every_kind_of_file(tiny, client):
    eid = tiny.eids[0]
    trials = client.load_object(eid, "trials", collection="alf/task_00")
    assert {"intervals", "choice", "goCueTrigger_times", "stimOff_times", "quiescencePeriod"} <= set(trials)
    assert len({len(values) for values in trials.values()}) == 1
    wheel = client.load_object(eid, "wheel", collection="alf/task_00")
    assert wheel["position"].shape == wheel["timestamps"].shape
    signal = client.load_dataset(eid, "photometry.signal.pqt", collection="alf/photometry")
    assert list(signal.columns) == ["G0", "G1", "times", "valid", "wavelength", "name", "color"]
    locations = client.load_dataset(eid, "photometryROI.locations.pqt", collection="alf/photometry")
    assert locations["brain_region"].to_dict() == {"G0": "VTA-l", "G1": "SNc-r"}
    description = client.load_dataset(eid, "_ibl_experiment.description.yaml")
    assert description["devices"]["neurophotometrics"]["fibers"]["G1"] == {"location": "SNc-r"}


def test_every_parquet_file_has_schema_metadata(tiny):
    for path in tiny.cache.rglob("*.pqt"):
        assert pq.read_schema(path).metadata, path
    assert sorted(p.name for p in tiny.cache.glob("*.pqt")) == ["datasets.pqt", "sessions.pqt"]


def test_photometry_loader_of_the_library_reads_a_session(tiny, client):
    from iblphotometry.fpio import PhotometrySessionLoader, restrict_to_session_time

    loader = PhotometrySessionLoader(eid=tiny.eids[0], one=client)
    loader.load_trials()
    loader.load_photometry(restrict_to_session=False)
    whole = {band: len(frame) for band, frame in loader.photometry.items()}
    restricted = restrict_to_session_time(loader.photometry, loader.trials)
    assert set(restricted) == {"GCaMP", "Isosbestic"}
    for band, frame in restricted.items():
        assert list(frame.columns) == ["VTA-l", "SNc-r"]
        assert len(frame) < whole[band]
        assert frame.index[0] > loader.trials["intervals_0"].iloc[0] - 5
        assert frame.index[-1] < loader.trials["intervals_1"].iloc[-1] + 5
        assert np.median(np.diff(frame.index)) == pytest.approx(1 / 30, abs=1e-4)


def test_extraction_of_the_library_agrees_with_the_signal_table(tiny):
    folder = tiny.cache / tiny.sessions[0].key.folder
    raw, signal = pd.read_parquet(folder / files.RAW_FRAMES), pd.read_parquet(folder / files.SIGNAL)
    extracted = extracted_by_library(raw)
    for column in ("name", "color", "wavelength", "G0", "G1"):
        assert extracted[column].tolist() == signal[column].iloc[1:].tolist()


def test_local_source_reads_everything_beside_the_sessions(tiny):
    records = {record.eid: record for record in LocalSource(tiny.cache).list_sessions().records}
    assert set(records) == set(tiny.eids)
    for eid, session in tiny.plans.items():
        record = records[eid]
        assert record.regions == session.subject.regions
        assert (record.strain, record.line, record.genotype) == (session.subject.strain, session.subject.line, ("Het",))
        assert record.start_time == f"{session.date}T10:00:00"
        assert record.end_time > record.start_time
        assert record.users


def test_details_and_tables_name_the_planned_blocks_and_fibers(tiny):
    lines = (tiny.cache / "session_details.jsonl").read_text().splitlines()
    details = {entry["id"]: entry for entry in map(json.loads, lines)}
    assert details[tiny.eids[1]]["json"] == {}
    block_info = details[tiny.eids[0]]["json"]
    trials = pd.read_parquet(tiny.cache / TINY[0].key.folder / files.TRIALS)
    planned = np.repeat(np.arange(len(block_info["LEN_BLOCKS"])), block_info["LEN_BLOCKS"])[: len(trials)]
    assert trials.groupby(planned)["probabilityLeft"].agg(np.ptp).eq(0).all()
    left = trials["contrastRight"].isna().to_numpy()
    assert (np.array(block_info["POSITIONS"])[: len(trials)] < 0).tolist() == left.tolist()
    fibers = pd.read_csv(tiny.cache / "fibers.csv")
    assert fibers.shape == (5, 19)
    assert np.sign(fibers.loc[fibers["subject"] == "DEMO-NE3", "X-ml_um"]).tolist() == [1, -1]
    assert (fibers.loc[fibers["targeted_region"] == "DR", "X-ml_um"] == 0).all()


# --- identity and determinism


def test_ids_are_version_4_and_name_the_seed():
    eids = {(seed, p): p.eid(seed) for seed in (1, 2) for p in demo_plans()}
    assert all(is_eid(eid) for eid in eids.values())
    assert {uuid.UUID(eid).version for eid in eids.values()} == {4}
    assert len(set(eids.values())) == len(eids)


def test_sessions_depend_on_nothing_but_plan_and_seed(tiny, tmp_path):
    together = contents(tiny.cache)
    by_workers = write_cohort(tmp_path / "workers", TINY[::-1], seed=SEED, workers=2)
    assert contents(by_workers.cache) == together
    for session in TINY:
        alone = write_cohort(tmp_path / session.subject.name, [session], seed=SEED)
        mine = {p: h for p, h in together.items() if p.startswith(session.key.folder)}
        assert {p: h for p, h in contents(alone.cache).items() if p.startswith(session.key.folder)} == mine
        assert mine


def test_other_seeds_give_other_mice():
    one, other = (simulate_session(TINY[0], seed) for seed in (1, 2))
    assert one.behaviour.state != other.behaviour.state
    assert not np.array_equal(one.rois["G0"].counts[:1000], other.rois["G0"].counts[:1000])


def test_components_have_streams_of_their_own():
    draws = {name: random_stream(1, name).random() for name in ("a|wheel", "a|frames", "b|wheel")}
    assert len(set(draws.values())) == 3
    assert random_stream(1, "a|wheel").random() == draws["a|wheel"]
    # a second fibre changes nothing in the first
    two = plan("DEMO-NE3")
    one = dataclasses.replace(two, subject=dataclasses.replace(two.subject, regions=("LC-l",)))
    single, double = simulate_session(one, 1), simulate_session(two, 1)
    np.testing.assert_array_equal(single.rois["G0"].counts, double.rois["G0"].counts)
    np.testing.assert_array_equal(single.wheel.position, double.wheel.position)


# --- writing


def test_writing_again_is_no_work_and_anything_else_is_refused(tmp_path):
    plans, cache = [plan("DEMO-5HT2")], tmp_path / "cache"
    calls = []
    first = write_cohort(cache, plans, seed=3, progress=lambda done, total: calls.append((done, total)))
    assert first.written
    assert calls == [(1, 1)]
    before = contents(cache)
    again = write_cohort(cache, plans, seed=3, progress=lambda *_: pytest.fail("a session was made again"))
    assert not again.written
    assert again == dataclasses.replace(first, written=False)
    with pytest.raises(ConfigurationError, match="another demo cohort"):
        write_cohort(cache, plans, seed=4)
    with pytest.raises(ConfigurationError, match="another demo cohort"):
        write_cohort(cache, [plan("DEMO-5HT2", minutes=4)], seed=3)
    assert contents(cache) == before


def test_folders_of_others_are_never_touched(tmp_path):
    theirs = tmp_path / "data"
    theirs.mkdir()
    (theirs / "precious.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="no demo cohort"):
        write_cohort(theirs, [plan()], seed=1)
    assert [p.name for p in tmp_path.rglob("*")] == ["data", "precious.txt"]
    with pytest.raises(ConfigurationError, match="no demo cohort"):
        write_cohort(theirs / "precious.txt", [plan()], seed=1)


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "cache").mkdir()
    assert write_cohort(tmp_path / "cache", [plan("DEMO-5HT2")], seed=1).written
    assert (tmp_path / "cache" / STATEMENT).is_file()


def test_a_failure_on_the_way_leaves_nothing(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    for workers in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            write_cohort(tmp_path / "cache", TINY, seed=1, workers=workers, progress=stop)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match="expected two in one region"):
        write_cohort(tmp_path / "cache", [plan(plant="region_ambiguous")], seed=1)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_builds_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".cache.{dead.pid}-0123abcd.tmp"
    building = tmp_path / f".cache.{os.getpid()}-0123abcd.tmp"
    for folder in (left, building):
        (folder / "demolab").mkdir(parents=True)
    write_cohort(tmp_path / "cache", [plan("DEMO-5HT2")], seed=1)
    assert not left.exists()
    assert building.exists()


@pytest.mark.parametrize(
    ("plans", "seed", "message"),
    [((), 1, "without sessions"), ((plan(), plan()), 1, "planned 2 times"), ((plan(),), -1, "seed -1")],
)
def test_impossible_cohorts_are_refused(tmp_path, plans, seed, message):
    with pytest.raises(ConfigurationError, match=message):
        write_cohort(tmp_path / "cache", plans, seed=seed)


# --- the plan


# as the description of the cohort has them: fibres, and sessions day by day
MICE = {
    "DEMO-DA1": (("VTA-l", "SNc-r"), "TBBBE"),
    "DEMO-DA2": (("VTA-r", "SNc-l"), "TBBBE"),
    "DEMO-DA3": (("VTA-l", "SNc-l"), "TBBBE"),
    "DEMO-5HT1": (("DR",), "HTB"),
    "DEMO-5HT2": (("DR",), "TBE"),
    "DEMO-5HT3": (("DR", "MR"), "TBE"),
    "DEMO-NE1": (("LC-l",), "HTB"),
    "DEMO-NE2": (("LC-r",), "TBE"),
    "DEMO-NE3": (("LC-l", "LC-r"), "TBE"),
    "DEMO-ACh1": (("NBM-l",), "tB"),
    "DEMO-ACh2": (("NBM-r",), "TB"),
    "DEMO-ACh3": (("NBM-l", "SI-l"), "TBE"),
}
GENETICS = {
    "DA": ("B6.SJL-Slc6a3t", "Ai148xDat"),
    "5HT": ("B6.129(Cg)-Slc6a4", "Ai148xSert"),
    "NE": ("B6.Cg-Dbh", "Ai148xDbh"),
    "ACh": ("B6;129S6-Chat", "Ai148xChat"),
}
# in order of date; `same_day` lies apart
CLINIC = {
    "DEMO-DA1": ["no_trials_no_raw", "signal_nan", "trials_outside", "region_no_match", "same_day"],
    "DEMO-DA2": ["no_trials", "few_trials", "signal_float32"],
    "DEMO-DA3": ["truncated_trials", "incomplete_events", "raw_layout"],
    "DEMO-5HT1": ["two_collections", "raw_missing", "dead_channel"],
    "DEMO-5HT2": ["no_signal_no_raw", "led_gap", "not_ascii"],
    "DEMO-5HT3": ["no_signal", "led_gaps", "blank_region"],
    "DEMO-NE1": ["no_wheel_no_raw", "no_locations", "stray_multi", "suffix"],
    "DEMO-NE2": ["no_wheel", "band_inversion", "no_regions", "not_listed"],
    "DEMO-NE3": ["truncated_signal", "region_ambiguous"],
    "DEMO-ACh1": ["block_bug", "block_bug_no_plan", "early_sample", "hemisphere"],
    "DEMO-ACh2": ["nan_interval", "block_bug_training", "few_unique", "protocol", "video"],
    "DEMO-ACh3": ["duplicate_region", "midnight"],
    "photometry_test_subject_A": ["excluded"],
    "DEMO-X1": ["genetics"],
    "DEMO-X2": ["unknown_subject"],
}
STRANGERS = CLINIC.keys() - MICE.keys()


def letters(plans):
    return "".join("t" if p.novice else p.session_type[0].upper() for p in plans)


def by_mouse(plans):
    found = {}
    for session in plans:
        found.setdefault(session.subject.name, []).append(session)
    return found


def days(plans):
    return [(p.date - p.subject.first_day).days for p in plans]


def test_default_plan_has_forty_sound_sessions_and_a_clinic_of_all_plants():
    plans = demo_plans()
    sound, broken = plans[:40], plans[40:]
    assert {p.plant for p in sound} == {None}
    assert Counter(letters(sound)) == {"H": 2, "t": 1, "T": 11, "B": 18, "E": 8}
    assert {(p.minutes, p.pace, p.number) for p in sound} == {(12.0, DEMO_PACE, 1)}
    assert len(broken) == len(PLANTS) == 44
    assert {p.plant for p in broken} == set(PLANTS)
    assert {(p.minutes, p.pace, p.layout, p.novice) for p in broken} == {(8.0, CLINIC_PACE, "standard", False)}
    unlike = {"block_bug_training": "training", "excluded": "training", "same_day": "ephys"}
    assert {p.plant: p.session_type for p in broken} == {**dict.fromkeys(PLANTS, "biased"), **unlike}
    types = Counter(p.session_type for p in plans)
    assert types == {"training": 14, "biased": 59, "ephys": 9, "habituation": 2}
    assert len({p.key for p in plans}) == len(plans) == 84
    assert len({p.subject for p in plans}) == 15
    assert sum(len(p.subject.regions) for p in plans) == 126


def test_every_mouse_has_its_fibers_its_genetics_and_its_schedule():
    sound = by_mouse(demo_plans(clinic=False))
    assert list(SUBJECTS) == list(sound) == list(MICE)
    for place, (name, (regions, schedule)) in enumerate(MICE.items()):
        subject, mine = SUBJECTS[name], sound[name]
        assert {p.subject for p in mine} == {subject}
        assert (subject.name, subject.regions) == (name, regions)
        assert (subject.strain, subject.line) == GENETICS[subject.neuromodulator]
        assert subject.genotype == ("Het",)
        assert subject.in_subjects
        assert subject.in_fibers
        assert subject.first_day == dt.date(2025, 1, 6) + dt.timedelta(weeks=place)
        assert letters(mine) == schedule
        assert days(mine) == list(range(len(schedule)))


def test_clinic_lies_seventy_days_after_the_first_session():
    broken = by_mouse(p for p in demo_plans() if p.plant)
    assert {name: [p.plant for p in mine] for name, mine in broken.items()} == CLINIC
    again = broken["DEMO-DA1"].pop()
    assert (again.plant, again.date, again.number) == ("same_day", dt.date(2025, 1, 9), 2)
    for mine in broken.values():
        assert days(mine) == list(range(70, 70 + len(mine)))
        assert {p.number for p in mine} == {1}


def test_three_mice_of_the_clinic_are_strangers():
    broken = {p.plant: p.subject for p in demo_plans() if p.plant}
    excluded, odd, unknown = (broken[name] for name in ("excluded", "genetics", "unknown_subject"))
    assert {subject for subject in broken.values() if subject.name in MICE} == set(SUBJECTS.values())
    assert excluded.name in EXCLUDED_SUBJECTS
    assert {subject.regions for subject in (excluded, odd, unknown)} == {("VTA-l",)}
    assert (excluded.strain, excluded.line) == (GENETICS["DA"][0], GENETICS["5HT"][1])
    known = {text for pair in GENETICS.values() for text in pair}
    assert not {odd.strain, odd.line} & known
    in_tables = [(subject.in_subjects, subject.in_fibers) for subject in (excluded, odd, unknown)]
    assert in_tables == [(True, False), (True, False), (False, False)]


def test_three_sound_sessions_have_the_layouts_of_other_rigs():
    for plans in (demo_plans(), demo_plans(sessions=600)):
        unlike = {p.layout: (p.subject.name, p.plant, letters([p])) for p in plans if p.layout != "standard"}
        assert unlike == {
            "timestamp": ("DEMO-NE1", None, "T"),
            "flags": ("DEMO-ACh1", None, "B"),
            "dead_rois": ("DEMO-NE2", None, "B"),
        }
        assert sum(p.layout != "standard" for p in plans) == 3
        assert {"standard", *unlike} == set(LAYOUTS)


def test_smaller_and_larger_plans_share_their_sessions():
    whole = set(demo_plans())
    sound = demo_plans(clinic=False)
    assert set(sound) == {p for p in whole if not p.plant}
    for count in (1, 2, 12):
        names = set(list(MICE)[:count])
        assert set(demo_plans(subjects=count)) == {p for p in whole if p.subject.name in names}
    assert {p.subject.name for p in whole} - {p.subject.name for p in demo_plans(subjects=12)} == STRANGERS
    assert next(p.plant for p in demo_plans(subjects=1, sessions=1)) is None
    # without the first session of its day, the second one is none
    second = {p for p in whole if p.plant == "same_day"}
    assert set(demo_plans(sessions=0)) == whole - set(sound) - second
    assert second <= set(demo_plans(subjects=1))
    assert demo_plans(sessions=7, clinic=False) == sound[:7]
    many = demo_plans(sessions=1500)
    assert whole <= set(many)
    assert many[:40] == sound
    assert len({p.key for p in many}) == len(many) == 1544


def test_sound_sessions_go_on_without_end_and_leave_the_clinic_its_days():
    for name, mine in by_mouse(demo_plans(sessions=1500, clinic=False)).items():
        schedule = MICE[name][1]
        assert letters(mine) == (schedule + "TBBBE" * len(mine))[: len(mine)]
        expected = [*range(70), *range(100, 300)]
        assert len(mine) > 110
        assert days(mine) == expected[: len(mine)]


def test_small_and_large_presets():
    small = tiny_plans()
    assert [p.subject.regions for p in small] == [("VTA-l", "SNc-r"), ("DR",), ("LC-l", "LC-r")]
    assert {(p.session_type, p.minutes, p.pace, p.plant) for p in small} == {("biased", 8.0, CLINIC_PACE, None)}
    (hour,) = hour_plans()
    assert (hour.session_type, hour.minutes, hour.pace, hour.plant) == ("biased", 60.0, HOUR_PACE, None)
    assert len(hour.subject.regions) == 2


def test_ruler_has_six_mice_of_every_target_on_alternate_sides():
    plans = ruler_plans()
    assert len({p.key for p in plans}) == len(plans) == 240
    assert {(p.session_type, p.minutes, p.plant, p.layout) for p in plans} == {("biased", 12.0, None, "standard")}
    mice = by_mouse(plans)
    assert len(mice) == 30
    assert not mice.keys() & SUBJECTS.keys()
    assert all(days(mine) == list(range(8)) for mine in mice.values())
    fibers = [mine[0].subject.regions for mine in mice.values()]
    expected = []
    for target in ("VTA", "SNc", "DR", "LC", "NBM"):
        sides = ["DR", "DR"] if target == "DR" else [f"{target}-l", f"{target}-r"]
        expected += [(region,) for region in 3 * sides]
    assert fibers == expected
    for subject in (mine[0].subject for mine in mice.values()):
        assert (subject.strain, subject.line) == GENETICS[subject.neuromodulator]


def test_plans_that_cannot_be_made_are_refused():
    for fields, message in (
        ({"plant": "nonsense"}, "'nonsense' is unknown"),
        ({"kind": "passive"}, "'passive' cannot be simulated"),
        ({"minutes": 1.0}, "expected at least 125 s"),
        ({"layout": "sideways"}, "'sideways' is unknown"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            plan(**fields)
    with pytest.raises(ConfigurationError, match="expected at least one"):
        demo_plans(subjects=0)
    with pytest.raises(ConfigurationError, match="expected none or more"):
        demo_plans(sessions=-1)
    with pytest.raises(ConfigurationError, match="expected at least one of VTA"):
        dataclasses.replace(SUBJECTS["DEMO-DA1"], regions=("VP",))


# --- behaviour, wheel, clocks: does it look like the real thing


@pytest.fixture(scope="module")
def behaviours():
    plans = [plan(name, day, minutes=12, pace=DEMO_PACE) for name in SUBJECTS for day in (1, 2)]
    return [simulate_behaviour(p, SEED) for p in plans]


def pooled(behaviours, name):
    return np.concatenate([getattr(b.trials, name) for b in behaviours])


def test_choices_follow_contrast_and_block(behaviours):
    contrast, correct = pooled(behaviours, "contrast"), pooled(behaviours, "correct")
    accuracy = [correct[contrast == c].mean() for c in (0, 6.25, 12.5, 25, 100)]
    assert accuracy == sorted(accuracy)
    np.testing.assert_allclose(accuracy, [0.56, 0.69, 0.82, 0.92, 0.96], atol=0.05)
    shares = [np.mean(contrast == c) for c in (0, 6.25, 12.5, 25, 100)]
    np.testing.assert_allclose(shares, np.array([1, 2, 2, 2, 2]) / 9, atol=0.02)
    choice, prior = pooled(behaviours, "choice"), pooled(behaviours, "probability_left")
    weak = contrast <= 6.25
    left = {p: np.mean(choice[weak & (prior == p)] == 1) for p in (0.2, 0.5, 0.8)}
    assert left[0.2] < left[0.5] - 0.1 < left[0.8] - 0.2
    assert np.mean(choice == 0) == pytest.approx(0.005, abs=0.004)


def test_latent_states_move_together_and_tilt_choices_towards_the_fiber():
    for name, towards in (("DEMO-DA1", 1), ("DEMO-DA2", -1)):
        states = [simulate_behaviour(plan(name, day), SEED).state for day in range(150)]
        brain, latent, bias = (
            np.array([getattr(state, field) for state in states])
            for field in ("latent_brain", "latent_behaviour", "bias_50")
        )
        assert np.corrcoef(brain, latent)[0, 1] == pytest.approx(0.85, abs=0.07)
        assert np.polyfit(latent, bias, 1)[0] == pytest.approx(4 * towards, abs=0.5)


def test_blocks_are_those_of_the_task(behaviours):
    for behaviour in behaviours:
        prior = behaviour.trials.probability_left
        edges = np.flatnonzero(np.diff(prior)) + 1
        lengths = np.diff(np.concatenate([[0], edges, [len(prior)]]))
        assert lengths[0] == 60
        assert ((lengths[1:-1] >= 20) & (lengths[1:-1] <= 50)).all()
        values = prior[np.concatenate([[0], edges])]
        assert values[0] == 0.5
        assert set(values[1:]) <= {0.2, 0.8}
        assert tuple(lengths[:-1]) == behaviour.block_lengths[: len(lengths) - 1]
    inner = np.concatenate([b.block_lengths[1:-1] for b in behaviours])
    uniform = np.linspace(0, 1, 100_001)[:-1]
    expected = np.floor(20 - 30 * np.log(1 - uniform * (1 - np.exp(-1)))).mean()
    assert inner.mean() == pytest.approx(expected, abs=4 * inner.std() / np.sqrt(len(inner)))


def test_trial_times_are_in_order_and_as_in_real_sessions(behaviours):
    for trials in (b.trials for b in behaviours):
        assert 165 < len(trials) < 205
        assert trials.start[0] == 5.0
        assert (np.diff(trials.start) > 0).all()
        assert (trials.start[1:] - trials.end[:-1] >= 0.029).all()
        assert (trials.start + 0.449 <= trials.stimulus).all()
        assert (trials.response < trials.feedback).all()
        moved = np.isfinite(trials.first_movement)
        assert (moved == (trials.choice != 0)).all()
        assert (trials.first_movement[moved] < trials.response[moved]).all()
        for times in (trials.start, trials.stimulus, trials.response, trials.feedback, trials.end):
            np.testing.assert_allclose(times, np.round(times, 4), atol=1e-9)
    pause = pooled(behaviours, "end") - pooled(behaviours, "feedback")
    correct, reaction = pooled(behaviours, "correct"), np.concatenate([b.trials.reaction for b in behaviours])
    assert np.median(pause[correct]) == pytest.approx(1.557, abs=0.003)
    assert np.median(pause[~correct]) == pytest.approx(2.557, abs=0.003)
    assert np.nanmedian(reaction) == pytest.approx(0.2, abs=0.03)
    assert 0.003 < np.nanmean(reaction < 0) < 0.03
    fast = reaction > 0.05
    slope = np.polyfit(pooled(behaviours, "rank")[fast], np.log10(reaction[fast]), 1)[0]
    assert slope == pytest.approx(-0.035, abs=0.015)


def test_trial_tables_by_session_type():
    whole = plan("DEMO-DA2", kind="ephys", minutes=60, pace=HOUR_PACE)
    trials = simulate_behaviour(whole, SEED).trials
    columns = trial_columns(whole, trials)
    assert columns["choice"].dtype == columns["feedbackType"].dtype == np.int64
    assert 640 < len(trials) < 830
    missing = np.isnan(columns["stimOn_times"])
    assert 0 < missing.sum() < 15
    assert not missing[[0, -1]].any()
    assert np.isfinite(trials.stimulus).all()
    rng = np.random.default_rng(0)
    recorded = np.array([_draw_recorded(rng, whole, 3) for _ in range(2000)])
    assert recorded[:, [0, 2]].all()
    assert 0 < (~recorded[:, 1]).sum() < 30
    assert (np.isnan(columns["contrastLeft"]) != np.isnan(columns["contrastRight"])).all()
    sound = plan("DEMO-DA1", kind="biased")
    assert trial_columns(sound, simulate_behaviour(sound, SEED).trials)["choice"].dtype == np.float64
    habituation = plan("DEMO-5HT1", kind="habituation")
    columns = trial_columns(habituation, simulate_behaviour(habituation, SEED).trials)
    assert not {"choice", "probabilityLeft", "response_times", "firstMovement_times"} & set(columns)
    assert (columns["feedbackType"] == 1).all()
    novice = plan("DEMO-ACh1", kind="training", minutes=12, novice=True)
    trials = simulate_behaviour(novice, SEED).trials
    assert set(trials.contrast) == {50.0, 100.0}
    assert set(trials.probability_left) == {0.5}
    assert 0.5 < trials.correct.mean() < 0.8


def test_wheel_turns_make_the_choices():
    session = simulate_session(plan(minutes=8), SEED)
    wheel, trials = session.wheel, session.behaviour.trials
    assert (np.diff(wheel.timestamps) > 0).all()
    np.testing.assert_allclose(wheel.position / (2 * np.pi / 4096), np.rint(wheel.position / (2 * np.pi / 4096)))
    grid = np.arange(0, wheel.timestamps[-1], 1e-3)
    position = np.interp(grid, wheel.timestamps, wheel.position)
    chosen = trials.choice != 0
    clean = chosen & (trials.hesitation == 0)

    def at(times):
        return np.interp(times, grid, position)

    turned = (at(trials.response) - at(trials.first_movement))[clean] * trials.choice[clean]
    np.testing.assert_allclose(np.median(turned), 0.28, atol=0.01)
    assert (turned > 0.2).all()
    speed = np.abs(np.gradient(position, 1e-3))
    smooth = np.convolve(speed, np.ones(21) / 21, mode="same")
    peaks = [
        smooth[int(1e3 * a) : int(1e3 * b) + 1].max()
        for a, b in zip(trials.first_movement[clean], trials.feedback[clean], strict=True)
    ]
    ratio = np.array(peaks) / trials.peak_speed[clean]
    assert np.median(ratio) == pytest.approx(1, abs=0.05)
    # nothing moves from shortly before the stimulus to the first movement
    still = chosen & (trials.reaction > 0.05)
    np.testing.assert_allclose(at(trials.first_movement[still]), at(trials.stimulus[still] - 0.25), atol=0.02)


def test_frame_intervals_are_those_of_real_cameras():
    frames = [simulate_session(plan(name, minutes=8), SEED).frames for name in ("DEMO-DA1", "DEMO-NE3", "DEMO-ACh1")]
    intervals = np.concatenate([np.diff(f.device_times) for f in frames])
    ticks = np.rint(intervals / 32e-6).astype(int)
    np.testing.assert_allclose(intervals, ticks * 32e-6, atol=1e-10)
    shares = [np.mean(ticks * 32 == micros) for micros in (16_672, 16_640, 16_704, 16_608, 16_736)]
    differences = np.abs(np.array(shares) - [0.782, 0.184, 0.022, 0.006, 0.005])
    assert (differences < [0.01, 0.01, 0.004, 0.002, 0.002]).all()
    assert intervals.mean() == pytest.approx(1 / 60, rel=1e-5)
    assert intervals.std() == pytest.approx(15.4e-6, rel=0.05)
    assert np.abs(intervals - intervals.mean()).max() < 0.2e-3
    for f in frames:
        drift = np.polyfit(f.device_times - f.device_times[0], f.times, 1)[0] - 1
        assert abs(drift) < 31e-6
        computer = np.polyfit(f.device_times - f.device_times[0], f.computer_times / 1e3, 1)[0] - 1
        assert computer == pytest.approx(130e-6, abs=5e-6)


def test_frames_cover_the_trials_and_leds_alternate():
    session = simulate_session(plan(), SEED)
    content = session_content(session)
    raw, signal = (content.table(path).to_pandas() for path in (files.RAW_FRAMES, files.SIGNAL))
    assert raw["LedState"].tolist() == [7, *([2, 1] * len(raw))[: len(raw) - 1]]
    assert raw["FrameCounter"].tolist() == list(range(len(raw)))
    assert signal["name"].tolist() == ["", *(["GCaMP", "Isosbestic"] * len(raw))[: len(raw) - 1]]
    assert set(zip(signal["name"][1:], signal["color"][1:], signal["wavelength"][1:], strict=True)) == {
        ("GCaMP", "Blue", 470.0),
        ("Isosbestic", "Violet", 415.0),
    }
    assert np.isnan(signal["wavelength"][0])
    assert (raw["G0"] == signal["G0"]).all()
    assert str(raw["LedState"].dtype) == "int16"
    assert str(signal["G0"].dtype) == str(signal["times"].dtype) == "float64"
    trials = session.behaviour.trials
    assert 15 <= trials.start[0] - signal["times"].iloc[0] <= 40
    assert 10 <= signal["times"].iloc[-1] - trials.end[-1] + 1 / 60 <= 25 + 1 / 60
    valid = signal.loc[signal["valid"], "times"]
    assert valid.min() >= trials.start[0]
    assert valid.max() == pytest.approx(trials.end[-1] + 2, abs=0.02)
    assert signal["times"].iloc[-1] - signal["times"].iloc[0] < 60 * session.plan.minutes + 5


# --- the signal


def test_event_trains_keep_weight_and_time():
    train = event_train(np.array([2.25, 7.0, np.nan, -0.5, 9.0]), np.array([4.0, 2.0, 1.0, 1.0, 1.0]), 10)
    assert train.tolist() == [0, 0, 3, 1, 0, 0, 0, 2, 0, 0]


def test_responses_are_the_causal_convolution():
    rng = np.random.default_rng(0)
    train, kernel = rng.normal(size=1000), rng.normal(size=50)
    np.testing.assert_allclose(responses_to(train, kernel), np.convolve(train, kernel)[:1000], atol=1e-12)


def test_coloured_noise_has_its_slope_and_band():
    noise = coloured_noise(np.random.default_rng(0), 2**18, 60.0, 1.5, (0.02, 4.0))
    assert (noise.mean(), noise.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    power, frequency = np.abs(np.fft.rfft(noise)) ** 2, np.fft.rfftfreq(len(noise), 1 / 60)
    inside = (frequency >= 0.02) & (frequency <= 4)
    assert power[~inside].sum() < 1e-12 * power.sum()
    slope = np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-1.5, abs=0.05)


def test_a_gain_of_one_is_one_z_in_the_early_window():
    times = np.linspace(*EARLY_WINDOW_S, 20_001)
    for target in TARGET_EFFECTS.values():
        assert np.trapezoid(target.kernel(times), times) / np.ptp(times) == pytest.approx(1, abs=1e-6)
        assert target.kernel(np.array([-1.0, 0.0, target.kernel.latency])).tolist() == [0, 0, 0]


def test_levels_steps_and_bleaching_of_the_counts():
    rois = [
        (roi, simulated)
        for name in SUBJECTS
        for simulated in [simulate_session(plan(name), SEED)]
        for roi in simulated.rois.values()
    ]
    gcamp = np.array([roi.counts[1::2].mean() for roi, _ in rois])
    iso = np.array([roi.counts[2::2].mean() for roi, _ in rois])
    assert 0.0075 < np.median(gcamp) < 0.0115
    assert 0.0110 < np.median(iso) < 0.0160
    for roi, _ in rois:
        assert roi.counts.min() >= BLACK_LEVEL
        steps = roi.counts / roi.optics.quantum
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-6)
        assert 1.2e-7 < roi.optics.quantum < 4e-7
        assert 0.7 < roi.counts[1::2][-900:].mean() / roi.counts[1::2][:900].mean() < 1.0
        assert roi.counts[0] > max(roi.counts[1], roi.counts[2])
    noise = [np.sqrt(np.var(np.diff(roi.counts[1::2], 3)) / 20) / roi.counts[1::2].mean() for roi, _ in rois]
    assert 0.0010 < np.median(noise) < 0.0017


def test_budget_is_solved_for_unit_variance():
    evoked = np.random.default_rng(0).normal(0, 0.5, 100_000)
    budget = variance_budget(evoked, 0.1)
    assert budget.events + budget.background + budget.noise == pytest.approx(1)
    assert budget.scale == 1
    spent = variance_budget(evoked, 1.5)
    assert spent.background == 0.05
    assert spent.scale == pytest.approx((spent.events + 1.55) ** -0.5)


def test_side_effects_are_contralateral_and_zero_on_the_midline():
    assert [side_sign(region) for region in ("LC-l", "LC-r", "DR")] == [1, -1, 0]
    session = simulate_session(plan("DEMO-NE3", minutes=12), SEED)
    on_right = session.behaviour.trials.on_right
    contrasts = [
        roi.gains.total["stimOn_times"][on_right].mean() - roi.gains.total["stimOn_times"][~on_right].mean()
        for roi in session.rois.values()
    ]
    # the same trials seen from either side: what remains between the fibres is the side effect
    assert contrasts[0] - contrasts[1] == pytest.approx(2 * 0.10, abs=0.25)
    assert set(simulate_session(plan("DEMO-5HT2"), SEED).rois["G0"].gains.total) == {"stimOn_times", "feedback_times"}


@pytest.mark.parametrize("region", ["VTA-l", "SNc-r", "DR", "LC-l", "NBM-r"])
def test_gains_hold_the_planted_effects(region):
    target, sign = TARGET_EFFECTS[split_region(region)[0]], side_sign(region)
    behaviour = simulate_behaviour(plan(minutes=240, pace=HOUR_PACE), SEED)
    trials, brain = behaviour.trials, behaviour.state.latent_brain
    known = trials.choice != 0
    nothing = dict.fromkeys(EVENTS, 0.0)
    gains = event_gains(target, sign, trials, behaviour.state, nothing, np.random.default_rng(0))
    contrast, reward = trials.rank - 2, np.where(trials.correct, 0.5, -0.5)
    side, chosen = sign * np.where(trials.on_right, 0.5, -0.5), sign * np.where(trials.choice < 0, 0.5, -0.5)
    log_reaction = np.log10(np.fmax(trials.reaction, 0.05) / 0.19)
    terms = np.column_stack(
        [np.ones(len(trials)), contrast, side, chosen, reward, contrast * side, contrast * reward, log_reaction]
    )[known]
    for event, gain in gains.total.items():
        effect = target.effect(event)
        planted = [
            effect.mean,
            effect.contrast + 0.08 * brain * (event == "stimOn_times"),
            effect.side,
            effect.choice,
            effect.reward + 0.25 * brain * (event == "feedback_times"),
            effect.contrast_side,
            effect.contrast_reward,
            -0.6 * (event == "stimOn_times"),
        ]
        # on the midline there are no sides to fit
        fitted = terms.any(axis=0)
        assert fitted.all() == (sign != 0)
        used = terms[:, fitted]
        found = np.linalg.lstsq(used, gain[known], rcond=None)[0]
        residual_sd = (gain[known] - used @ found).std()
        assert residual_sd == pytest.approx(0.30, rel=0.05)
        errors_of_fit = residual_sd * np.sqrt(np.diag(np.linalg.inv(used.T @ used)))
        assert errors_of_fit.max() < 0.04
        # the first is moved by the session's own intercept
        assert found[0] == pytest.approx(planted[0], abs=0.4)
        assert (np.abs(found - np.array(planted)[fitted])[1:] < 4 * errors_of_fit[1:]).all()


def test_planted_gains_come_out_of_the_corrected_signal_in_z():
    ratios, slopes, iso_errors = [], [], []
    for name in ("DEMO-DA1", "DEMO-5HT2", "DEMO-NE3", "DEMO-ACh2"):
        session = simulate_session(plan(name, minutes=12), SEED)
        frames, trials = session.frames, session.behaviour.trials
        inside = (frames.times > trials.start[0] - 5) & (frames.times < trials.end[-1] + 5)
        gcamp, iso = inside & (frames.led_states == 2), inside & (frames.led_states == 1)
        for roi in session.rois.values():
            corrected = preprocess(
                frames.times[gcamp],
                roi.counts[gcamp],
                frames.times[iso],
                roi.counts[iso],
                PRESETS["default"].preprocessing,
                "time",
            )
            ratios.append(corrected.standard_deviation / roi.optics.sigma)
            iso_errors.append(corrected.iso_slope - roi.iso_slope_expected)
            noise_free = np.interp(corrected.times, frames.times, roi.evoked)
            truth, estimate = (
                early_magnitudes(corrected.times, values, trials.feedback) for values in (noise_free, corrected.values)
            )
            slopes.append(np.polyfit(truth, estimate, 1)[0])
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.mean(slopes) == pytest.approx(1, abs=0.07)
    assert np.mean(iso_errors) == pytest.approx(0, abs=0.05)
    assert np.std(iso_errors) < 0.1


def early_magnitudes(times, values, events):
    grid = events[:, None] + np.arange(-0.1, 0.35, 1 / 30)
    traces = np.interp(grid, times, values)
    offsets = grid[0] - events[0]
    return traces[:, offsets >= 0.1 - 1e-9].mean(1) - traces[:, offsets < -1e-9].mean(1)


def test_sound_signals_pass_the_metrics_of_the_library(tiny, client):
    from iblphotometry.fpio import PhotometrySessionLoader
    from iblphotometry.metrics import n_unique_samples

    for eid, session in tiny.plans.items():
        loader = PhotometrySessionLoader(eid=eid, one=client)
        loader.load_trials()
        loader.load_photometry()
        assert tuple(loader.photometry["GCaMP"].columns) == session.subject.regions
        for band in loader.photometry.values():
            for column in band:
                assert n_unique_samples(band[column].iloc[:3600]) > 0.1
