"""What an NWB file says when little is known, when texts are hostile, and where times are local."""

import datetime as dt
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.nwb import ROW, content_of, opened, raw_of, stored, trials_of

from iblnm_core.errors import NwbMetadataIncomplete
from iblnm_core.export.nwb.behaviour import block_index, stimulus
from iblnm_core.export.nwb.building import build_file, session_start
from iblnm_core.export.nwb.checking import schema_errors
from iblnm_core.export.nwb.exporting import file_path
from iblnm_core.export.nwb.photometry import insertion_of, runs
from iblnm_core.export.nwb.texts import LONGEST_TEXT, Texts, file_name_part, object_name, unique_names
from iblnm_core.vocabulary import TABLE_OF_FIBERS

HOSTILE = {
    "unfit": "../nul\0byte, half \ud800 surrogate, \x1b[31mred\x07",
    "paths": "../../../etc/passwd:C\\x 🐭 ünïcode <script>",
    "long": "x" * 1_000_000,
    "empty": "",
}


def texts_in(file):
    """Every text of a file in memory that a reader would take for a statement, by the type of object and name of the field."""
    for item in file.objects.values():
        for name, value in item.fields.items():
            if isinstance(value, str):
                yield f"{type(item).__name__}.{name}", value


OPTIONAL = {
    "lab": ("somelab", lambda file: file.lab),
    "institution": ("UCL", lambda file: file.institution),
    "task_protocol": ("biased8", lambda file: file.protocol),
    "strain": ("B6.Cg", lambda file: file.subject.strain),
    "species": ("Laboratory mouse", lambda file: file.subject.species),
    "birth_date": ("2025-05-02", lambda file: file.subject.date_of_birth),
    "weight_g": (21.3, lambda file: file.subject.weight),
    "line": ("Ai148xDat", lambda file: file.subject.description),
}


@settings(max_examples=25)
@given(st.sets(st.sampled_from(sorted(OPTIONAL))), st.booleans())
def test_what_is_unknown_is_absent(known, empty_text):
    nothing = "" if empty_text else None
    row = {name: value if name in known else None for name, (value, _) in OPTIONAL.items()}
    row |= {name: nothing for name in ("lab", "task_protocol", "strain", "line") if name not in known}
    file = build_file(content_of(raw_of(["G0"]), trials_of(3), genotype=[], **row))
    assert {name for name, (_, field) in OPTIONAL.items() if field(file) is not None} == known
    assert (file.subject.age is not None) == ("birth_date" in known)
    assert (file.subject.genotype is not None) == ("line" in known)
    assert file.subject.sex == "U"
    assert file.experimenter is None
    label = "GCaMP6f" if "line" in known else "unknown"
    assert [item.label for item in file.objects.values() if type(item).__name__ == "Indicator"] == [label]
    for field, text in texts_in(file):
        assert text.strip() not in {"nan", "None", ""}, field
        assert "None" not in text, field
        assert (
            "unknown" not in text or label in text or "time zone of the lab" in text or field.startswith("VectorData")
        ), field


def test_a_file_of_hardly_anything_is_valid(tmp_path):
    row = dict.fromkeys(("lab", "task_protocol", "line", "strain", "session_type"))
    raw = raw_of(["G0"], [np.nan], label=None, side="", target="somewhere")
    path = stored(content_of(raw, genotype=[], **row), tmp_path / "little.nwb")
    assert schema_errors(path) == []
    with opened(path) as file:
        assert list(file.acquisition) == ["FiberPhotometryResponseSeriesband0"]
        row = file.lab_meta_data["fiber_photometry"].fiber_photometry_table[0].iloc[0]
        assert np.isnan(row["excitation_wavelength_in_nm"])
        assert row["notes"] == "target unknown; band band0; ROI G0"
        assert "side unknown" in row["optical_fiber"].description
        assert row["optical_fiber"].fiber_insertion.hemisphere is None
        assert file.trials is None
        assert "invalid_times" not in file.fields
        assert "behavior" not in file.processing
        assert not file.events


