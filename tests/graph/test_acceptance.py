"""The default demo cohort through the README's first command: exactly what was planted, and nothing else.

The counts follow from the rules of the cohort. Whoever changes a rule changes them in the same commit.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from tests_support.paths import REPOSITORY

from iblnm_core.analyses.response_analyses import RESPONSE_ANALYSES
from iblnm_core.cohort.collect import collected_rows
from iblnm_core.cohort.status import Catalogue
from iblnm_core.demo.pose import PLANTED_LAG_S
from iblnm_core.errors import TooFewClasses, UnknownOption
from iblnm_core.notebook import PhotometrySessionGroup
from iblnm_core.root import open_root
from iblnm_core.rules import RULES
from iblnm_core.schemas.results import RESULTS
from iblnm_core.session.pipeline import process_session
from iblnm_dagster.instance import open_instance

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The page that the command prints, and its root; a demo that was made before is brought up to date by the same command."""
    made = os.environ.get("IBLNM_DEMO_ROOT")
    root = Path(made).absolute() if made else tmp_path_factory.mktemp("acceptance") / "iblnm_demo"
    command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()", "demo", "--root", str(root)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout, root


@pytest.fixture(scope="module")
def tables(demo):
    _, root = demo
    names = (
        "metadata/sessions",
        "metadata/session_status",
        "metadata/errors",
        "data/qc_photometry",
        "data/performance",
        "data/trials",
        "data/trial_timing",
        "results/responses/trial_regressors",
    )
    return {name.split("/")[-1]: pd.read_parquet(root / f"{name}.pqt") for name in names}


def test_the_page_says_what_was_made_what_failed_and_where_to_look(demo):
    page, root = demo
    assert "84 sessions: 40 sound, 44 broken on purpose" in page
    assert "Exactly what was planted failed, and nothing else." in page
    assert page.count("as planned") == 44
    assert "Three things to look at next:" in page
    assert str(root) in page


def test_sessions_by_type(tables):
    sessions = tables["sessions"]
    assert sessions["session_type"].value_counts(dropna=False).to_dict() == {
        "biased": 58,
        "training": 14,
        "ephys": 9,
        "habituation": 2,
        None: 1,
    }
    assert sessions["subject"].nunique() == 15
    assert sessions["brain_region"].map(len).sum() == 126


def test_sessions_with_each_output(tables):
    status = tables["session_status"]
    assert status[status["state"] == "ok"].groupby("asset")["eid"].nunique().to_dict() == {
        "session_metadata": 84,
        "trials": 80,
        "task_performance": 79,
        "photometry_qc": 83,
        "corrections": 66,
        "preprocessed_signal": 64,
        "transients": 64,
        "responses": 63,
        "response_magnitudes": 63,
        "response_vector": 63,
        "condition_traces": 63,
        "response_cells": 63,
        "response_measures": 63,
        "time_course_sums": 63,
        "wheel_velocity": 78,
        "trial_regressors": 80,
        "video_qc": 83,
        "pose": 79,
    }
    quality = tables["qc_photometry"]
    assert quality[quality["n_windows"].notna()]["eid"].nunique() == 71
    assert quality[quality["n_early_samples"].notna()]["eid"].nunique() == 81


def test_sessions_by_error(tables):
    errors = tables["errors"]
    found = errors.groupby(["asset", "error_type"])["eid"].nunique()
    assert found["session_metadata"].to_dict() == {
        "DataNotListed": 10,
        "HemisphereMismatch": 1,
        "InvalidBrainRegion": 2,
        "InvalidExtendedQC": 1,
        "InvalidLine": 2,
        "InvalidNeuromodulator": 2,
        "InvalidSessionLength": 1,
        "InvalidSessionType": 1,
        "InvalidStrain": 2,
        "InvalidSubject": 1,
        "InvalidTargetNM": 1,
        "MissingHemiSuffix": 2,
        "MissingInsertion": 3,
        "MissingRegionSource": 1,
        "NMMismatch": 1,
        "SubjectNotUnique": 1,
        "TrueDuplicateSession": 1,
    }
    assert found["wheel_velocity"].to_dict() == {"MissingExtractedData": 1, "MissingRawData": 1}
    assert found["trials"].to_dict() == {
        "BlockStructureBug": 3,
        "CorruptDataset": 1,
        "IncompleteEventTimes": 3,
        "InsufficientTrials": 1,
        "MissingBlockInfo": 1,
        "MissingExtractedData": 1,
        "MissingRawData": 1,
        "MultipleCollections": 1,
    }
    assert found["photometry_qc"].to_dict() == {
        "AmbiguousRegionMapping": 2,
        "BandInversion": 1,
        "CorruptDataset": 1,
        "EarlySamples": 1,
        "FewUniqueSamples": 2,
        "LedStateGap": 2,
        "MissingExtractedData": 3,
        "MissingRawData": 2,
        "SignalNotFinite": 1,
        "SignalWrongType": 1,
        "TrialsNotInPhotometryTime": 1,
        "UnknownRawLayout": 1,
    }
    assert found["preprocessed_signal"].to_dict() == {"NoUsableSignal": 2}
    assert found["pose"].to_dict() == {"MissingLP": 68, "MissingMotionEnergy": 68}
    assert set(errors.loc[errors["asset"].isin(["corrections", "transients", "pose"]), "severity"]) == {"advisory"}
    assert "session_errors" not in found
    assert errors[errors["severity"] == "fatal"]["eid"].nunique() == 23
    assert errors[errors["blocks_analysis"]]["eid"].nunique() == 25


