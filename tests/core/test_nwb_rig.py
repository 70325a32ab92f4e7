"""The rig file: which entry is for a session, what it does in an NWB file, and what it refuses."""

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pytest
from tests_support.nwb import Processed, content_of, opened, raw_of, stored, trials_of

from iblnm_core.errors import ConfigurationError
from iblnm_core.export.nwb.building import build_file
from iblnm_core.export.nwb.checking import schema_errors
from iblnm_core.export.nwb.rig import RIG_FILE, Rig, read_rig

DAY = dt.date(2025, 7, 1)
FULL = """
[[rig]]
lab = "demolab"
from = 2025-07-01
until = 2025-07-31
experimenters = ["Curie, Marie", "Bell Burnell, Jocelyn"]
[rig.fibre]
manufacturer = "Doric Lenses"
model_number = "MFC_200"
numerical_aperture = 0.37
core_diameter_um = 200
[rig.detector]
detector_type = "sCMOS camera"
[rig.light.470]
manufacturer = "Somebody"
power_mw = 0.05
emission_nm = 525
[[rig]]
lab = "otherlab"
[[rig]]
lab = "demolab"
from = 2025-08-01
experimenters = ["Noether, Emmy"]
"""


def rig_of(folder, text, lab="demolab", day=DAY):
    (folder / RIG_FILE).write_text(text, encoding="utf-8")
    return read_rig(folder, lab, day)


@pytest.mark.parametrize(
    ("lab", "day", "first"),
    [
        ("demolab", "2025-07-01", "Curie, Marie"),
        ("demolab", "2025-07-31", "Curie, Marie"),
        ("demolab", "2025-08-01", "Noether, Emmy"),
        ("demolab", "2025-06-30", None),
        ("otherlab", "2025-07-01", None),
        (None, "2025-07-01", None),
    ],
)
def test_an_entry_is_for_its_lab_and_days_both_ends_included(tmp_path, lab, day, first):
    rig = rig_of(tmp_path, FULL, lab, dt.date.fromisoformat(day))
    assert rig.experimenters[:1] == (() if first is None else (first,))


def test_without_a_file_nothing_is_known(tmp_path):
    assert read_rig(tmp_path, "demolab", DAY) == Rig()
    assert list(Rig().facts()) == []


def test_facts_of_a_rig_are_in_the_file_with_their_source(tmp_path):
    content = replace(content_of(raw_of(["G0", "G1"]), trials_of(3)), rig=rig_of(tmp_path, FULL))
    path = stored(content, tmp_path / "rig.nwb")
    assert schema_errors(path) == []
    with opened(path) as file:
        assert list(file.experimenter) == ["Curie, Marie", "Bell Burnell, Jocelyn"]
        table = file.lab_meta_data["fiber_photometry"].fiber_photometry_table.to_dataframe()
        np.testing.assert_array_equal(table["emission_wavelength_in_nm"], [525, np.nan, 525, np.nan])
        model = table["optical_fiber"].iloc[0].model
        assert table["optical_fiber"].iloc[2].model is model
        assert (model.manufacturer, model.model_number) == ("Doric Lenses", "MFC_200")
        assert (model.numerical_aperture, model.core_diameter_in_um) == (0.37, 200)
        blue, violet = table["excitation_source"].iloc[:2]
        assert (blue.power_in_W, blue.model.manufacturer) == (5e-5, "Somebody")
        assert (violet.power_in_W, violet.model.manufacturer) == (None, "Neurophotometrics")
        camera = table["photodetector"].iloc[0].model
        assert (camera.detector_type, camera.manufacturer) == ("sCMOS camera", "Neurophotometrics")
        parameters = file.processing["misc"]["parameters"].to_dataframe().set_index("parameter")
        facts = parameters[parameters["source"] == "rig file"]
        assert json.loads(facts.loc["rig.fibre.core_diameter_um", "value_json"]) == 200
        assert facts.loc["rig.fibre.core_diameter_um", "unit"] == "um"
        assert facts.loc["rig.light.470.power_mw", "unit"] == "mW"
        assert len(facts) == 9


def test_another_rig_is_another_file(tmp_path):
    content = content_of(raw_of(["G0"]), trials_of(3))
    known = replace(content, rig=rig_of(tmp_path, FULL))
    assert build_file(known).identifier == build_file(known).identifier != build_file(content).identifier


def test_the_export_of_a_root_reads_its_rig_file(tmp_path, copies):
    session = Processed(tmp_path / "root", copies(tmp_path / "cache", 1).cache)
    before = session.export().content_hash
    (session.root.path / RIG_FILE).write_text('[[rig]]\nexperimenters = ["Curie, Marie"]\n')
    assert session.content().rig.experimenters == ("Curie, Marie",)
    after = session.export()
    assert (after.outcome, after.content_hash == before) == ("replaced", False)
    (session.root.path / RIG_FILE).write_text("[[rig]]\nlabs = 1\n")
    with pytest.raises(ConfigurationError, match="rig has labs; known are lab, from"):
        session.export()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rig]\n", "rig.toml: "),
        ("[rig]\nlab = 'a'", r"expected entries that begin with \[\[rig\]\]"),
        ("lab = 'a'", r"expected entries that begin with \[\[rig\]\]"),
        ("[[rig]]\n[[rig]]\nlab = 'demolab'", "2 entries are for lab demolab on 2025-07-01"),
        ("[[rig]]\nfrom = 'spring'", "from = 'spring'; expected a date"),
        ("[[rig]]\nfrom = 2025-07-01T10:00:00", "expected a date"),
        ("[[rig]]\nlab = 3", "expected the name of a lab"),
        ("[[rig]]\nexperimenters = ['marie']", "expected names such as"),
        ("[[rig]]\n[rig.fibre]\nmanufacturer = 'x'", "fibre lacks numerical_aperture"),
        ("[[rig]]\n[rig.detector]\ngain = 3", "detector has gain; known are manufacturer"),
        ("[[rig]]\ndetector = 3", "expected a table of manufacturer"),
        ("[[rig]]\n[rig.light.blue]\npower_mw = 1", "light.blue; expected a wavelength"),
        ("[[rig]]\nlight = 3", r"expected tables such as \[rig.light.470\]"),
        ("[[rig]]\n[rig.light.470]\npower_mw = -1", "light.470.power_mw = -1; expected a number above 0"),
        ("[[rig]]\n[rig.light.470]\npower_mw = nan", "expected a number above 0"),
        ("[[rig]]\n[rig.light.470]\nmanufacturer = ' '", "expected a text"),
    ],
)
def test_what_is_not_as_it_has_to_be_is_refused_with_its_name(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said):
        rig_of(tmp_path, text)


def test_hostile_facts_are_cleaned_of_what_the_format_refuses(tmp_path):
    rig = rig_of(tmp_path, '[[rig]]\nexperimenters = ["a\\u0000, b"]\n[rig.detector]\nmodel_number = "x\\u0007"\n')
    content = replace(content_of(raw_of(["G0"]), trials_of(3)), rig=rig)
    path = stored(content, tmp_path / "hostile.nwb")
    assert schema_errors(path) == []
    with opened(path) as file:
        assert list(file.experimenter) == ["a\ufffd, b"]
        assert "rig file" in file.notes
