"""The table of implanted fibres, materialised with the catalogue, and its check."""

import dagster as dg
import pytest

from iblnm_core.root import create_root
from iblnm_core.schemas import FIBERS
from iblnm_core.storage.tables import read_table
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

HEADER = "subject,targeted_region,X-ml_um,Y-ap_um,Z-dv_um,depth,theta,phi\n"


@pytest.fixture
def made(tmp_path, copies):
    return copies(tmp_path / "cache", 1)


def catalogue(folder, made):
    """Materialise the catalogue; return the table, and what the check said."""
    root = create_root(folder / "root", cache=made.cache)
    with LocalRuns(root) as runs:
        runs.catalogue()
        key = dg.AssetCheckKey(dg.AssetKey("fibers"), "fibers_located")
        (record,) = runs.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    return read_table(root.path, FIBERS), record.event.dagster_event.event_specific_data


def test_fibres_of_a_local_table_are_located(tmp_path, made):
    (made.cache / "fibers.csv").write_text(HEADER + "mouse,VTA,500,-3100,,4300,0,0\nmouse,SNc,-1400,-3100,,4100,0,0\n")
    table, check = catalogue(tmp_path, made)
    # positive is left in that table, and right here
    sides = dict(zip(table["fiber"], zip(table["hemisphere"], table["tip_ml_um"], strict=True), strict=True))
    assert sides == {"VTA": ("l", -500.0), "SNc": ("r", 1400.0)}
    assert check.passed


def test_a_fibre_without_coordinates_is_named(tmp_path, made):
    (made.cache / "fibers.csv").write_text(HEADER + "mouse,VTA,500,-3100,,4300,,0\n")
    _, check = catalogue(tmp_path, made)
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.metadata["without_coordinates"].value == ["mouse, VTA: table of fibres without theta_deg"]


def test_a_source_without_fibres_has_an_empty_table(tmp_path, made):
    table, check = catalogue(tmp_path, made)
    assert list(table.columns) == FIBERS.column_names
    assert table.empty
    assert check.passed