def test_what_is_known_of_a_subject_is_written_in_the_forms_of_the_format():
    row = {"species": "Laboratory mouse", "sex": "F", "birth_date": "2025-05-02", "weight_g": 21.3}
    subject = build_file(content_of(None, trials_of(3), **row, timezone="Europe/London")).subject
    assert (subject.species, subject.sex, subject.weight) == ("Mus musculus", "F", "0.0213 kg")
    assert (subject.age, subject.age__reference) == ("P60D", "birth")
    assert subject.date_of_birth.isoformat() == "2025-05-02T00:00:00+01:00"
    assert subject.genotype == "Ai148xDat: Het; Hom"
    assert subject.subject_id == "mouse_7"


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("species", "Rattus norvegicus", "species"),
        ("birth_date", "2030-01-01", "age"),
        ("birth_date", "spring", "date_of_birth"),
        ("weight_g", 0.0, "weight"),
        ("weight_g", float("nan"), "weight"),
        ("strain", "Unknown", "strain"),
    ],
)
def test_what_cannot_be_true_or_is_not_mapped_is_left_out(column, value, field):
    assert getattr(build_file(content_of(None, trials_of(3), **{column: value})).subject, field) is None


@pytest.mark.parametrize(("sex", "written"), [("M", "M"), ("F", "F"), ("U", "U"), ("female", "U"), (None, "U")])
def test_the_sex_is_one_of_three_letters(sex, written):
    assert build_file(content_of(None, trials_of(3), sex=sex)).subject.sex == written


@pytest.mark.parametrize(
    ("start", "zone", "written"),
    [
        ("2025-07-01T10:00:00", "Europe/London", "2025-07-01T10:00:00+01:00"),
        ("2025-01-01T10:00:00", "Europe/London", "2025-01-01T10:00:00+00:00"),
        ("2025-07-01T10:00:00", "America/New_York", "2025-07-01T10:00:00-04:00"),
        ("2025-10-26T01:30:00", "Europe/London", "2025-10-26T01:30:00+01:00"),
        ("2025-07-01T10:00:00", None, "2025-07-01T10:00:00+00:00"),
        ("2025-07-01T10:00:00", "", "2025-07-01T10:00:00+00:00"),
        ("2025-07-01T10:00:00", "Middle-earth/Bree", "2025-07-01T10:00:00+00:00"),
        ("2025-07-01T10:00:00", "../../etc/passwd", "2025-07-01T10:00:00+00:00"),
    ],
)
@pytest.mark.parametrize("machine", ["UTC", "Asia/Tokyo"])
def test_local_time_gets_the_zone_of_the_lab_whatever_the_machine_says(monkeypatch, start, zone, written, machine):
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    try:
        found, note = session_start({**ROW, "start_time": start, "timezone": zone})
        assert found.isoformat() == written
        assert (note is None) == (zone in {"Europe/London", "America/New_York"})
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_unknown_zone_is_on_record_in_the_file(tmp_path):
    path = stored(content_of(None, trials_of(3)), tmp_path / "zone.nwb")
    with opened(path) as file:
        assert file.session_start_time == file.timestamps_reference_time == dt.datetime(2025, 7, 1, 10, tzinfo=dt.UTC)
        assert "local time is written as UTC" in file.notes


@pytest.mark.parametrize("start", ["", None, "yesterday"])
def test_a_session_without_start_gets_no_file(start):
    with pytest.raises(NwbMetadataIncomplete, match=ROW["eid"]):
        build_file(content_of(None, trials_of(3), start_time=start))


