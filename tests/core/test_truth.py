"""Truth tables, what the pipeline recovers of them, and the cohorts of other sizes."""

import dataclasses
import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from tests_support.paths import REPOSITORY

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.effects import EVENTS, TARGET_EFFECTS
from iblnm_core.demo.presets import RULER_SEED, SUBJECTS, demo_plans, ruler_plans, tiny_plans
from iblnm_core.demo.recovery import recover, statistics
from iblnm_core.demo.recovery_behaviour import (
    BehaviourRecovered,
    block_statistics,
    recover_behaviour,
    timing_statistics,
)
from iblnm_core.demo.recovery_curves import curve_statistics
from iblnm_core.demo.recovery_page import page
from iblnm_core.demo.scale import write_index_without_files, write_linked_cohort
from iblnm_core.demo.session import simulate_session
from iblnm_core.demo.truth import effect_table, kernel_table, outcome_table, session_truth, write_truth
from iblnm_core.errors import ConfigurationError
from iblnm_core.parameters import PRESETS
from iblnm_core.session import performance, regressors
from iblnm_core.session.outputs import ORDINARY
from iblnm_core.sources.local import LocalSource

SEED = 1


# recovery


@pytest.fixture(scope="module")
def recovered():
    """One session of each mouse of the ruler: 30 recordings, all five targets."""
    return recover([plan for number, plan in enumerate(ruler_plans()) if number % 8 == 0], RULER_SEED)


def by_name(found):
    return {statistic.name: statistic for rows in found.values() for statistic in rows}


def missed(recovered):
    return {name for name, statistic in by_name(statistics(recovered)).items() if not statistic.holds}


def test_what_was_planted_comes_out_of_the_pipeline(recovered):
    found = by_name(statistics(recovered))
    # 30 recordings are too few for the gain of each target
    few = {name for name in found if name.startswith("gain of magnitudes")}
    wrong = {name: statistic.found for name, statistic in found.items() if not statistic.holds and name not in few}
    assert wrong == {}
    known = recovered.amplitudes.dropna(subset=["expected_r2", "found_r2"])
    for event in ("stimOn_times", "feedback_times"):
        rows = known[known["event"] == event]
        assert 0.93 < np.polyfit(rows["expected_r2"], rows["found_r2"], 1)[0] < 1.07


def test_the_page_says_no_where_a_statistic_misses(recovered):
    wrong = dataclasses.replace(
        recovered, recordings=recovered.recordings.assign(found_tau=2 * recovered.recordings["found_tau"])
    )
    text = page(statistics(wrong), len(wrong.recordings))
    (row,) = [line for line in text.splitlines() if "bleaching" in line]
    assert row.endswith("| **no** |")
    assert text.count("**no**") == page(statistics(recovered), 30).count("**no**") + 1


def test_the_committed_page_has_every_statistic(recovered):
    text = (REPOSITORY / "docs" / "truth.md").read_text()
    for name in by_name(statistics(recovered)):
        assert f"| {name} | " in text


BLOCKS = ("50/50 block", "20/80 block", "80/20 block")
SHORT_BLOCKS = "blocks where four trials have another block's"
TRAINING_BLOCKS = "blocks of training sessions where ten trials are biased"
UNKNOWN_BLOCKS = "blocks where four trials have another block's, without plan"
REACTION, REACTION_SLOPE = "reaction time of a trial", "slope of log10 reaction time over contrast rank"
PEAK, NOISE_FREE = "peak velocity of a trial", "parameters fitted to expected choices"
LIKELIHOOD = "log-likelihood of a fit less that of the planted curve"
SHIFT = "bias_shift, 80/20 less 20/80 block"


def changed(column, change, mask=lambda rows: rows.index >= 0):
    """Return the change of a column in the rows of a mask."""
    return lambda rows: rows.assign(**{column: rows[column].mask(mask(rows), change(rows[column]))})


def of_parameter(name):
    return lambda rows: rows["parameter"] == name


def first_usual(rows):
    return rows.index == rows.index[rows["is_usual"]][0]


def swapped_lapses(curves):
    other = {"lapse_right": "lapse_left", "lapse_left": "lapse_right"}
    found = curves[["session", "block", "parameter", "found", "on_bound"]]
    found = found.assign(parameter=found["parameter"].replace(other))
    return curves.drop(columns=["found", "on_bound"]).merge(found, on=["session", "block", "parameter"])


