"""Corrections from the bands of a session to what a notebook reads: names, units, fall-back, words for what is not there."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests_support.bad_input import SIGNAL
from tests_support.demo import SEED, plan
from tests_support.sessions import OneSession

from iblnm_core.cohort.collect import collected_rows
from iblnm_core.corrections.normalisation import UNITS
from iblnm_core.demo.recording import cut_recording
from iblnm_core.demo.session import simulate_session
from iblnm_core.errors import CorrectionUnavailable, UnknownCorrection, UnknownOption
from iblnm_core.notebook import PhotometrySession
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.session import layout
from iblnm_core.session.corrections_layout import correction_parts, trace_of
from iblnm_core.session.fiber_signals import Fiber
from iblnm_core.session.photometry_stage import correct
from iblnm_core.session.verdicts import Judge
from iblnm_core.storage.session_file import SessionFile


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def stored(session):
    """Corrections by region, and the signal that everything else is made from."""
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        return correction_parts(file), {name: s for name, (_, s) in layout.read_preprocessed(file).items()}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_signal_is_the_stored_primary_correction_in_z(session, preset):
    session.root = dataclasses.replace(session.root, parameters=PRESETS[preset])
    session.run()
    parts, signals = stored(session)
    assert list(parts) == list(signals) == ["VTA-l", "SNc-r"]
    wanted = PRESETS[preset].corrections.names
    for region, part in parts.items():
        assert tuple(part.attributes["names"]) == wanted
        z = trace_of(part, unit="z")
        np.testing.assert_array_equal(z.index.to_numpy(), signals[region].times)
        np.testing.assert_allclose(z.to_numpy(), signals[region].values, atol=1e-4)
        assert signals[region].correction == wanted[0] == part.attributes["primary"]
        assert trace_of(part).std() == pytest.approx(signals[region].standard_deviation, rel=0.1)
    rows = collected_rows(session.root, "corrections")
    assert rows.groupby("correction")["is_primary"].all().to_dict() == {name: name == wanted[0] for name in wanted}
    assert set(rows["status"]) == {"ok"}
    assert rows["dark_source"].unique().tolist() == ["none" if preset == "reference" else "constant"]


def test_units_are_affine_in_relative_change(session):
    session.run()
    for part in stored(session)[0].values():
        dff = trace_of(part, "dff_exp").to_numpy()
        for unit in UNITS:
            values = trace_of(part, "dff_exp", unit).to_numpy()
            slope, constant = np.polyfit(dff, values, 1)
            assert slope > 0
            np.testing.assert_allclose(slope * dff + constant, values, atol=1e-6)


def test_a_fibre_without_usable_reference_band_falls_back_and_says_so(session):
    def coarse(table):
        reference = table["name"] == "Isosbestic"
        middle = table.loc[reference, "G0"].median()
        return table.assign(G0=table["G0"].where(~reference, np.where(table["G0"] < middle, 0.2, 0.3)))

    session.rewrite(SIGNAL, coarse)
    report = session.run()
    assert not report.failed
    parts, signals = stored(session)
    assert {region: signal.correction for region, signal in signals.items()} == {
        "VTA-l": "no_reference",
        "SNc-r": "robust",
    }
    with pytest.raises(
        CorrectionUnavailable, match="correction robust skipped: MissingReference: there is no reference"
    ):
        trace_of(parts["VTA-l"], "robust")
    errors = collected_rows(session.root, "errors")
    [message] = errors.loc[errors["error_message"].str.startswith("VTA-l: robust"), "error_message"]
    assert message.endswith("no_reference is used instead")
    assert errors["error_message"].str.contains("instead").sum() == 1
    rows = collected_rows(session.root, "corrections").set_index(["brain_region", "correction"])
    assert rows.loc[("VTA-l", "no_reference"), "is_primary"]
    assert rows.loc[("VTA-l", "robust"), ["status", "reason"]].tolist() == ["skipped", "MissingReference"]


def test_a_notebook_reads_any_of_them_and_is_told_which_there_are(session):
    session.run()
    ps = PhotometrySession({"eid": session.eid, "subject": "?", "start_time": "2000-01-01"}, root=session.root)
    ps.load_h5()
    primary, reference = ps.trace("VTA"), ps.trace("VTA-l", "reference", "z")
    assert isinstance(primary, pd.Series)
    assert (primary.name, reference.name) == ("robust_dff", "reference_z")
    assert reference.mean() == pytest.approx(0, abs=0.02)
    assert np.corrcoef(primary, reference)[0, 1] > 0.9
    with pytest.raises(UnknownCorrection, match="'best' is not stored; stored are robust, reference, dff_exp"):
        ps.trace("VTA", "best")
    with pytest.raises(UnknownOption, match="unit 'volts' is unknown; known are dff, z"):
        ps.trace("VTA", unit="volts")


def test_each_of_two_fibres_in_one_region_has_what_is_said_about_it():
    # two minutes are too short for a baseline
    recording = cut_recording(simulate_session(plan(), SEED), PRESETS["default"])
    fibers, judge = (Fiber(0, 0, "VTA-l"), Fiber(1, 1, "VTA-l")), Judge()
    found = correct(recording, fibers, None, PRESETS["default"], judge)
    assert all(corrections.signal is None for corrections in found.values())
    messages = [finding.error_message for finding in judge.verdicts["corrections_computed"].findings]
    assert [message.partition(" failed: 114 s of good samples")[0] for message in messages] == [
        f"{fiber}: {correction}" for fiber in ("VTA-l", "VTA-l#2") for correction in ("robust", "dff_exp")
    ]
    assert [finding.error_type for finding in judge.verdicts["signal_processable"].findings] == ["NoUsableSignal"]