def test_behaviour_tables_belong_together(tables):
    performance, trials = tables["performance"].set_index("eid"), tables["trials"]
    assert performance["status"].value_counts().to_dict() == {"ok": 77, "not applicable": 2}
    assert performance["blocks"].value_counts().to_dict() == {
        "as recorded": 74,
        "repaired": 2,
        "none": 2,
        "unknown": 1,
    }
    assert performance.loc[performance["blocks"] == "unknown", "psych_50_bias"].isna().all()
    n_trials = trials.groupby("eid").size()
    assert len(n_trials) == 80
    assert (n_trials[performance.index] == performance["n_trials"]).all()
    keys = trials[["eid", "trial"]].to_numpy().tolist()
    for name in ("trial_timing", "trial_regressors"):
        assert tables[name][["eid", "trial"]].to_numpy().tolist() == keys
    without = tables["trial_regressors"].groupby("eid")["peak_velocity"].count() == 0
    assert without.sum() == 2
    repaired = trials[trials["probabilityLeft"] != trials["probabilityLeft_original"]]
    repaired = repaired[repaired["probabilityLeft"].notna() & repaired["probabilityLeft_original"].notna()]
    # four trials of the second block, ten of a training session
    assert sorted(repaired.groupby("eid").size()) == [4, 10]
    zero = trials[trials["contrast"] == 0]
    assert (np.signbit(zero["signed_contrast"]) == (zero["stim_side"] == "left")).all()


def test_every_error_is_a_failed_check_of_its_session_and_of_no_other(demo, tables):
    _, root = demo
    expected = tables["errors"].groupby("rule")["eid"].agg(set).to_dict()
    with open_instance(root / "dagster") as instance:
        for rule in RULES.values():
            key = dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name)
            records = instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
            judged = [record.event.dagster_event.event_specific_data for record in records if record.event]
            latest = {}
            for evaluation in judged:
                # the latest first
                latest.setdefault(getattr(evaluation, "partition", None), getattr(evaluation, "passed", None))
            assert {eid for eid, passed in latest.items() if passed is False} == expected.get(rule.name, set()), (
                rule.name
            )


def test_what_analyses_use(demo):
    _, root = demo
    account = pd.read_parquet(root / "metadata" / "selection.pqt").set_index("filter")
    assert account["removed_in_order"].to_dict() == {
        "lists_parallel": 0,
        "session_types": 3,  # two of habituation, and one of unknown type
        "excluded_subjects": 1,
        "excluded_eids": 0,
        "processed": 21,
        "blockers": 2,  # incomplete events, and doubtful blocks without plan
        "labels": 0,
        "correction": 0,  # the two without usable signal have no responses either
        "targets": 1,  # the unknown subject's
        "minimum_performance": 0,
        "required_contrasts": 1,  # early training
        "duplicates": 1,
    }
    recordings = pd.read_parquet(root / "metadata" / "recordings.pqt")
    assert recordings["eid"].nunique() == account["left"].iloc[-1] == 54
    of_session = recordings.drop_duplicates("eid")
    assert of_session["session_type"].value_counts().to_dict() == {"biased": 34, "training": 12, "ephys": 8}
    found = recordings.groupby("target_NM").agg(recordings=("eid", "size"), mice=("subject", "nunique"))
    assert found.to_dict("index") == {
        "DR-5HT": {"recordings": 12, "mice": 3},
        "LC-NE": {"recordings": 16, "mice": 3},
        "NBM-ACh": {"recordings": 14, "mice": 3},
        "SNc-DA": {"recordings": 15, "mice": 3},
        "VTA-DA": {"recordings": 16, "mice": 4},
    }