def hostile_content(text, *others):
    """A session with the same text wherever the source has one, and others as further notes."""
    insertion = {
        "source": "Alyx", "fiber": text, "insertion": text, "provenance": text, "hemisphere": "r", "brain_region": text,
        "entry_ml_um": 500.0, "entry_ap_um": -3000.0, "entry_dv_um": np.nan, "depth_um": 4000.0, "theta_deg": 0.0, "phi_deg": 0.0,
    }  # fmt: skip
    row = dict.fromkeys(("subject", "lab", "task_protocol", "line", "strain", "institution", "session_type"), text)
    raw = raw_of([text, f"{text}."], insertion=insertion, target=text, label=text)
    return content_of(raw, trials_of(3), [text, *others], **row, genotype=[text])


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_stay_what_they_are_or_are_on_record_and_the_file_inside_its_folder(tmp_path, kind):
    text = HOSTILE[kind]
    content = hostile_content(text)
    folder = tmp_path / "exports"
    path = folder / file_path(content)
    assert path.resolve().is_relative_to(folder)
    assert len(path.relative_to(folder).parts) == 2
    path.parent.mkdir(parents=True)
    stored(content, path)
    with opened(path) as file:
        assert len(file.acquisition) == 2
        assert ("cannot hold" in file.notes) == (kind in {"unfit", "long"})
        assert file.lab == {"paths": text, "long": text[:LONGEST_TEXT], "empty": None}.get(kind, file.lab)
        assert file.subject.subject_id == (text if kind in {"paths", "empty"} else Texts().clean("subject", text))


def test_hostile_texts_make_a_valid_file(tmp_path):
    content = hostile_content(HOSTILE["unfit"] + HOSTILE["paths"], *HOSTILE.values())
    assert schema_errors(stored(content, tmp_path / "hostile.nwb")) == []


