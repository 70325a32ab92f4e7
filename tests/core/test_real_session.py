"""A real published session, from the command line to its numbers, against functions of ibl-photometry itself."""

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from iblphotometry import fpio, metrics, neurophotometrics, processing

from iblnm_core.root import open_root
from iblnm_core.schemas import ERRORS, QC_PHOTOMETRY, SESSION_STATUS, SESSIONS
from iblnm_core.session import layout, ledger
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import read_table

PARTS_OF_FIBRE = (
    *("bands", "cells", "corrections", "course_sums", "magnitudes", "measures", "preprocessed", "qc", "responses"),
    *("traces", "transients", "vector"),
)
EVENTS = ("stimOn_times", "firstMovement_times", "feedback_times")


def iblnm(*arguments):
    command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def processed(tmp_path_factory, shared):
    """Index and run the session as a laboratory would."""
    folder = tmp_path_factory.mktemp("real")
    cache = folder / "cache"
    shutil.copytree(shared / "real_sessions", cache, copy_function=shutil.copyfile)
    for path in cache.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    indexed = iblnm("index", cache)
    assert indexed.returncode == 0, indexed.stderr
    assert "1 sessions, 5 datasets indexed" in indexed.stdout
    run = iblnm("run", "--source", "local", "--cache", cache, "--root", folder / "root", "--preset", "reference")
    # what is published of it has no wheel
    assert run.returncode == 1, run.stdout + run.stderr
    assert "MissingRawData: _iblrig_encoderPositions.raw.ssv" in run.stdout
    root = open_root(folder / "root")
    (eid,) = read_table(root.path, SESSIONS)["eid"]
    return root, eid


@pytest.fixture(scope="module")
def oracle(real_session):
    """Signal, trials and raw frames through the library's own functions."""
    trials = pd.read_parquet(real_session / "alf/task_00/_ibl_trials.table.pqt")
    bands = fpio.restrict_to_session_time(fpio.from_session_path(real_session), trials)
    signals = {}
    for region in ("SI", "PPT"):
        corrected = [processing.lowpass_bleachcorrect(bands[band][region]) for band in ("GCaMP", "Isosbestic")]
        clean = processing.isosbestic_correct(*corrected, regression_method="mse", correction_method="subtract")
        signals[region] = processing.resample_signal(processing.zscore(clean), fs=30, method="pchip")
    raw = pd.read_parquet(real_session / "raw_photometry_data/_neurophotometrics_fpData.raw.pqt")
    frames = neurophotometrics.from_neurophotometrics_df_to_photometry_df(raw)
    return trials, signals, frames


def test_signal_equals_the_library(processed, oracle):
    root, eid = processed
    _, expected, _ = oracle
    with SessionFile(root.session_file(eid), eid) as file:
        signals = layout.read_signals(file)
    assert list(signals) == ["SI", "PPT"]
    for region, (_, signal) in signals.items():
        np.testing.assert_array_equal(signal.index.to_numpy(), expected[region].index.to_numpy())
        np.testing.assert_allclose(signal.to_numpy(), expected[region].to_numpy(), rtol=0, atol=1e-12)


def test_responses_equal_the_library(processed, oracle):
    root, eid = processed
    trials, signals, _ = oracle
    with SessionFile(root.session_file(eid), eid) as file:
        responses = layout.read_responses(file)
    for region, found in responses.items():
        assert found.events == tuple(sorted(EVENTS))
        np.testing.assert_array_equal(found.times, np.arange(-30, 30) / 30)
        times, values = signals[region].index.to_numpy(), signals[region].to_numpy()
        for event, rows in zip(found.events, found.values, strict=True):
            at = trials[event].to_numpy()
            # the library counts the end of the window in, and knows no missing events
            expected, _ = processing.psth(values, times, np.nan_to_num(at), fs=30, event_window=[-1, 1])
            expected = expected[:60].T
            complete = (at - 1 >= times[0]) & (at + 1 <= times[-1])
            assert complete.sum() > 300
            np.testing.assert_allclose(rows[complete], expected[complete], rtol=0, atol=1e-12)
            assert np.isnan(rows[~complete]).all()


def test_raw_quality_equals_the_library(processed, oracle):
    root, eid = processed
    _, _, frames = oracle
    rows = read_table(root.path, QC_PHOTOMETRY)
    assert rows["eid"].tolist() == [eid] * 4
    by_time = frames.set_index("times")
    assert set(rows["n_early_samples"]) == {metrics.n_early_samples(by_time)} == {0}
    assert set(rows["n_band_inversions"]) == {metrics.n_band_inversions(by_time)} == {0}


