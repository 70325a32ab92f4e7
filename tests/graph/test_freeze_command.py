"""`iblnm freeze` and `iblnm compare` on a root that went through the graph, before and after one sample changed."""

import json
import re

import pandas as pd
import pytest
from click.testing import CliRunner
from tests_support.report_pages import parsed, text_of

from iblnm_core.freezing.storing import FOLDER, MANIFEST
from iblnm_core.root import create_root
from iblnm_dagster.cli import main
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

SIGNAL = "alf/photometry/photometry.signal.pqt"
STAGES = ("qc_overview",)
"""Analyses and figures of signals: what one sample moves, and quickly made."""


@pytest.fixture
def cohort(tmp_path, copies, few_trials):
    """Three sessions of which the second has too few trials, taken through the graph."""
    made = copies(tmp_path / "cache", 3)
    few_trials(made.folders[made.eids[1]])
    root = create_root(tmp_path / "root", cache=made.cache)
    with LocalRuns(root) as runs:
        runs.catalogue()
        runs.sessions(made.eids)
        runs.collect(STAGES)
        yield runs, made


def iblnm(runs, *arguments):
    # a wide terminal, so that no word is broken
    return CliRunner(env={"COLUMNS": "240"}).invoke(main, [*arguments, "--root", str(runs.root.path)])


def test_one_changed_sample_is_found_from_freeze_to_page(cohort):
    runs, made = cohort
    frozen = iblnm(runs, "freeze", "submitted")
    assert frozen.exit_code == 0, frozen.output
    assert "3 sessions, of which analyses of recordings use 2" in frozen.output
    folder = runs.root.path / FOLDER
    manifest = (folder / "submitted" / MANIFEST).read_bytes()
    assert {"qc_signals", "qc_pca"} <= set(json.loads(manifest)["tables"])
    assert "photometry_qc" in json.loads(manifest)["figures"]

    same = iblnm(runs, "compare", "submitted", "now")
    assert same.exit_code == 0, same.output
    assert "Nothing changed: 3 sessions" in same.output

    changed = made.eids[2]
    path = made.folders[changed] / SIGNAL
    signal = pd.read_parquet(path)
    band = next(name for name in signal if name.startswith(("G", "R")))
    signal.loc[signal.index[signal["wavelength"] == 470][1000], band] *= 1.5
    path.unlink()
    signal.to_parquet(path)
    refused = iblnm(runs, "freeze", "revised")
    assert refused.exit_code == 2
    assert f"out of date (input): session {changed}" in refused.output
    assert not (folder / "revised").exists()

    runs.sessions([changed])
    runs.collect(STAGES)
    assert iblnm(runs, "freeze", "revised").exit_code == 0
    told = iblnm(runs, "compare", "submitted", "revised")
    assert told.exit_code == 0, told.output
    name = f"mouse {made.folders[changed].parts[-2]} {changed[:8]}"
    assert re.search(rf"changed +{name} +input {SIGNAL}: [0-9a-f]{{8}} → [0-9a-f]{{8}}", told.output)
    assert all(eid[:8] not in told.output for eid in made.eids[:2])
    assert re.search(r"qc_photometry +ar_score_spread +mean", told.output)
    assert re.search(r"qc_signals +6 +1 +.* +0 +0 +made from changed qc_photometry", told.output)
    assert "photometry_qc: " in told.output
    page = parsed((folder / "compare_submitted+revised.html").read_bytes())
    assert f"input {SIGNAL}" in text_of(page)

    assert (folder / "submitted" / MANIFEST).read_bytes() == manifest
    again = iblnm(runs, "freeze", "submitted")
    assert (again.exit_code, "exists" in again.output) == (2, True)


@pytest.mark.parametrize("name", ["../outside", "now", "-x"])
def test_a_hostile_name_ends_in_one_message(tmp_path, name):
    root = create_root(tmp_path / "root", cache=tmp_path)
    result = CliRunner().invoke(main, ["freeze", "--root", str(root.path), "--", name])
    assert result.exit_code == 2
    assert "cannot name a freeze" in result.output
    assert not (root.path / FOLDER).exists()