def test_fibres_of_the_cohort_are_where_their_regions_say(demo):
    _, root = demo
    fibers = pd.read_parquet(root / "metadata" / "fibers.pqt")
    midline = fibers["brain_region"].isin(["DR", "MR"])
    assert set(fibers.loc[midline, "hemisphere"]) == {"midline"}
    assert set(fibers.loc[~midline, "hemisphere"]) == {"l", "r"}
    assert fibers["note"].isna().all()


def test_sound_recordings_resolve_their_signal(demo, tables):
    _, root = demo
    planted = pd.read_parquet(root / "truth" / "sessions.parquet")
    sound = set(planted[planted["plant"].isna()]["eid"])
    assert len(sound) == 40
    quality = tables["qc_photometry"]
    of_sound = quality[quality["eid"].isin(sound)]
    assert set(of_sound["verdict"]) == {"ok"}
    assert of_sound["n_unique_samples"].min() > 0.16


def test_the_input_is_small_and_the_truth_smaller(demo):
    _, root = demo

    def megabytes(folder):
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6

    assert megabytes(root / "cache") < 250
    assert megabytes(root / "truth") < 6


def test_the_page_about_notebooks_runs_on_the_cohort(demo, monkeypatch):
    _, root = demo
    monkeypatch.chdir(root.parent)
    # the page sets it
    monkeypatch.setenv("IBLNM_ROOT", "")
    blocks = re.findall(
        r"^```python\n(.*?)^```", (REPOSITORY / "docs/notebook.md").read_text(), re.MULTILINE | re.DOTALL
    )
    names = {}
    for block in blocks:
        exec(compile(block, "docs/notebook.md", "exec"), names)
    assert len(blocks) >= 8
    assert np.nanmax(names["reward"]) != np.nanmax(names["error"])
    recordings = pd.read_parquet(root / "metadata" / "recordings.pqt")
    assert len(names["group"].recordings) < len(recordings) == len(names["cohort"].recordings)
    assert names["cohort"].decoder.accuracy > 0.5
    assert {"ok"} <= set(names["outcomes"]["status"])
    assert names["table"].notna().all().all()
    # in a left-biased block the animal needs more evidence for the right
    assert names["shifts"].median() > 0
    sessions, errors = names["sessions"], pd.read_parquet(root / "metadata" / "errors.pqt")
    missing = {"MissingRawData", "MissingExtractedData", "CorruptDataset", "MultipleCollections"}
    of_trials = errors[(errors["asset"] == "trials") & errors["error_type"].isin(missing)]
    assert {row["eid"] for row in names["log"] if row["error_type"] in missing} == set(of_trials["eid"])
    assert len(names["with_errors"]) == len(sessions) == 84


def test_a_group_starts_with_the_recordings_of_the_pipeline(demo):
    _, root = demo
    group = PhotometrySessionGroup.from_catalog(root / "metadata" / "sessions.pqt")
    recordings = pd.read_parquet(root / "metadata" / "recordings.pqt")
    assert (
        group.recordings[["eid", "fiber_idx"]].to_numpy().tolist()
        == recordings[["eid", "fiber_idx"]].to_numpy().tolist()
    )
    account = pd.read_parquet(root / "metadata" / "selection.pqt")
    assert group.account["removed_in_order"].tolist() == account["removed_in_order"].tolist()


def test_the_frame_of_the_analyses_is_of_the_selected_recordings_alone(demo):
    _, root = demo
    frame = pd.read_parquet(root / "results" / "responses" / "modelling_frame.pqt")
    recordings = pd.read_parquet(root / "metadata" / "recordings.pqt")
    keys = ["eid", "fiber_idx"]
    assert set(frame[keys].itertuples(index=False)) == set(recordings[keys].itertuples(index=False))
    assert set(frame["event"]) == {"stimOn", "firstMovement", "feedback"}
    assert (frame["probabilityLeft"] == 0.5).all()
    assert (frame["choice"] != 0).all()
    assert (frame["response_time"] > 0.05).all()
    # reward responses are planted in dopamine
    dopamine = frame[(frame["target_NM"] == "VTA-DA") & (frame["event"] == "feedback")]
    means = dopamine.groupby("feedbackType")["response"].mean()
    assert means[1] > means[-1] + 0.5


