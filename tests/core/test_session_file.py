"""The session file keeps what it is given, says when it does not, and is never partial."""

import multiprocessing

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from iblnm_core.errors import CorruptArtifact
from iblnm_core.storage.session_file import Part, SessionFile, update_session_file

EID = "0a1b2c3d-0000-4000-8000-000000000001"

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12)
datasets = st.dictionaries(
    st.sampled_from(["a", "b/c", "times", "signal", "stim_side"]),
    st.one_of(
        hnp.arrays(st.sampled_from([np.float64, np.float32, np.int64]), hnp.array_shapes(max_dims=3, min_side=0)),
        st.lists(st.one_of(st.none(), texts.filter(lambda t: t != "__none__")), max_size=4),
    ),
    max_size=4,
)
attributes = st.dictionaries(
    st.sampled_from(["fs", "x", "name"]),
    st.one_of(st.none(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.booleans(), texts),
    max_size=3,
)


def write(path, **parts):
    update_session_file(path, EID, lambda _stored: (parts, lambda _part: False))


@settings(deadline=None, max_examples=60)
@given(datasets, attributes)
def test_every_part_comes_back_as_it_was_written(tmp_path_factory, datasets, attributes):
    path = tmp_path_factory.mktemp("h5") / f"{EID}.h5"
    write(path, part=Part(datasets, attributes))
    with SessionFile(path, EID) as file:
        part = file.read("part")
    assert set(part.datasets) == set(datasets)
    for name, values in datasets.items():
        if isinstance(values, np.ndarray):
            assert part.datasets[name].dtype == values.dtype
            np.testing.assert_array_equal(part.datasets[name], values)
        else:
            assert part.datasets[name] == values
    assert part.attributes == attributes


columns = st.integers(0, 5).flatmap(
    lambda n: st.dictionaries(
        st.sampled_from(["a", "b/c", "time", "rows", "event"]),
        st.one_of(
            hnp.arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), n),
            st.lists(st.one_of(st.none(), texts.filter(lambda t: t != "__none__")), min_size=n, max_size=n),
        ),
        min_size=1,
    )
)


@settings(deadline=None, max_examples=60)
@given(columns, attributes)
def test_columns_that_are_rows_come_back_with_the_part_and_alone(tmp_path_factory, columns, attributes):
    path = tmp_path_factory.mktemp("h5") / f"{EID}.h5"
    signal = np.linspace(0, 1, 7)
    write(path, part=Part({"signal": signal, **columns}, attributes, rows=tuple(columns)))
    with h5py.File(path) as file:
        assert set(file["part"]) == {"rows", "signal"}
        assert set(file["part/rows"].dtype.names) == set(columns)
    with SessionFile(path, EID) as file:
        whole, alone = file.read("part"), file.read_rows("part")
    assert set(whole.datasets) == {"signal", *columns}
    assert set(alone.datasets) == set(columns)
    for part in (whole, alone):
        assert part.attributes == attributes
        for name, values in columns.items():
            if isinstance(values, np.ndarray):
                assert part.datasets[name].dtype == values.dtype
                assert part.datasets[name].tobytes() == values.tobytes()
            else:
                assert part.datasets[name] == values


def test_rows_and_attributes_that_changed_are_seen_without_the_arrays_and_arrays_with_them(tmp_path):
    path = tmp_path / f"{EID}.h5"
    part = Part({"signal": np.arange(3.0), "time": np.arange(2.0)}, {"fs": 30}, rows=("time",))

    def problem(change, read):
        write(path, part=part)
        with h5py.File(path, "r+") as file:
            change(file["part"])
        with SessionFile(path, EID) as file, pytest.raises(CorruptArtifact) as caught:
            read(file)("part")
        return str(caught.value)

    def other_rows(group):
        group["rows"][...] = np.zeros(2, group["rows"].dtype)

    def other_signal(group):
        group["signal"][0] = 9.0

    for change in (other_rows, lambda group: group.attrs.modify("fs", 31)):
        for read in (lambda file: file.read, lambda file: file.read_rows):
            assert "rows digest" in problem(change, read)
    assert "content digest" in problem(other_signal, lambda file: file.read)
    with SessionFile(path, EID) as file:
        assert file.read_rows("part").datasets["time"].tolist() == [0.0, 1.0]


