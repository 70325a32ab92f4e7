"""Under the preset `reference` a whole session equals the library's own functions: real, an hour long, in every layout."""

import h5py
import numpy as np
import pandas as pd
import pytest
from tests_support.oracle import EVENTS, METRICS, oracle_of
from tests_support.parity import EVERY, N_TRIALS, STORED, digest_of
from tests_support.sessions import catalogue_of

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.presets import hour_plans, parity_plans
from iblnm_core.root import create_root
from iblnm_core.session import layout
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.session_file import SessionFile

RAW = "raw_photometry_data/_neurophotometrics_fpData.raw.pqt"
SIGNAL = "alf/photometry/photometry.signal.pqt"
LOCATIONS = "alf/photometry/photometryROI.locations.pqt"
LEDS = 7


def process(folder, root):
    """Process the one session of a cache and return what its file holds, by brain region."""
    catalogue = catalogue_of(create_root(root, cache=folder, preset="reference"))
    (task,) = catalogue.tasks(catalogue.sessions)
    report = process_session(task)
    assert not {"preprocessed_signal", "responses"} & set(report.stopped), report.verdicts
    with SessionFile(task.file, task.eid) as file:
        return layout.read_signals(file), layout.read_responses(file), layout.read_qc(file), report


def assert_equal(found, oracle):
    signals, responses, quality, _ = found
    assert set(signals) == set(oracle.signals)
    for region, (_, signal) in signals.items():
        expected = oracle.signals[region]
        np.testing.assert_array_equal(signal.index.to_numpy(), expected.index.to_numpy())
        np.testing.assert_allclose(signal.to_numpy(), expected.to_numpy(), rtol=0, atol=1e-12)
        assert set(responses[region].events) == set(EVENTS)
        for event, rows in zip(responses[region].events, responses[region].values, strict=True):
            np.testing.assert_allclose(rows, oracle.responses(region, event), rtol=0, atol=1e-12)
    rows = quality.set_index(["band", "brain_region"]).sort_index()
    expected = oracle.quality()
    for name in METRICS:
        np.testing.assert_allclose(rows[name].to_numpy(), expected[name].sort_index().to_numpy(), rtol=1e-9)
    for name, count in oracle.counts.items():
        assert set(rows[name]) == {count}
    for region in signals:
        assert rows.loc[("GCaMP", region), "iso_correlation"] == pytest.approx(oracle.iso_correlation(region), rel=1e-9)
        assert np.isnan(rows.loc[("Isosbestic", region), "iso_correlation"])


def test_the_real_session(tmp_path, shared, real_copy):
    found = process(real_copy, tmp_path / "root")
    assert_equal(found, oracle_of(next(real_copy.glob("*/Subjects/*/*/001"))))
    quality = found[2].set_index(["brain_region", "band"])
    with h5py.File(shared / "real_sessions" / "reference_numbers.h5") as file:
        for region, group in file["photometry"].items():
            expected = group["qc"]
            for position, band in enumerate(expected["band"].asstr()[()]):
                for name in (*METRICS, "n_early_samples", "n_band_inversions"):
                    assert quality.loc[(region, band), name] == pytest.approx(expected[name][position], rel=1e-9), name


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """One hour, two fibres."""
    return write_cohort(tmp_path_factory.mktemp("hour") / "cache", hour_plans()).cache


def test_an_hour(tmp_path, hour):
    found = process(hour, tmp_path / "root")
    oracle = oracle_of(next(hour.glob("*/Subjects/*/*/001")))
    assert_equal(found, oracle)
    # one sample less than the recording, and a window each minute that still has two minutes before it
    n = len(oracle.bands["GCaMP"])
    duration = oracle.bands["GCaMP"].index[-1] - oracle.bands["GCaMP"].index[0]
    assert {len(signal) for _, signal in found[0].values()} == {int(np.ceil(duration * 30))}
    assert abs(len(oracle.signals["VTA-l"]) - n) < 0.001 * n
    assert set(found[2]["n_windows"]) == {int(np.ceil((duration - 120) / 60))}


# layouts


def renamed(path, **names):
    return {path: lambda table: table.rename(columns=names)}


def both(change_signal, change_raw):
    return {SIGNAL: change_signal, RAW: change_raw}


def third_band():
    """Frames that take turns under three LEDs, as in a recording with two indicators."""

    def signal(table):
        kinds = np.array(["RCaMP", "Isosbestic", "GCaMP"], object)[np.arange(len(table)) % 3]
        colours = np.array(["Green", "Violet", "Blue"], object)[np.arange(len(table)) % 3]
        # levels belong to the LED: without them gone, every frame that changed its LED would be a step
        for roi in ("G0", "G1"):
            table[roi] /= table.groupby(table["name"].astype(str))[roi].transform("mean")
        kinds[0] = colours[0] = ""
        return table.assign(name=kinds, color=colours)

    def raw(table):
        turn = np.array([4, 1, 2])[np.arange(len(table)) % 3]
        state = table["LedState"].to_numpy()
        turn[0] = state[0] & LEDS
        return table.assign(LedState=(state - (state & LEDS) + turn).astype(state.dtype))

    return both(signal, raw)


