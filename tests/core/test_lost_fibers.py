"""What is left of a session whose reference band is missing, or one of whose fibres is dead."""

import dataclasses
import re

import pytest
from tests_support.bad_input import RAW, SIGNAL, with_column
from tests_support.sessions import OneSession, catalogue_of, errors_of

from iblnm_core.cohort.collect import COLLECTED, collect, collected_rows
from iblnm_core.errors import CorrectionUnavailable, MixedCorrections, UnknownOption
from iblnm_core.notebook import PhotometrySession, PhotometrySessionGroup
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.session import layout
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import write_table

BLACK = 1 / 255


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def without_reference(table):
    return table[table["name"].astype(str) != "Isosbestic"]


def dead(*rois):
    return lambda table: table.assign(**dict.fromkeys(rois, BLACK))


def constant_reference(table):
    return table.assign(G0=table["G0"].where(table["name"].astype(str) != "Isosbestic", BLACK))


def signals(session):
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        return {group: (index, s.correction) for group, (index, s) in layout.read_preprocessed(file).items()}


def messages(report, rule):
    return [finding.error_message for finding in report.verdicts[rule].findings]


@pytest.mark.parametrize("raw", [None, with_column("LedState", lambda states: states * 0 + 2)])
def test_a_session_without_reference_band_has_all_outputs_and_says_what_stands_in(session, raw):
    session.rewrite(SIGNAL, without_reference)
    if raw is not None:
        # the other light was never on
        session.rewrite(RAW, raw)
    report = session.run()
    assert not report.failed
    assert not report.stopped
    assert signals(session) == {"VTA-l": (0, "no_reference"), "SNc-r": (1, "no_reference")}
    found = messages(report, "corrections_computed")
    assert found[0] == "photometry.signal.pqt: no frame of band Isosbestic; found GCaMP"
    for region in ("VTA-l", "SNc-r"):
        assert f"{region}: robust skipped: there is no reference band; no_reference is used instead" in found
    quality = collected_rows(session.root, "qc_photometry").set_index(["band", "brain_region"])
    assert quality.loc["Isosbestic", "n_unique_samples"].isna().all()
    assert quality.loc["GCaMP", "n_unique_samples"].notna().all()
    for name in COLLECTED:
        # tables are valid
        assert collect(session.root, name).table is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_reference, "photometry.signal.pqt: no frame of band Isosbestic; found GCaMP"),
        (dead("G0"), "photometry.signal.pqt: VTA-l: GCaMP band is constant at 0.00392157 (SD 0)"),
        (constant_reference, "photometry.signal.pqt: VTA-l: Isosbestic band is constant at 0.00392157 (SD 0)"),
    ],
)
def test_as_published_either_costs_the_session_its_signal(session, change, message):
    session.root = dataclasses.replace(session.root, parameters=PRESETS["reference"])
    session.rewrite(SIGNAL, change)
    report = session.run()
    found = [f.error_message for v in report.verdicts.values() for f in v.findings if f.severity == "fatal"]
    assert message in found[0]
    assert {"corrections", "preprocessed_signal", "responses"} <= report.stopped.keys()


def test_a_single_light_throughout_is_no_inversion_but_as_published(session):
    session.root = dataclasses.replace(session.root, parameters=PRESETS["reference"])
    session.rewrite(RAW, with_column("LedState", lambda states: states * 0 + 2))
    assert ("photometry_qc", "BandInversion") in errors_of(session.run())


def test_a_dead_fibre_costs_itself_alone(session):
    session.rewrite(SIGNAL, dead("G0"))
    report = session.run()
    assert not report.failed
    assert not report.stopped
    assert signals(session) == {"SNc-r": (1, "robust")}
    first, *others = messages(report, "corrections_computed")
    assert first.startswith("photometry.signal.pqt: VTA-l: GCaMP band is constant at 0.00392157 (SD 0)")
    assert first.endswith("; the fibre is left out")
    assert not others
    finding = errors_of(report, "advisory")["corrections", "DegenerateSignal"]
    assert not finding.blocks_analysis
    for name in ("responses", "response_matrix", "transients", "condition_traces"):
        assert set(collected_rows(session.root, name)["fiber_idx"]) == {1}
    rows = collected_rows(session.root, "corrections").groupby("brain_region")["status"].agg(set)
    assert rows["SNc-r"] == {"ok"}
    assert "ok" not in rows["VTA-l"]
    quality = collected_rows(session.root, "qc_photometry").groupby("brain_region")["verdict"].agg(set)
    assert quality.to_dict() == {"VTA-l": {"NoUsableSignal"}, "SNc-r": {"ok"}}