def test_the_model_of_the_task_finds_what_is_planted_and_says_why_where_it_cannot(demo):
    _, root = demo
    folder = root / "results" / "responses"
    outcomes = pd.read_parquet(folder / "task_lmm_outcomes.pqt").set_index(["target_NM", "event"])
    assert len(outcomes) == 15
    # the fibre in the midline has no sides
    assert set(outcomes.loc["DR-5HT", "status"]) == {"missing_input"}
    assert set(outcomes.drop("DR-5HT")["status"]) <= {"ok", "boundary"}
    terms = pd.read_parquet(folder / "lmm_coefficients_early.pqt").set_index(["target_NM", "event", "term"])
    assert set(terms.index.droplevel("term")) == set(outcomes.drop("DR-5HT").index)
    reward = terms.loc[("VTA-DA", "feedback", "reward")]
    assert reward["Coef."] > 1
    assert reward["t_q_value"] < 0.01
    assert terms.loc[("VTA-DA", "stimOn", "contrast"), "t_ci_lower"] > 0
    few, plain = (terms[f"{kind}ci_upper"] - terms[f"{kind}ci_lower"] for kind in ("t_", ""))
    assert (few >= plain - 1e-9).all()


def test_paws_lead_the_wheel_as_planted(demo):
    _, root = demo
    movement = pd.read_parquet(root / "metadata" / "pose.pqt").query("lp_exists")
    assert len(movement) == 11
    lags = movement[["peak_lag_early", "peak_lag_mid", "peak_lag_late"]]
    np.testing.assert_allclose(lags, PLANTED_LAG_S, atol=0.005)


def test_pairs_of_fibres_and_means_are_made_for_who_asks(demo, tables, tmp_path):
    _, folder = demo
    shutil.copytree(folder / "metadata", tmp_path / "metadata")
    # what is asked for is not made in the demo itself
    root = replace(open_root(folder), path=tmp_path)
    catalogue = Catalogue.load(root)
    (two_fibers,) = tables["sessions"].query("subject == 'DEMO-DA3' and session_type == 'ephys'")["eid"]
    root.session_file(two_fibers).parent.mkdir(parents=True)
    shutil.copy(open_root(folder).session_file(two_fibers), root.session_file(two_fibers))
    asked = frozenset({"trial_mean_measures", "region_pairs"})
    (task,) = catalogue.tasks([two_fibers], selected=asked)
    assert process_session(task).computed == asked
    (pair,) = collected_rows(root, "region_pairs").to_dict("records")
    assert (pair["region_1"], pair["region_2"], pair["status"]) == ("VTA-l", "SNc-l", "ok")
    # both respond to the same events, and to little else in common
    assert pair["r0"] > 2 * pair["r_null_97"]
    assert abs(pair["r_events_removed"]) < pair["r0"] / 2
    shapes = collected_rows(root, "trial_mean_measures").query("condition == 'all' and event == 'feedback_times'")
    reward = shapes[shapes["brain_region"] == "VTA-l"].set_index("measure")
    assert 0 < reward.loc["latency", "lower"] < reward.loc["latency", "upper"] < reward.loc["time_to_peak", "lower"]


# analyses that the demo cohort is too small for: five sessions of four mice; trials of the unbiased block with every predictor
_WITHOUT_RESULT = {"variance_components"}
_PARTLY_WITHOUT = {"two_block_cca"}
# nobody has asked for encoding models
_NOT_ASKED_FOR = {"encoding_summary"}