def with_frame(row, name, state):
    """One frame in the middle of the session under other LEDs."""

    def signal(table):
        table["name"] = table["name"].astype(object)
        table.loc[row, "name"] = name
        return table

    def raw(table):
        before = int(table.loc[row, "LedState"])
        table.loc[row, "LedState"] = before - (before & LEDS) + state
        return table

    return both(signal, raw)


def null_for_dark(table):
    names = table["name"].astype(object)
    return table.assign(name=names.where(names != "", None))


def other_rois(signal):
    return signal.rename(columns={"G0": "Region0G", "G1": "Region1G"})


LAYOUTS = {
    "system timestamp": {},
    "timestamp": {RAW: lambda t: t.rename(columns={"SystemTimestamp": "Timestamp"}).drop(columns="ComputerTimestamp")},
    "flags": {
        RAW: lambda t: t.rename(columns={"SystemTimestamp": "Timestamp", "LedState": "Flags"}).drop(
            columns="ComputerTimestamp"
        )
    },
    "include for valid": renamed(SIGNAL, valid="include"),
    "null names for dark frames": {SIGNAL: null_for_dark},
    "region columns": {
        SIGNAL: other_rois,
        LOCATIONS: lambda t: t.rename(index={"G0": "Region0G", "G1": "Region1G"}),
        RAW: other_rois,
    },
    "three bands": third_band(),
    "several LEDs in one frame": with_frame(6001, "Isosbestic+GCaMP", 3),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(tmp_path, copies, name):
    made = copies(tmp_path / "cache", 1)
    (folder,) = made.folders.values()
    for path, change in LAYOUTS[name].items():
        table = change(pd.read_parquet(folder / path))
        (folder / path).unlink()
        table.to_parquet(folder / path)
    found = process(made.cache, tmp_path / "root")
    assert_equal(found, oracle_of(folder))
    stray = found[2]["n_stray_frames"]
    if name == "several LEDs in one frame":
        assert set(stray) == {1}
    elif name == "three bands":
        assert (stray > 1000).all()
    else:
        assert set(stray) == {0}


# stored numbers


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    """The parity sessions, generated anew and processed."""
    folder = tmp_path_factory.mktemp("parity")
    cohort = write_cohort(folder / "cache", parity_plans())
    catalogue = catalogue_of(create_root(folder / "root", cache=cohort.cache, preset="reference"))
    return cohort, {task.eid: task for task in catalogue.tasks(catalogue.sessions)}


@pytest.mark.parametrize("place", range(len(parity_plans())))
def test_the_stored_numbers_of_the_library(parity, place):
    cohort, tasks = parity
    eid = cohort.eids[place]
    with h5py.File(STORED) as stored:
        expected = stored[eid]
        if digest_of(cohort.cache / cohort.sessions[place].key.folder) != expected.attrs["inputs"]:
            pytest.skip("inputs changed: other library versions generate other sessions; make the numbers anew")
        assert not process_session(tasks[eid]).failed
        with SessionFile(tasks[eid].file, eid) as file:
            signals, responses, quality = layout.read_signals(file), layout.read_responses(file), layout.read_qc(file)
        assert set(signals) == set(expected)
        rows = quality.set_index(["brain_region", "band"])
        for region, (_, signal) in signals.items():
            numbers = expected[region]
            np.testing.assert_allclose(signal.index.to_numpy()[::EVERY], numbers["times"][()], rtol=0, atol=1e-12)
            np.testing.assert_allclose(signal.to_numpy()[::EVERY], numbers["signal"][()], rtol=0, atol=1e-12)
            for event, values in zip(responses[region].events, responses[region].values, strict=True):
                np.testing.assert_allclose(values[:N_TRIALS], numbers[event][()], rtol=0, atol=1e-12)
            for band in ("GCaMP", "Isosbestic"):
                row = rows.loc[(region, band)]
                np.testing.assert_allclose(row[list(METRICS)].to_numpy(np.float64), numbers[band][()], rtol=1e-9)
                for name in ("n_early_samples", "n_band_inversions"):
                    assert row[name] == expected.attrs[name]
            assert rows.loc[(region, "GCaMP"), "iso_correlation"] == pytest.approx(
                numbers.attrs["iso_correlation"], rel=1e-9
            )