@pytest.mark.parametrize(
    ("table", "change", "expected"),
    [
        ("curves", changed("found", lambda v: v + 6, of_parameter("bias")), {f"bias, {block}" for block in BLOCKS}),
        (
            "curves",
            changed("found", lambda v: 2 * v, of_parameter("threshold")),
            {f"threshold, {block}" for block in BLOCKS},
        ),
        # in blocks of one side mostly, choices tell of one lapse only
        (
            "curves",
            swapped_lapses,
            {f"{name}, {block}" for name in ("lapse_right", "lapse_left") for block in BLOCKS[1:]},
        ),
        ("curves", changed("found", lambda v: -v, lambda rows: rows["block"] == "psych_80 - psych_20"), {SHIFT}),
        ("curves", changed("noise_free", lambda v: v + 0.001), {NOISE_FREE}),
        ("fits", changed("gain", lambda v: v - v.min() - 0.001), {LIKELIHOOD}),
        ("fits", changed("gain", lambda v: v + 2), {LIKELIHOOD}),
        ("trials", changed("found_block", lambda _: np.nan, first_usual), {"blocks of sound sessions"}),
        ("trials", changed("found_reaction", lambda _: np.nan, first_usual), {REACTION, REACTION_SLOPE}),
        ("trials", changed("found_reaction", lambda v: v + 0.002), {REACTION}),
        ("trials", changed("found_rank", lambda v: v / 2), {REACTION_SLOPE}),
        ("trials", changed("found_peak", lambda v: 1.02 * v), {PEAK}),
        (
            "trials",
            changed("found_peak", lambda v: v + 0.1, lambda rows: rows["planted_peak"] == 0),
            {"peak velocity of a trial without a turn"},
        ),
        (
            "faulty",
            lambda rows: rows.assign(found=rows["recorded"]),
            {SHORT_BLOCKS, TRAINING_BLOCKS, UNKNOWN_BLOCKS},
        ),
        # nothing broken shows nothing
        ("faulty", lambda rows: rows.assign(recorded=rows["planted"]), {SHORT_BLOCKS, TRAINING_BLOCKS}),
    ],
)
def test_what_is_found_wrong_is_missed(recovered, table, change, expected):
    frame = change(getattr(recovered.behaviour, table))
    behaviour = dataclasses.replace(recovered.behaviour, **{table: frame})
    wrong = missed(dataclasses.replace(recovered, behaviour=behaviour))
    # nothing else is: 30 recordings are too few for the gain of each target
    assert {name for name in wrong if not name.startswith("gain of magnitudes")} == expected


@pytest.fixture(scope="module")
def sessions():
    """Three sessions of three mice, simulated."""
    return [simulate_session(plan, RULER_SEED) for plan in ruler_plans()[::80]]


def missed_behaviour(sessions, parameters=PRESETS["default"]):
    behaviour = BehaviourRecovered.concatenated([recover_behaviour(s, RULER_SEED, parameters) for s in sessions])
    found = [
        *curve_statistics(behaviour.curves, behaviour.fits),
        *block_statistics(behaviour),
        *timing_statistics(behaviour),
    ]
    return {statistic.name for statistic in found if not statistic.holds}


def test_three_sessions_are_recovered(sessions):
    noticed = {PEAK, REACTION, SHORT_BLOCKS, UNKNOWN_BLOCKS, NOISE_FREE, LIKELIHOOD, SHIFT}
    assert not missed_behaviour(sessions) & noticed


@pytest.mark.parametrize(
    ("section", "settings", "expected"),
    [
        ("wheel", {"cutoff_hz": 4.0}, PEAK),
        ("trials", {"minimum_block_length": 2}, SHORT_BLOCKS),
        ("trials", {"doubtful_blocks_without_plan": "as_recorded"}, UNKNOWN_BLOCKS),
        ("psychometric", {"threshold_bounds": (30.0, 50.0)}, NOISE_FREE),
        ("psychometric", {"bias_bounds": (-2.0, 2.0)}, LIKELIHOOD),
    ],
)
def test_a_pipeline_with_wrong_settings_is_noticed(sessions, section, settings, expected):
    default = PRESETS["default"]
    changed_section = dataclasses.replace(getattr(default, section), **settings)
    assert expected in missed_behaviour(sessions, dataclasses.replace(default, **{section: changed_section}))