def test_all_analyses_have_results_and_say_how_every_group_came_out(demo):
    _, root = demo
    for name, schemas in RESULTS.items():
        tables = {schema.name: pd.read_parquet(root / schema.path) for schema in schemas}
        if name in _WITHOUT_RESULT:
            assert set(tables.pop(f"{name}_outcomes")["status"]) == {"too_few_subjects"}
            assert all(table.empty for table in tables.values())
            continue
        if name in _NOT_ASKED_FOR:
            assert "ok" not in set(tables.pop(f"{name}_outcomes")["status"])
            assert all(table.empty for table in tables.values())
            continue
        if name == "time_courses":
            # a joint band takes six mice of a target; single mice have their courses
            assert set(tables["time_courses_outcomes"]["status"]) == {"too_few_subjects", "no_data"}
            assert tables["time_courses"].empty
            assert set(tables["time_courses_subjects"]["target_NM"]) == {"LC-NE", "NBM-ACh", "SNc-DA", "VTA-DA"}
            continue
        assert name in _PARTLY_WITHOUT or all(len(table) for table in tables.values()), name
        if (
            f"{name}_outcomes" not in tables
            or name not in RESPONSE_ANALYSES
            or "target_NM" not in tables[schemas[0].name]
        ):
            continue
        outcomes = tables[f"{name}_outcomes"]
        assert {"VTA-DA", "DR-5HT"} <= set(outcomes["target_NM"]), name
        with_result = outcomes[outcomes["status"].isin(["ok", "boundary"])]
        assert "VTA-DA" in set(with_result["target_NM"]), name
        for schema in schemas[:-1]:
            # courses need no side, which fibres in the midline lack
            sideless = {"DR-5HT"} if schema.name == "traces_by_target" else set()
            assert set(tables[schema.name]["target_NM"]) == set(with_result["target_NM"]) | sideless, schema.name
    movement = pd.read_parquet(root / "results" / "movement_encoding" / "loso_cv_model_comparison.pqt")
    # contrast is planted in the responses to the stimulus
    gains = movement[movement["target_NM"] == "VTA-DA"]["centred_delta_r2_contrast"]
    assert gains.mean() > 0.02


def test_response_vectors_tell_targets_apart(demo):
    _, root = demo
    score = pd.read_parquet(root / "results" / "target_decoding" / "decoding_scores.pqt").iloc[0]
    assert score["chance"] == 0.25
    assert score["balanced_accuracy"] > 0.6
    predictions = pd.read_parquet(root / "results" / "target_decoding" / "decoding_predictions.pqt")
    assert (predictions["true"] == predictions["predicted"]).mean() == score["accuracy"]
    targets = pd.read_parquet(root / "results" / "responses" / "response_similarity_targets.pqt")
    every = targets[targets["features"] == "all"].set_index(["target1", "target2"])
    dopamine = every.loc[("VTA-DA", "VTA-DA"), "cross_subject_similarity"]
    assert dopamine > every.loc[("LC-NE", "VTA-DA"), "cross_subject_similarity"]
    pairs = pd.read_parquet(root / "results" / "responses" / "response_similarity_pairs.pqt")
    assert every["n_pairs"].sum() == (pairs["features"] == "all").sum()
    matrix = pd.read_parquet(root / "results" / "responses" / "response_similarity_matrix.pqt")
    every = matrix[matrix["features"] == "all"]
    values = every[[f"{eid}:{fiber}" for eid, fiber in zip(every["eid"], every["fiber_idx"], strict=True)]].to_numpy()
    np.testing.assert_allclose(np.diag(values), 1)
    np.testing.assert_allclose(values, values.T)


def test_mean_traces_show_the_planted_reward_response(demo):
    _, root = demo
    traces = pd.read_parquet(root / "results" / "responses" / "mean_traces.pqt")
    recordings = pd.read_parquet(root / "metadata" / "recordings.pqt")
    assert set(traces["eid"]) == set(recordings["eid"])
    reward = traces[(traces["target_NM"] == "VTA-DA") & (traces["event"] == "feedback")]
    early = reward[(reward["time"] >= 0.1) & (reward["time"] < 0.35)].groupby("feedbackType")["response"].mean()
    before = reward[(reward["time"] >= -0.1) & (reward["time"] < 0)]["response"]
    assert early[1] > early[-1] + 0.5
    # the baseline is taken away
    assert abs(before.mean()) < 1e-9


