"""What a person marks in a recording: from the notebook into the file, and from the file into every run."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.sessions import OneSession

from iblnm_core.corrections.masks import Bit
from iblnm_core.errors import ConfigurationError
from iblnm_core.notebook import PhotometrySession
from iblnm_core.root import create_root
from iblnm_core.schemas import SESSIONS
from iblnm_core.session.corrections_layout import correction_parts
from iblnm_core.session.exclusions import Exclusions, exclusions_part, stored_exclusions
from iblnm_core.storage.session_file import SessionFile, update_session_file
from iblnm_core.storage.tables import read_table


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def parts(session):
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        return correction_parts(file)


def masked_times(part):
    return part.datasets["times"][(part.datasets["mask"] & Bit.MANUAL) > 0]


def test_a_stretch_that_a_person_marks_is_left_out_of_every_later_run(session):
    session.run()
    before = parts(session)
    middle = float(np.median(before["VTA-l"].datasets["times"]))
    row = read_table(session.root.path, SESSIONS).iloc[0]
    looked_at = PhotometrySession(row, root=session.root)
    looked_at.load_h5()
    looked_at.exclude("VTA", middle, middle + 10)
    looked_at.mark_step("VTA", middle + 60)
    looked_at.save_h5(groups=["photometry"])
    for reprocess in (False, True):
        # saving made the photometry due; asked for again, it knows the marks still
        report = session.run(reprocess=reprocess)
        assert "corrections" in report.computed
        after = parts(session)
        out = masked_times(after["VTA-l"])
        assert out.min() == pytest.approx(middle, abs=0.1)
        assert out.max() == pytest.approx(middle + 10, abs=0.1)
        inside = (after["VTA-l"].datasets["times"] > middle + 0.2) & (after["VTA-l"].datasets["times"] < middle + 9.8)
        assert np.isnan(after["VTA-l"].datasets["robust/dff"][inside]).all()
        assert not np.isnan(after["VTA-l"].datasets["reference/dff"][inside]).any()
        assert not len(masked_times(after["SNc-r"]))
        np.testing.assert_array_equal(after["SNc-r"].datasets["robust/dff"], before["SNc-r"].datasets["robust/dff"])
    assert session.run().computed == frozenset()


def test_broken_marks_stop_the_signal_until_they_are_made_again(session):
    session.run()
    row = read_table(session.root.path, SESSIONS).iloc[0]
    looked_at = PhotometrySession(row, root=session.root)
    looked_at.load_h5()
    looked_at.exclude("VTA", 100.0, 110.0)
    looked_at.save_h5(groups=["photometry"])
    with h5py.File(session.root.session_file(session.eid), "r+") as file:
        file["photometry/VTA-l/exclusions/start_s"][0] = 90.0
    report = session.run()
    (error,) = report.verdicts["photometry_available"].findings
    assert error.error_type == "CorruptDataset"
    assert "photometry/VTA-l/exclusions" in error.error_message
    assert report.stopped["corrections"] == "CorruptDataset"
    # trials and all else stay
    assert "trials" not in report.stopped
    looked_at.save_h5(groups=["photometry"])
    assert not session.run().failed
    assert len(masked_times(parts(session)["VTA-l"]))


def test_marks_that_make_no_sense_are_refused():
    with pytest.raises(ConfigurationError, match=r"from 5 s to 5 s; expected an end after its start"):
        Exclusions(((5.0, 5.0),))
    with pytest.raises(ConfigurationError, match="expected a time"):
        Exclusions((), (float("nan"),))


TIMES = st.floats(-1e5, 1e5)


@given(st.lists(st.tuples(TIMES, st.floats(0.01, 1e3)), max_size=4), st.lists(TIMES, max_size=3))
def test_marks_come_back_as_they_were_stored(tmp_path_factory, starts, steps):
    marked = Exclusions(tuple((start, start + length) for start, length in starts), tuple(steps))
    path = tmp_path_factory.mktemp("marks") / "s.h5"
    update_session_file(
        path, "s", lambda _: ({"photometry/VTA-l/exclusions": exclusions_part(marked)}, lambda _: False)
    )
    with SessionFile(path, "s") as file:
        assert stored_exclusions(file) == {"VTA-l": marked}


def test_a_session_file_that_cannot_be_opened_is_made_anew(session):
    session.run()
    path = session.root.session_file(session.eid)
    path.write_bytes(path.read_bytes()[:5000])
    report = session.run()
    assert not report.failed
    assert parts(session)
