"""A root made before corrections were stored: it opens, is told what is out of date, and one run brings it up to date."""

from dataclasses import replace

import pytest
from tests_support.sessions import OneSession

from iblnm_core.cohort.status import Catalogue
from iblnm_core.root import create_root
from iblnm_core.session import layout, ledger
from iblnm_core.session.outputs import ORDINARY, owner_of_part
from iblnm_core.storage.session_file import Part, SessionFile, update_session_file

LATER = {"corrections", "transients", "response_cells", "pose"}
"""Outputs that the root does not have yet."""
FORMER_CODE = {"photometry_qc": "2", "preprocessed_signal": "2"}


@pytest.fixture
def old(tmp_path, copies):
    """A session as it was stored before."""
    made = copies(tmp_path / "cache", 1)
    (only,) = made.eids
    session = OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[only], only)
    session.run()
    path, eid = session.root.session_file(session.eid), session.eid

    def change(file):
        provenance, verdicts = ledger.read_ledger(file)
        known = {name: entry for name, entry in provenance.items() if name not in LATER}
        known |= {
            name: replace(known[name], code=code, fingerprint=f"{known[name].fingerprint}, once")
            for name, code in FORMER_CODE.items()
        }
        judged = [verdict for verdict in verdicts.values() if verdict.asset not in LATER]
        parts = {name: file.read(name) for name in file.parts() if name.endswith("/preprocessed")}
        unnamed = {
            name: Part(part.datasets, {key: value for key, value in part.attributes.items() if key != "correction"})
            for name, part in parts.items()
        }
        return {**unnamed, **ledger.ledger_parts(eid, judged, known)}, lambda part: owner_of_part(part) in LATER

    update_session_file(path, eid, change)
    return session


def states(session):
    status = Catalogue.load(session.root).status()
    return dict(zip(status["asset"], status["state"], strict=True))


def test_it_opens_is_told_what_is_out_of_date_and_one_run_mends_it(old):
    with SessionFile(old.root.session_file(old.eid), old.eid) as file:
        signals = layout.read_preprocessed(file)
    assert {signal.correction for _, signal in signals.values()} == {"reference"}
    before = states(old)
    assert {name for name, state in before.items() if state == "never run"} == LATER
    assert {name for name, state in before.items() if state == "out of date"} >= set(FORMER_CODE)
    assert {before[name] for name in ("trials", "wheel_velocity", "video_qc")} == {"ok"}
    report = old.run()
    assert report.computed >= LATER | set(FORMER_CODE)
    assert not report.computed & {"trials", "task_performance", "wheel_velocity", "video_qc"}
    after = states(old)
    assert {after[name] for name in ORDINARY} == {"ok"}
    with SessionFile(old.root.session_file(old.eid), old.eid) as file:
        assert {signal.correction for _, signal in layout.read_preprocessed(file).values()} == {"robust"}