def test_a_group_in_a_notebook_finds_what_the_graph_stored(demo):
    _, root = demo
    group = PhotometrySessionGroup.from_catalog(root / "metadata" / "sessions.pqt")
    assert (group.events, group.response_features, group.similarity_matrix, group.decoder, group.lmm) == (None,) * 5
    frame = pd.read_parquet(root / "results" / "responses" / "modelling_frame.pqt")
    pd.testing.assert_frame_equal(
        group.get_modelling_frame().sort_values(["eid", "fiber_idx", "event", "trial"], ignore_index=True),
        frame,
        check_dtype=False,
    )
    coefficients = pd.read_parquet(root / "results" / "responses" / "lmm_coefficients_early.pqt")
    keys = ["target_NM", "event", "term"]
    fitted = group.fit_lmm().tables.coefficients.sort_values(keys, ignore_index=True)
    np.testing.assert_allclose(fitted["Coef."], coefficients["Coef."], rtol=1e-12)
    score = pd.read_parquet(root / "results" / "target_decoding" / "decoding_scores.pqt").iloc[0]
    group.get_response_features(nan_handling="drop_features")
    assert group.decode_target(contributions=False).accuracy == score["accuracy"]
    assert group.decoder.contributions is None
    assert len(group.response_similarity_matrix()) == score["n_recordings"]
    slopes = group.analyse("movement_encoding")["per_contrast_slopes"]
    stored = pd.read_parquet(root / "results" / "movement_encoding" / "per_contrast_slopes.pqt")
    assert len(slopes) == len(stored)
    # other recordings, other results
    group.filter(group.recordings["target_NM"] == "VTA-DA")
    assert (group.response_features, group.decoder, group.lmm) == (None, None, None)
    assert set(group.get_response_magnitudes()["target_NM"]) == {"VTA-DA"}
    with pytest.raises(TooFewClasses, match="1 targets"):
        group.decode_target()
    with pytest.raises(UnknownOption, match="task_lmm"):
        group.analyse("nothing")


def test_how_mice_learn_and_how_recordings_fare(demo):
    _, root = demo
    folder = root / "results" / "task_performance"
    trajectory = pd.read_parquet(folder / "performance_trajectory.pqt")
    performance = pd.read_parquet(root / "data" / "performance.pqt")
    blocked = pd.read_parquet(root / "metadata" / "errors.pqt").query("blocks_analysis and stage == 'task'")["eid"]
    assert not set(trajectory["eid"]) & set(blocked)
    both = trajectory.merge(performance, on="eid", suffixes=("", "_there"))
    assert (both["fraction_correct"] == both["fraction_correct_there"]).all()
    curves = pd.read_parquet(folder / "learning_curves.pqt")
    first = curves[(curves["target_NM"] == "all") & (curves["metric"] == "fraction_correct")]
    assert first["mean"].between(0.4, 1).all()
    progress = pd.read_parquet(folder / "stage_progress.pqt").set_index("subject")
    assert (progress["n_biased"] >= 1).any()
    months = pd.read_parquet(root / "results" / "qc_overview" / "qc_monthly.pqt")
    signals = pd.read_parquet(root / "results" / "qc_overview" / "qc_signals.pqt")
    assert months["n_signals"].sum() == len(signals)
    assert (
        signals.loc[~signals["passes_inversions"] & signals["n_band_inversions"].notna(), "n_band_inversions"].min() > 0
    )


def test_how_the_task_is_encoded_and_what_of_it_goes_with_behaviour(demo):
    _, root = demo
    folder = root / "results" / "task_encoding"
    glm = pd.read_parquet(folder / "glm_coefficients.pqt")
    outcomes = pd.read_parquet(folder / "glm_coefficients_outcomes.pqt")
    recordings = pd.read_parquet(root / "metadata" / "recordings.pqt")
    assert len(outcomes) == 3 * len(recordings)
    assert (outcomes["status"] == "ok").sum() * 7 == len(glm)
    # fibres in the midline have no sides
    assert set(outcomes.loc[outcomes["target_NM"] == "DR-5HT", "status"]) == {"missing_input"}
    reward = glm[(glm["event"] == "feedback") & (glm["term"] == "reward")].groupby("target_NM")["coef"].median()
    assert reward["VTA-DA"] > 1
    assert reward["LC-NE"] < 0
    components = pd.read_parquet(folder / "encoding_components.pqt")
    pca = components[(components["method"] == "pca") & (components["component"] == 1)]
    assert pca.groupby(["event", "weighting"])["loading"].agg(lambda x: x.loc[x.abs().idxmax()] > 0).all()
    summary = pd.read_parquet(folder / "cca_summary.pqt")
    assert set(summary["target_NM"]) == {"LC-NE", "NBM-ACh", "SNc-DA", "VTA-DA"}
    # fifteen recordings are few for ten features, and the table says so
    assert summary["low_n"].all()
    assert summary["correlation"].between(0, 1).all()
    assert summary["p_session"].between(1 / 1001, 1).all()
    projections = pd.read_parquet(folder / "cca_cross_projection.pqt")
    own = projections[projections["data_target"] == projections["weight_target"]]
    merged = own.merge(summary, left_on=["event", "data_target"], right_on=["event", "target_NM"])
    np.testing.assert_allclose(merged["correlation_x"], merged["correlation_y"], rtol=1e-9)