def test_a_pipeline_that_takes_left_for_right_is_noticed(sessions, monkeypatch):
    monkeypatch.setattr(performance, "_RIGHT", 1)
    assert {LIKELIHOOD, SHIFT} <= missed_behaviour(sessions)


def test_a_pipeline_that_measures_from_the_wrong_event_is_noticed(sessions, monkeypatch):
    monkeypatch.setitem(regressors.TIMINGS, "reaction_time", ("stimOn_times", "response_times"))
    assert REACTION in missed_behaviour(sessions)


# tables


@pytest.fixture(scope="module")
def truth():
    plan = next(p for p in demo_plans() if p.subject.name == "DEMO-DA1" and p.session_type == "biased")
    return plan, session_truth(plan, SEED)


def test_one_session_has_a_row_per_recording_trial_and_event(truth):
    plan, tables = truth
    n = tables["sessions"]["n_trials"].iloc[0]
    assert len(tables["recordings"]) == 2
    assert len(tables["trials"]) == n
    assert len(tables["amplitudes"]) == 2 * len(EVENTS) * n
    assert {table["eid"].unique().item() for table in tables.values()} == {plan.eid(SEED)}
    recording = tables["recordings"].iloc[0]
    assert (recording["region"], recording["hemisphere"], recording["target_NM"]) == ("VTA-l", "l", "VTA-DA")


def test_gains_are_those_of_the_simulated_session(truth):
    plan, tables = truth
    session = simulate_session(plan, SEED)
    rows = tables["amplitudes"]
    for place, recording in enumerate(session.rois.values()):
        for event in EVENTS:
            found = rows[(rows["fiber_idx"] == place) & (rows["event"] == event)]
            planted = recording.gains.total.get(event)
            np.testing.assert_array_equal(found["gain"], np.zeros(len(found)) if planted is None else planted)
    responding = rows[rows["gain"] != 0]
    assert (responding["gain"] - responding["gain_fixed"]).std() > 0.2


def test_noise_free_magnitudes_follow_the_gains(truth):
    _, tables = truth
    rows = tables["amplitudes"]
    stimulus = rows[(rows["event"] == "stimOn_times") & rows["expected_r2"].notna()]
    assert np.corrcoef(stimulus["gain"], stimulus["expected_r2"])[0, 1] > 0.95
    # R2 knows no first movement
    assert rows.loc[rows["event"] == "firstMovement_times", "expected_r2"].isna().all()


def test_effects_name_the_planted_nulls():
    effects = effect_table().set_index(["target_NM", "event", "term"])
    assert effects.loc[("VTA-DA", "feedback_times", "reward"), "structural"] == 1.8
    contrast = effects.loc[("VTA-DA", "stimOn_times", "contrast")]
    assert (contrast["structural"], round(contrast["total"], 3)) == (0.25, 0.271)
    assert effects.xs("side_reward", level="term")["is_null"].all()
    assert effects.loc["DR-5HT"].xs("side", level="term")["is_null"].all()
    assert not effects.loc[("LC-NE", "feedback_times", "reward"), "is_null"]


def test_kernels_have_a_mean_of_one_in_the_early_window():
    kernels = kernel_table()
    early = kernels[(kernels["time"] >= 0.1) & (kernels["time"] < 0.35)]
    np.testing.assert_allclose(early.groupby("target_NM")["value"].mean(), 1, rtol=0.01)
    assert set(kernels["target_NM"]) == {target.label for target in TARGET_EFFECTS.values()}


def test_outcomes_list_every_output_and_every_planted_error():
    plans = demo_plans()
    outcomes = outcome_table(plans, SEED)
    per_session = outcomes[outcomes["outcome"].notna()].groupby("eid").size()
    assert set(per_session) == {len(ORDINARY)}
    assert len(per_session) == 84
    errors = outcomes[outcomes["error_type"].notna()]
    few = errors[errors["plant"] == "few_trials"]
    assert few[["asset", "error_type", "severity", "is_judged"]].to_numpy().tolist() == [
        ["trials", "InsufficientTrials", "fatal", True]
    ]
    assert errors["is_judged"].all()