def test_numbers_of_the_reference_pipeline(processed, shared):
    root, eid = processed
    with (
        h5py.File(shared / "real_sessions" / "reference_numbers.h5") as reference,
        h5py.File(root.session_file(eid)) as ours,
    ):
        for region in ("SI", "PPT"):
            expected, found = reference[f"photometry/{region}"], ours[f"photometry/{region}"]
            assert len(found["preprocessed/signal"]) == expected["preprocessed/n"][()] == 82208
            for name in ("times", "signal"):
                sample = found[f"preprocessed/{name}"][::100]
                np.testing.assert_allclose(sample, expected[f"preprocessed/{name}_every_100th"][()], rtol=0, atol=1e-12)
            for event in EVENTS:
                first = expected[f"responses/{event}_first_3"][()]
                np.testing.assert_allclose(found[f"responses/{event}"][:3], first, rtol=0, atol=1e-12)
            np.testing.assert_allclose(
                found["qc/iso_correlation"][()], expected["qc/iso_correlation"][()], rtol=1e-9, equal_nan=True
            )


def test_the_verdicts_of_the_session(processed):
    root, eid = processed
    (session,) = read_table(root.path, SESSIONS).to_dict("records")
    assert list(session["brain_region"]) == ["SI", "PPT"]
    assert list(session["hemisphere"]) == ["", ""]
    assert list(session["target_NM"]) == ["SI-ACh", "PPT-ACh"]
    assert session["session_type"] == "training"
    assert session["region_source"] == "alf/photometry/photometryROI.locations.pqt"
    errors = read_table(root.path, ERRORS)
    opinions = errors["asset"].isin(["corrections", "transients"])
    assert opinions.any()
    assert set(errors.loc[opinions, "severity"]) == {"advisory"}
    errors = errors[~opinions]
    assert errors[["rule", "error_type", "error_message", "severity"]].to_numpy().tolist() == [
        [
            "datasets_listed",
            "DataNotListed",
            "raw_task, raw_video, raw_photometry_channels, extracted_wheel",
            "advisory",
        ],
        [
            "hemisphere_consistent",
            "MissingHemiSuffix",
            "subject CQ002: SI, PPT without hemisphere; expected a suffix -l or -r",
            "advisory",
        ],
        ["session_length_valid", "InvalidSessionLength", "Missing end_time", "advisory"],
        ["video_available", "MissingVideoTimestamps", "_ibl_leftCamera.times.npy", "advisory"],
        ["wheel_available", "MissingRawData", "_iblrig_encoderPositions.raw.ssv", "fatal"],
    ]
    status = read_table(root.path, SESSION_STATUS)
    assert dict(zip(status["asset"], status["state"], strict=True)) == {
        "session_metadata": "ok",
        "trials": "ok",
        "task_performance": "ok",
        "photometry_qc": "ok",
        "corrections": "ok",
        "preprocessed_signal": "ok",
        "transients": "ok",
        "responses": "ok",
        "response_magnitudes": "ok",
        "response_vector": "ok",
        "condition_traces": "ok",
        "response_cells": "ok",
        "response_measures": "ok",
        "time_course_sums": "ok",
        "trial_mean_measures": "on request",
        "region_pairs": "on request",
        "wheel_velocity": "failed",
        "trial_regressors": "ok",
        "encoding_model": "on request",
        "video_qc": "absent",
        "pose": "absent",
    }
    with SessionFile(root.session_file(eid), eid) as file:
        held = [name for name, verdict in ledger.read_verdicts(file).items() if verdict.passed]
        assert len(layout.read_trials(file)) == 328
        assert file.parts() == (
            "errors",
            "metadata",
            "performance",
            *(f"photometry/{r}/{p}" for r in ("PPT", "SI") for p in PARTS_OF_FIBRE),
            "provenance",
            "trial_regressors",
            "trials",
            "verdicts",
        )
    assert held == [
        "subject_in_project",
        "session_paths_safe",
        "brain_region_valid",
        "session_type_valid",
        "target_valid",
        "not_duplicated",
        "extended_qc_valid",
        "trials_available",
        "enough_trials",
        "event_times_complete",
        "block_structure",
        "photometry_available",
        "led_states",
        "region_mapping",
        "trials_in_photometry_time",
        "raw_signal_quality",
        "unique_samples",
        "corrections_computed",
        "baseline_steady",
        "signal_processable",
        "transients_separable",
        "no_unexpected_error",
    ]


def test_the_other_commands_on_it(processed):
    root, eid = processed
    again = iblnm("run", "--root", root.path)
    assert again.returncode == 0
    assert "0 sessions were due" in again.stdout
    status = iblnm("status", "--root", root.path)
    assert status.returncode == 0
    assert "1 sessions, preset reference" in status.stdout
    assert "MissingRawData" in iblnm("failures", "--root", root.path).stdout
    about = iblnm("failures", "--root", root.path, "--eid", eid).stdout
    assert "MissingHemiSuffix" in about
    other = iblnm("run", "--root", root.path, "--preset", "default")
    assert other.returncode == 2
    assert "made with preset 'reference'" in other.stderr
    assert "Traceback" not in other.stderr