def test_a_file_from_before_there_were_rows_is_read_as_it_is(tmp_path):
    path = tmp_path / f"{EID}.h5"
    with h5py.File(path, "w") as file:
        file["cells/event"] = np.array(["stimOn_times", "__none__"], dtype=h5py.string_dtype())
        file["cells/n"] = [3, 4]
        file["cells"].attrs.update(fiber_idx=1, content_hash="of another kind")
    with SessionFile(path, EID) as file:
        for part in (file.read("cells"), file.read_rows("cells")):
            assert part.attributes == {"fiber_idx": 1}
            assert part.datasets["event"] == ["stimOn_times", None]
            assert part.datasets["n"].tolist() == [3, 4]


def test_padding_is_neither_stored_nor_hashed_and_comes_back(tmp_path):
    path = tmp_path / f"{EID}.h5"
    values = np.random.default_rng(1).normal(size=(40, 600)).astype(np.float32)
    values[:20, 100:] = np.nan
    values[5, 50] = np.nan
    write(path, wheel=Part({"velocity": values}))
    with SessionFile(path, EID) as file:
        assert file.read("wheel").datasets["velocity"].tobytes() == values.tobytes()
    with h5py.File(path, "r+") as file:
        assert file["wheel/velocity"].id.get_storage_size() < 0.8 * values.nbytes
        file["wheel/velocity"][3, 550] = 1.0
    with SessionFile(path, EID) as file, pytest.raises(CorruptArtifact):
        file.read("wheel")


def test_negative_zero_survives(tmp_path):
    path = tmp_path / f"{EID}.h5"
    write(path, trials=Part({"signed_contrast": np.array([-0.0, 0.0])}))
    with SessionFile(path, EID) as file:
        assert np.signbit(file.read("trials").datasets["signed_contrast"]).tolist() == [True, False]


def test_equal_arrays_are_stored_once_and_those_that_differ_in_a_bit_are_not(tmp_path):
    path = tmp_path / f"{EID}.h5"
    times = np.linspace(0, 10, 500)
    other = times.copy()
    other[0] = -0.0
    write(path, a=Part({"times": times}), b=Part({"times": times.copy(), "other": other}))
    with h5py.File(path) as file:
        assert file["a/times"] == file["b/times"]
        assert file["b/times"] != file["b/other"]
    with SessionFile(path, EID) as file:
        assert np.signbit(file.read("b").datasets["other"][0])
        assert file.read("b").datasets["times"].tolist() == times.tolist()


def test_parts_not_named_are_kept_and_dropped_ones_leave(tmp_path):
    path = tmp_path / f"{EID}.h5"
    write(path, trials=Part({"a": np.arange(3)}), video=Part({"a": np.arange(4)}))
    new = {"photometry/VTA-l/qc": Part({"band": ["GCaMP"]})}
    update_session_file(path, EID, lambda _stored: (new, lambda part: part == "video"))
    with SessionFile(path, EID) as file:
        assert file.parts() == ("photometry/VTA-l/qc", "trials")
        assert file.read("trials").datasets["a"].tolist() == [0, 1, 2]


def test_changed_content_is_noticed_by_name(tmp_path):
    path = tmp_path / f"{EID}.h5"
    write(path, trials=Part({"a": np.arange(3.0)}))
    with h5py.File(path, "r+") as file:
        file["trials/a"][1] = 7
    with SessionFile(path, EID) as file, pytest.raises(CorruptArtifact, match=f"stored trials of session {EID}"):
        file.read("trials")


def test_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / f"{EID}.h5"
    signal = np.random.default_rng(1).normal(size=5000)
    write(path, trials=Part({"a": signal}))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CorruptArtifact), SessionFile(path, EID) as file:
        file.read("trials")


def test_a_file_that_cannot_be_opened_is_set_aside(tmp_path):
    path = tmp_path / f"{EID}.h5"
    path.write_bytes(b"no HDF5")
    write(path, trials=Part({"a": np.arange(3)}))
    assert path.with_suffix(".broken").read_bytes() == b"no HDF5"
    with SessionFile(path, EID) as file:
        assert "trials" in file


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / f"{EID}.h5"
    write(path, trials=Part({"a": np.arange(3)}))
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write(path, trials=Part({"a": np.array([object()])}))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".locks", path.name]


def _add_part(path, name):
    write(path, **{name: Part({"a": np.arange(2000.0)})})


def test_two_writers_at_once_both_arrive(tmp_path):
    path = tmp_path / f"{EID}.h5"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_part, args=(path, f"part_{i}")) for i in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    with SessionFile(path, EID) as file:
        assert file.parts() == tuple(f"part_{i}" for i in range(4))