def test_deviations_from_the_models_are_labelled_and_change_the_recording():
    plans = [plan for plan in demo_plans() if plan.deviation]
    assert {plan.deviation for plan in plans} == {"rebound", "one_band_motion", "drifting_reactions"}
    assert not any(plan.plant for plan in plans)
    for plan in plans:
        assert session_truth(plan, SEED)["sessions"]["deviation"].tolist() == [plan.deviation]
        usual = simulate_session(dataclasses.replace(plan, deviation=None), SEED)
        found = simulate_session(plan, SEED)
        if plan.deviation == "drifting_reactions":
            reaction = pd.Series(found.behaviour.trials.reaction).dropna()
            half = len(reaction) // 2
            assert reaction[half:].median() > 1.15 * reaction[:half].median()
        else:
            counts, others = found.rois["G0"].counts, usual.rois["G0"].counts
            under = found.frames.led_states
            assert not np.array_equal(counts[under == 2], others[under == 2])


def test_truth_is_written_once_beside_the_cache_whatever_the_workers(tmp_path):
    plans = tiny_plans()
    assert write_truth(tmp_path / "one", plans, workers=1)
    assert write_truth(tmp_path / "two", plans[::-1], workers=2)
    assert not write_truth(tmp_path / "one", plans)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(
        [
            *(f"{n}.parquet" for n in ("sessions", "recordings", "trials", "amplitudes", "kernels", "effects")),
            "expected_outcomes.parquet",
            "cohort.json",
            "latent.json",
        ]
    )
    for name in names:
        if name.endswith(".parquet") and name != "expected_outcomes.parquet":
            pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / n / name) for n in ("one", "two")))
    statements = [json.loads((tmp_path / n / "cohort.json").read_text()) for n in ("one", "two")]
    assert statements[0] == statements[1]


def test_folders_of_others_are_never_touched(tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="is no truth of a demo cohort"):
        write_truth(tmp_path / "truth", tiny_plans())
    assert (tmp_path / "truth" / "mine.txt").read_text() == "mine"


# generation


def contents(cache):
    return {
        path.relative_to(cache).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cache.rglob("*"))
        if path.is_file()
    }


def test_a_cohort_does_not_depend_on_workers_and_a_session_not_on_its_cohort(tmp_path):
    plans = demo_plans(subjects=3, sessions=5)
    one, two, alone = tmp_path / "one", tmp_path / "two", tmp_path / "alone"
    write_cohort(one, plans, workers=1)
    write_cohort(two, plans, workers=2)
    assert contents(one) == contents(two)
    plan = plans[-1]
    write_cohort(alone, [plan])
    in_cohort = {path: digest for path, digest in contents(one).items() if path.startswith(plan.key.folder)}
    by_itself = {path: digest for path, digest in contents(alone).items() if path.startswith(plan.key.folder)}
    assert in_cohort == by_itself
    assert len(in_cohort) > 10


def test_many_sessions_share_their_files_but_not_their_identity(tmp_path):
    eids = write_linked_cohort(tmp_path / "many", 60, workers=2)
    assert len(set(eids)) == 60
    assert [path.name for path in tmp_path.iterdir()] == ["many"]
    listing = LocalSource(tmp_path / "many").list_sessions()
    assert [record.eid for record in listing.records] == eids
    assert len({record.subject for record in listing.records}) == 25
    regions = {record.subject: record.regions for record in listing.records}
    assert all(record.regions == regions[record.subject] for record in listing.records)
    inodes = {path.stat().st_ino for path in (tmp_path / "many").rglob("photometry.signal.pqt")}
    assert len(inodes) < 40


def test_an_index_without_files_opens_in_the_client(tmp_path):
    from one.api import One

    write_index_without_files(tmp_path / "index", 500)
    client = One(cache_dir=tmp_path / "index", mode="local")
    found = client.search(subject="MANY-03")
    assert len(found) == 20
    assert len(client.list_datasets(found[0])) == 4


def test_every_subject_of_the_default_cohort_has_planted_effects():
    assert {region.split("-")[0] for subject in SUBJECTS.values() for region in subject.regions} <= set(TARGET_EFFECTS)
