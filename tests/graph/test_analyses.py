"""Cohort analyses through the graph: what stays while nothing changed, what is made anew when something did."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.response_analyses import RESPONSE_ANALYSES
from iblnm_core.cohort.collect import COLLECTED
from iblnm_core.figures.drawing import PREVIEW_BYTES
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.root import create_root, open_root
from iblnm_core.schemas import TABLES
from iblnm_core.sources.indexing import index_cache
from iblnm_dagster.assets.analyses import table_key
from iblnm_dagster.assets.figures import figure_key
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

RESULTS = {schema.name: name for name, analysis in ANALYSES.items() for schema in analysis.tables}


class World:
    """A root over three sessions of one mouse, and how its tables change."""

    def __init__(self, folder, copies):
        self.made = copies(folder / "cache", 3)
        self.root = create_root(folder / "root", cache=self.made.cache)

    def update(self, eids, stages=None):
        """Compute sessions, bring tables and analyses up to date, and say which tables were written."""
        before = self.written()
        with LocalRuns(open_root(self.root.path)) as runs:
            runs.catalogue()
            runs.sessions(eids)
            runs.collect(*([] if stages is None else [stages]))
        return {name for name, stamp in self.written().items() if before.get(name) != stamp}

    def written(self):
        paths = {name: self.root.path / schema.path for name, schema in TABLES.items()}
        return {name: path.stat().st_mtime_ns for name, path in paths.items() if path.is_file()}

    def pictures(self):
        return {path: path.stat().st_mtime_ns for path in (self.root.path / "figures").rglob("*.*")}

    def set_parameter(self, section, line):
        settings = self.root.path / "iblnm.toml"
        settings.write_text(settings.read_text() + f"\n[parameters.{section}]\n{line}\n")

    def metadata(self, key):
        with LocalRuns(self.root) as runs:
            event = runs.instance.get_latest_materialization_event(key)
            return event.asset_materialization.metadata


@pytest.fixture(scope="module")
def world(tmp_path_factory, copies):
    return World(tmp_path_factory.mktemp("analyses"), copies)


def test_a_cohort_of_one_mouse_has_outcomes_that_say_why(world):
    written = world.update(world.made.eids)
    assert set(RESULTS) <= written
    for name, analysis in RESPONSE_ANALYSES.items():
        last = analysis.tables[-1]
        if last.name.endswith("_outcomes"):
            outcomes = pd.read_parquet(world.root.path / last.path)
            assert len(outcomes), name
            if name not in {"response_similarity", "drop_one", "response_curves"}:
                assert "ok" not in set(outcomes["status"]), name


def test_the_main_table_has_a_preview_and_the_tables_say_how_groups_came_out(world):
    metadata = world.metadata(table_key("response_similarity_targets"))
    records = metadata["preview"].records
    assert len(records) > 0
    assert set(records[0].data) <= set(TABLES["response_similarity_targets"].column_names)
    assert all(isinstance(value, str) for record in records for value in record.data.values())
    assert len(str(records)) < 8192
    assert metadata["groups"].value == metadata["groups_ok"].value == 3
    assert metadata["dagster/row_count"].value == 9
    assert metadata["seconds"].value > 0


def test_figures_are_drawn_and_shown_in_the_interface(world):
    for name, family in FAMILIES.items():
        metadata = world.metadata(figure_key(name))
        picture = base64.b64decode(metadata["preview"].md_str.partition("base64,")[2].rstrip(")"))
        assert Image.open(io.BytesIO(picture)).format == "PNG"
        assert len(picture) <= PREVIEW_BYTES
        folder = Path(metadata["folder"].path)
        assert metadata["figures"].value == len(list(folder.glob("*.csv"))) > 0
        assert folder == world.root.path / "figures" / family.name
        assert metadata["theme"].value == "default"
    courses = world.metadata(figure_key("mean_traces"))
    assert not courses["empty"].value
    assert courses["n_subjects"].value == 1
    assert "over mice" in courses["captions"].md_str
    assert world.metadata(figure_key("encoding_model"))["empty"].value


def test_nothing_is_computed_when_nothing_changed(world):
    # what is small and looked at anew each time
    always = {"session_index", "sessions", "fibers", "labels", "session_status", "selection", "recordings"}
    drawn = world.pictures()
    written = world.update(world.made.eids)
    assert {name for name in written if not name.endswith("_log")} <= always
    assert world.pictures() == drawn
    metadata = world.metadata(table_key("response_similarity_targets"))
    assert metadata["unchanged"].value
    assert metadata["groups"].value == 3
    assert len(metadata["preview"].records) > 0
    assert world.metadata(dg.AssetKey(["tables", "responses"]))["unchanged"].value


def test_a_lost_or_broken_result_is_made_anew_with_its_companions(world):
    (world.root.path / TABLES["response_ols_persession_coefs"].path).unlink()
    path = world.root.path / TABLES["loso_cv_model_comparison"].path
    path.write_bytes(path.read_bytes()[:100])
    written = world.update(world.made.eids) & set(RESULTS)
    # the same content again: what is made from it stays
    assert {RESULTS[name] for name in written} == {"drop_one", "movement_encoding"}


def test_a_parameter_makes_anew_what_it_shapes_and_no_session(world):
    world.set_parameter("analyses", "n_draws = 20")
    before = {eid: world.root.session_file(eid).stat().st_mtime_ns for eid in world.made.eids}
    written = world.update(world.made.eids) & set(RESULTS)
    shaped = {name for name, analysis in ANALYSES.items() if "analyses" in analysis.sections}
    assert {RESULTS[name] for name in written} == shaped
    assert {eid: world.root.session_file(eid).stat().st_mtime_ns for eid in world.made.eids} == before
    assert ANALYSES["baseline_coding"].tables[0].name in written


def test_only_movement_encoding_makes_its_own_analyses_and_what_they_need(world):
    for name in ("wheel_lmm", "anova_subject_means", "modelling_frame"):
        (world.root.path / TABLES[name].path).unlink()
    written = world.update([], ["movement_encoding"]) & set(RESULTS)
    assert {RESULTS[name] for name in written} == {"wheel_lmm", "modelling_frame"}
    assert not (world.root.path / TABLES["anova_subject_means"].path).exists()
    assert {RESULTS[name] for name in world.update([], ["responses"]) & set(RESULTS)} == {"response_anova"}


def test_a_new_session_makes_anew_what_depends_on_it(world):
    [folder] = [folder for eid, folder in world.made.folders.items() if eid == world.made.eids[0]]
    shutil.copytree(folder, folder.parent.parent / "2025-06-01" / "001")
    index_cache(world.made.cache)
    with LocalRuns(world.root) as runs:
        runs.catalogue()
    sessions = pd.read_parquet(world.root.path / TABLES["sessions"].path)
    [new] = set(sessions["eid"]) - set(world.made.eids)
    before = {eid: world.root.session_file(eid).stat().st_mtime_ns for eid in world.made.eids}
    written = world.update([new]) & set(RESULTS)
    assert {"modelling_frame", "mean_traces"} <= written
    assert {RESULTS[name] for name in written} >= set(ANALYSES) - {"variance_components"}
    assert {eid: world.root.session_file(eid).stat().st_mtime_ns for eid in world.made.eids} == before
    frame = pd.read_parquet(world.root.path / TABLES["modelling_frame"].path)
    assert frame["eid"].nunique() == 4


def test_a_session_that_is_not_selected_changes_no_analysis(world):
    # everything but the frame looks at what is selected only
    settings = world.root.path / "iblnm.toml"
    settings.write_text(settings.read_text() + '\n[parameters.selection]\nsession_types = ["ephys"]\n')
    world.update(world.made.eids)
    frame = pd.read_parquet(world.root.path / TABLES["modelling_frame"].path)
    assert frame.empty
    for name, analysis in RESPONSE_ANALYSES.items():
        for schema in analysis.tables:
            table = pd.read_parquet(world.root.path / schema.path)
            assert list(table.columns)[: len(schema.columns)] == schema.column_names
            if not schema.name.endswith("_outcomes"):
                assert table.empty, name
    folder = world.made.folders[world.made.eids[0]]
    shutil.copytree(folder, folder.parent.parent / "2025-06-02" / "001")
    index_cache(world.made.cache)
    with LocalRuns(world.root) as runs:
        runs.catalogue()
    sessions = pd.read_parquet(world.root.path / TABLES["sessions"].path)
    new = [eid for eid in sessions["eid"] if not world.root.session_file(eid).is_file()]
    written = world.update(new)
    assert {"responses", "response_matrix", "modelling_frame"} <= written
    # the frame has the same content, so what is made from it stays
    assert {RESULTS[name] for name in written & set(RESULTS)} == {
        name
        for name, analysis in ANALYSES.items()
        # nobody has asked for encoding models
        if set(analysis.reads) & (set(COLLECTED) | {"sessions"}) and name != "encoding_summary"
    }


def test_notes_of_a_result_say_what_it_was_made_of(world):
    path = world.root.path / TABLES["lmm_coefficients_early"].path
    notes = json.loads(pq.read_schema(path).metadata[b"iblnm"])
    assert set(notes["made_from"]) == {"inputs", "parameters", "code_version"}
    assert notes["made_from"]["parameters"]["analyses"]["contrast_coding"] == "rank"
    assert re.fullmatch(r"[0-9a-f]{32}", notes["made_from"]["inputs"]["modelling_frame"])
    assert "numpy" in notes["libraries"]