@given(st.text(st.characters(), max_size=50))
def test_clean_texts_can_be_stored_and_sound_ones_are_not_touched(text):
    texts = Texts()
    cleaned = texts.clean("field", text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert len(cleaned) == len(text)
    assert (cleaned == text) == (texts.note() is None)
    assert Texts().clean("field", cleaned) == cleaned


@given(st.lists(st.text(max_size=20), max_size=6))
def test_names_of_objects_are_plain_and_told_apart(texts):
    names = unique_names(texts)
    assert len(set(names)) == len(texts)
    assert all(name and object_name(name) == name for name in names)


@given(st.text(max_size=200))
def test_file_names_hold_letters_digits_and_hyphens(subject):
    part = file_name_part(subject)
    assert part
    assert all(c == "-" or (c.isascii() and c.isalnum()) for c in part)


@settings(max_examples=20)
@given(
    st.permutations(["G0", "G1", "G2", "R0", "Region3G"]).flatmap(
        lambda rois: st.integers(1, 5).map(lambda n: rois[:n])
    ),
    st.permutations([470.0, 415.0, 560.0]),
)
def test_every_column_refers_to_the_row_of_its_fibre_and_light(rois, wavelengths):
    file = build_file(content_of(raw_of(rois, wavelengths)))
    table = file.lab_meta_data["fiber_photometry"].fiber_photometry_table
    expected = [f"{roi} {wavelength:g}" for roi in rois for wavelength in (470, 415, 560)]
    assert [f"{f.name.removeprefix('optical_fiber_')} {w:g}" for f, w in zip(table["optical_fiber"].data, table["excitation_wavelength_in_nm"].data, strict=True)] == expected  # fmt: skip
    for wavelength in wavelengths:
        series = file.acquisition[f"FiberPhotometryResponseSeries{wavelength:g}nm"]
        for column, row in enumerate(series.fiber_photometry_table_region.data):
            assert table["optical_fiber"].data[row].name == f"optical_fiber_{rois[column]}"
            assert table["excitation_wavelength_in_nm"].data[row] == wavelength
            assert table["excitation_source"].data[row].name == f"excitation_source_{wavelength:g}nm"
            np.testing.assert_array_equal(series.data[:, column], wavelength + np.arange(10) / 100 + 1000 * column)


@given(st.lists(st.booleans(), max_size=30))
def test_runs_cover_exactly_what_is_true(values):
    mask = np.array(values, bool)
    first, last = runs(mask)
    covered = np.zeros(len(mask), bool)
    for start, stop in zip(first, last, strict=True):
        covered[start : stop + 1] = True
        assert stop + 1 == len(mask) or not mask[stop + 1]
    np.testing.assert_array_equal(covered, mask)


@given(st.lists(st.sampled_from([0.2, 0.5, 0.8, float("nan")]), min_size=1, max_size=30))
def test_blocks_are_runs_of_one_probability_and_the_unknown_is_one_too(values):
    found = block_index(np.array(values))
    assert found[0] == 0
    for i in range(1, len(values)):
        same = values[i] == values[i - 1] or (np.isnan(values[i]) and np.isnan(values[i - 1]))
        assert found[i] - found[i - 1] == (0 if same else 1)


def test_the_side_of_a_stimulus_is_unknown_when_both_or_neither_has_a_contrast():
    nan = np.nan
    contrast, side = stimulus(np.array([0.0, nan, 0.5, nan, 0.0625]), np.array([nan, 0.0, 0.5, nan, nan]))
    np.testing.assert_array_equal(contrast, [0.0, 0.0, nan, nan, 6.25])
    assert side == ["left", "right", "unknown", "unknown", "left"]


def test_columns_that_were_not_recorded_are_absent_and_repaired_blocks_show_both():
    from dataclasses import replace

    file = build_file(content_of(None, trials_of(4)))
    assert not {"mouse_wheel_choice", "quiescence_period", "probability_left", "block_index"} & set(
        file.trials.colnames
    )
    assert set(file.events) == {"stimulus_onset", "feedback"}
    recorded = np.array([0.5, 0.8, 0.2, 0.8])
    trials = trials_of(4, probabilityLeft=recorded, quiescencePeriod=0.4, choice=[1, -1, 0, 7])
    file = build_file(content_of(None, replace(trials, probability_left=recorded)))
    assert "probability_left_recorded" not in file.trials.colnames
    assert file.trials["choice_side"].data == ["left", "right", "none", "unknown"]
    repaired = np.array([0.5, 0.8, 0.8, 0.8])
    file = build_file(content_of(None, replace(trials, probability_left=repaired)))
    np.testing.assert_array_equal(file.trials["probability_left"].data, repaired)
    np.testing.assert_array_equal(file.trials["probability_left_recorded"].data, recorded)
    np.testing.assert_array_equal(file.trials["block_index"].data, [0, 1, 1, 1])


def fiber_row(**changed):
    row = {
        "source": "Alyx", "fiber": "fiber00", "brain_region": "VTA", "hemisphere": "l", "provenance": "Planned",
        "entry_ml_um": -500.0, "entry_ap_um": -3100.0, "entry_dv_um": 0.0, "depth_um": 4300.0, "theta_deg": 10.0, "phi_deg": 180.0,
    }  # fmt: skip
    return {**row, **changed}


def test_an_insertion_says_where_its_numbers_come_from_and_what_contradicts_them():
    def fiber(**changed):
        file = build_file(content_of(raw_of(["G0"], insertion=fiber_row(**changed))))
        return file.devices["optical_fiber_G0"]

    planned = fiber()
    insertion = planned.fiber_insertion
    assert (insertion.insertion_position_ap_in_mm, insertion.insertion_position_ml_in_mm) == (-3.1, -0.5)
    assert (insertion.insertion_position_dv_in_mm, insertion.depth_in_mm) == (0.0, 4.3)
    assert insertion.position_reference == "Bregma, IBL-Allen coordinates; provenance: Planned"
    assert insertion.hemisphere == "left"
    assert insertion.insertion_angle_yaw_in_deg is None
    assert "10 degrees, azimuth 180 degrees" in planned.description
    assert "disagree" not in planned.description
    other_side = fiber(entry_ml_um=500.0)
    assert other_side.fiber_insertion.hemisphere == "left"
    assert "the session says left, the coordinates lie on the right" in other_side.description


def test_coordinates_are_taken_only_from_a_fibre_that_can_be_no_other():
    left, right = fiber_row(), fiber_row(hemisphere="r", entry_ml_um=500.0)
    table = fiber_row(source=TABLE_OF_FIBERS)
    assert insertion_of("VTA", "l", [table, left]) is left
    assert insertion_of("VTA", "r", [left, right]) is right
    assert insertion_of("VTA", "", [left, right]) is None
    assert insertion_of("VTA", "r", [left]) is left
    assert insertion_of("SNc", "l", [left]) is None
    assert insertion_of("VTA", "l", [fiber_row(entry_ml_um=np.nan), table]) is table
    assert insertion_of("VTA", "l", [left, fiber_row(fiber="fiber01")]) is None