def test_when_all_fibres_are_dead_the_session_has_no_signal(session):
    session.rewrite(SIGNAL, dead("G0", "G1"))
    report = session.run()
    assert set(errors_of(report)) == {("preprocessed_signal", "NoUsableSignal")}
    assert len(messages(report, "corrections_computed")) == 2
    assert {"preprocessed_signal", "responses"} <= report.stopped.keys()
    assert "corrections" not in report.stopped


def test_a_reference_that_ends_before_the_session_is_none(session):
    session.rewrite(SIGNAL, lambda t: t[(t["name"].astype(str) != "Isosbestic") | (t.index < 20)].assign(valid=True))
    report = session.run()
    assert not report.failed
    assert signals(session) == {"VTA-l": (0, "no_reference"), "SNc-r": (1, "no_reference")}
    assert re.search(
        r"SNc-r: Isosbestic band has \d samples inside the session", str(messages(report, "corrections_computed"))
    )


def test_a_notebook_goes_on_without_reference_and_without_a_dead_fibre(session):
    session.rewrite(SIGNAL, lambda t: without_reference(t).assign(G0=BLACK))
    session.run()
    ps = PhotometrySession({"eid": session.eid, "subject": "?", "start_time": "2000-01-01"}, root=session.root)
    ps.load_photometry()
    ps.run_sliding_qc()
    ps.preprocess()
    assert set(ps.photometry) == {"GCaMP", "GCaMP_preprocessed"}
    assert list(ps.photometry["GCaMP_preprocessed"]) == ["SNc-r"]
    assert ps.trace("SNc").name == "no_reference_dff"
    with pytest.raises(CorrectionUnavailable):
        ps.trace("VTA")
    ps.extract_responses()
    assert list(ps.responses) == ["SNc-r"]


def test_a_constant_reference_costs_its_fibre_the_corrections_that_need_it(session):
    session.rewrite(SIGNAL, constant_reference)
    report = session.run()
    assert not report.failed
    assert signals(session) == {"VTA-l": (0, "no_reference"), "SNc-r": (1, "robust")}
    assert "VTA-l: Isosbestic band is constant at 0.00392157 (SD 0)" in messages(report, "corrections_computed")[0]


def test_cohort_analyses_use_no_recording_under_a_stand_in_and_notebooks_mix_only_when_told(session):
    session.rewrite(SIGNAL, constant_reference)
    session.run()
    catalogue_of(session.root)
    for name in ("corrections", "errors"):
        write_table(session.root.path, collect(session.root, name).table)
    group = PhotometrySessionGroup.from_catalog(session.root.path / "metadata" / "sessions.pqt")
    assert group.recordings[["brain_region", "fiber_idx"]].to_numpy().tolist() == [["SNc-r", 1]]
    assert set(group.get_modelling_frame()["fiber_idx"]) == {1}
    both = group.filter_sessions(corrections="keep")
    assert both.recordings["fiber_idx"].tolist() == [0, 1]
    for ask in (
        both.get_modelling_frame,
        both.get_response_magnitudes,
        both.get_response_features,
        both.fit_lmm,
        lambda: both.analyse("task_lmm"),
    ):
        with pytest.raises(MixedCorrections, match=r"different corrections: (robust|no_reference) \(1\), "):
            ask()
    for rows in (both.get_modelling_frame(corrections="keep"), both.get_response_magnitudes(corrections="keep")):
        assert len(rows)
        assert rows.groupby("fiber_idx")["correction"].agg(set).to_dict() == {0: {"no_reference"}, 1: {"robust"}}
    with pytest.raises(UnknownOption, match="corrections 'all'; expected one or keep"):
        both.get_modelling_frame(corrections="all")
    # what is not made from signals does not care
    assert len(both.analyse("learning"))
