"""Session files that the reference pipeline wrote, read by our readers; ours, read by a plain `h5py` user."""

import h5py
import numpy as np
import pytest
from tests_support.sessions import OneSession

from iblnm_core.cohort.collect import collect
from iblnm_core.root import create_root
from iblnm_core.session import layout, ledger
from iblnm_core.storage.session_file import SessionFile

EID = "6dc209b4-886a-433f-b1a3-3638a2e17637"
EVENTS = ("stimOn_times", "firstMovement_times", "feedback_times")
SCALARS = {
    "eid": EID,
    "subject": "CQ002",
    "start_time": "2024-11-05T14:23:11",
    "number": 1,
    "NM": "__none__",
    "session_length": 2730.5,
}


def write_reference_file(path):
    """Write what the reference pipeline writes, with the means it has: no checksums, fixed-length bytes, no fibre numbers."""
    text = h5py.string_dtype("utf-8")
    with h5py.File(path, "w") as file:
        metadata = file.create_group("metadata")
        metadata.attrs.update(SCALARS)
        metadata.create_dataset("brain_region", data=["SI", "PPT"], dtype=text)
        metadata.create_dataset("genotype", shape=(0,), dtype=text)
        errors = file.create_group("errors")
        for name, value in (
            ("eid", EID),
            ("error_type", "FewUniqueSamples"),
            ("error_message", "Few unique samples: SI/GCaMP=0.031"),
            ("traceback", "NoneType: None"),
        ):
            errors.create_dataset(name, data=[value], dtype=text)
        for position, region in enumerate(("PPT", "SI")):
            group = file.create_group(f"photometry/{region}")
            signal = group.create_group("preprocessed")
            signal.create_dataset("times", data=np.arange(300) / 30)
            signal.create_dataset("signal", data=np.arange(300.0) + position, compression="gzip", compression_opts=4)
            signal.attrs["fs"] = 30
            responses = group.create_group("responses")
            responses.create_dataset("times", data=np.arange(-30, 30) / 30)
            responses.create_dataset("trials", data=np.arange(4))
            for event in EVENTS:
                values = np.full((4, 60), float(EVENTS.index(event)))
                responses.create_dataset(event, data=values, compression="gzip", compression_opts=4)
            responses.attrs.update({"fs": 30, "response_window": np.array([-1, 1])})
            quality = group.create_group("qc")
            quality.create_dataset("band", data=np.array([b"GCaMP", b"Isosbestic"]))
            quality.create_dataset("brain_region", data=np.array([region.encode()] * 2))
            quality.create_dataset("ar_score", data=[0.5, 0.1])
            quality.create_dataset("n_early_samples", data=[0, 0])
        trials = file.create_group("trials")
        for name in (*EVENTS, "response_times", "choice", "feedbackType", "probabilityLeft", "contrast"):
            trials.create_dataset(name, data=np.arange(4.0))
        trials.create_dataset("signed_contrast", data=[-0.0, 0.0, -25.0, 100.0])
        trials.create_dataset("stim_side", data=np.array([b"left", b"right", b"left", b"right"]))
        file.create_dataset("video/labels", data=[1, 2])
        wheel = file.create_group("wheel/responses")
        wheel.create_dataset("velocity", data=np.zeros((4, 9), np.float32), compression="gzip", compression_opts=4)


def test_a_file_of_the_reference_is_read_in_all_its_parts(tmp_path):
    path = tmp_path / f"{EID}.h5"
    write_reference_file(path)
    with SessionFile(path, EID) as file:
        metadata, trials = layout.read_metadata(file), layout.read_trials(file)
        signals, responses = layout.read_signals(file), layout.read_responses(file)
        quality, errors = layout.read_qc(file), ledger.read_errors(file)
    assert {name: metadata[name] for name in SCALARS} == SCALARS | {"NM": None}
    assert (metadata["brain_region"], metadata["genotype"]) == (["SI", "PPT"], [])
    assert list(trials["stim_side"]) == ["left", "right", "left", "right"]
    assert np.signbit(trials["signed_contrast"]).tolist() == [True, False, True, False]
    assert list(signals) == ["PPT", "SI"]
    assert signals["SI"][1].iloc[[0, -1]].tolist() == [1, 300]
    assert responses["SI"].events == tuple(sorted(EVENTS))
    assert responses["SI"].to_xarray().sel(event="feedback_times").values.mean() == 2
    assert responses["SI"].window_s == (-1, 1)
    assert quality[["brain_region", "band", "ar_score"]].to_numpy().tolist() == [
        ["PPT", "GCaMP", 0.5],
        ["PPT", "Isosbestic", 0.1],
        ["SI", "GCaMP", 0.5],
        ["SI", "Isosbestic", 0.1],
    ]
    assert errors[0]["error_type"] == "FewUniqueSamples"
    assert errors[0]["severity"] is None


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def test_in_a_root_it_is_named_and_then_computed_anew(session):
    path = session.root.session_file(session.eid)
    path.parent.mkdir(parents=True)
    write_reference_file(path)
    found = collect(session.root, "errors")
    assert found.broken == (session.eid,)
    assert found.table.rows.num_rows == 0
    report = session.run()
    assert report.computed
    assert not report.stopped
    assert collect(session.root, "errors").broken == ()
    with h5py.File(path) as file:
        assert len(file["wheel/responses/velocity"]) > 90


def test_every_documented_path_is_there_for_a_plain_reader(session):
    session.run()
    with h5py.File(session.root.session_file(session.eid)) as file:
        assert file["metadata"].attrs["eid"] == session.eid
        assert file["metadata"].attrs["NM"] == "DA"
        assert file["metadata/brain_region"].asstr()[:].tolist() == ["VTA-l", "SNc-r"]
        assert {"genotype", "projects", "users", "hemisphere", "target_NM", "datasets"} <= set(file["metadata"])
        n_trials = len(file["trials/stimOn_times"])
        for name in ("response_times", "firstMovement_times", "feedback_times", "choice", "feedbackType", "contrast"):
            assert (file[f"trials/{name}"].shape, file[f"trials/{name}"].dtype) == ((n_trials,), np.float64)
        assert set(file["trials/stim_side"].asstr()[:]) == {"left", "right"}
        for region in ("VTA-l", "SNc-r"):
            group = file[f"photometry/{region}"]
            assert group["preprocessed"].attrs["fs"] == 30
            assert len(group["preprocessed/times"]) == len(group["preprocessed/signal"])
            assert group["preprocessed/signal"].dtype == np.float64
            assert list(group["responses"].attrs["response_window"]) == [-1, 1]
            assert group["responses/trials"].dtype == np.int64
            for event in EVENTS:
                assert group[f"responses/{event}"].shape == (n_trials, 60)
            assert group["qc/band"].asstr()[:].tolist() == ["GCaMP", "Isosbestic"]
            assert group["qc/n_early_samples"].dtype == np.int64
            for name in ("ar_score", "bleaching_tau", "iso_correlation", "n_unique_samples"):
                assert group[f"qc/{name}"].dtype == np.float64
            for band in ("GCaMP", "Isosbestic"):
                assert group[f"bands/{band}/signal"].shape == group[f"bands/{band}/times"].shape
                assert group[f"bands/{band}/signal"].dtype == np.float32
        # a second reader of shared sample times gets the same numbers
        assert np.array_equal(file["photometry/VTA-l/bands/GCaMP/times"], file["photometry/SNc-r/bands/GCaMP/times"])
        assert len(file["errors"]) == 0 or file["errors/eid"].asstr()[0] == session.eid
