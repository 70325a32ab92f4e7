"""Checks of tables that analyses make, through the graph: green, yellow or red, and in words; a red one stops nothing."""

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from tests_support.rigs import LEVEL, simulated_rigs

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.root import create_root
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import make_table, read_table, write_table
from iblnm_dagster.assets.analyses import build_analysis
from iblnm_dagster.io_managers import TableIOManager
from iblnm_dagster.resources import RootResource

pytestmark = pytest.mark.graph

NOISE = "median_absolute_deviance"
FILLERS = {"text": "", "integer": 0, "number": 0.0, "truth": False}


def write(folder, name, rows):
    """Store rows of which only some columns matter."""
    schema = TABLES[name]
    for column in schema.columns:
        if column.name not in rows:
            filler = None if column.nullable else FILLERS.get(column.kind, np.array([], dtype=object))
            rows[column.name] = pd.Series([filler] * len(rows), dtype=object)
    write_table(folder, make_table(schema, rows[schema.column_names]))


def evaluated(folder, drifts):
    """Judge the rigs of a root that has nothing but tables."""
    root = create_root(folder / "root", cache=folder)
    signals, qc, sessions = simulated_rigs(n_labs=2, drifts=drifts)
    subjects = signals.set_index("eid")["subject"]
    sessions = sessions.assign(subject=sessions["eid"].map(subjects), start_time="2025-01-06T10:00:00")
    for name, rows in (("qc_signals", signals), ("qc_photometry", qc), ("sessions", sessions)):
        write(root.path, name, rows)
    resources = {
        "root": RootResource(path=str(root.path)),
        "table_io_manager": TableIOManager(root=str(root.path)),
    }
    results = [dg.materialize([build_analysis("rig_watch")], resources=resources) for _ in range(2)]
    assert all(result.success for result in results)
    return root, [result.get_asset_check_evaluations() for result in results]


@pytest.mark.parametrize(("per_week", "verdict"), [(0.0, "ok"), (0.12, "watch"), (1.0, "alarm")])
def test_a_drifting_rig_turns_its_check_yellow_and_then_red(tmp_path, per_week, verdict):
    root, found = evaluated(tmp_path, {(1, NOISE): per_week * LEVEL[NOISE][1]})
    verdicts = set(read_table(root.path, TABLES["rig_drift"])["verdict"])
    assert verdict in verdicts
    assert verdict == "alarm" or "alarm" not in verdicts
    # made anew, and as it was stored
    for evaluations in found:
        [check] = evaluations
        assert (check.check_name, check.asset_key) == ("rigs_steady", dg.AssetKey(["rig_watch", "rig_drift"]))
        assert check.passed == (verdict == "ok")
        if verdict != "ok":
            severity = dg.AssetCheckSeverity.ERROR if verdict == "alarm" else dg.AssetCheckSeverity.WARN
            assert check.severity == severity
            assert f"{verdict}: lab001, Isosbestic {NOISE}" in check.metadata["words"].md_str


def test_every_check_is_of_a_table_of_its_analysis_and_stops_nothing():
    names = []
    for name, analysis in ANALYSES.items():
        specs = {spec.name: spec for spec in build_analysis(name).check_specs}
        assert {check.name for check in analysis.checks} == set(specs)
        assert not any(spec.blocking for spec in specs.values())
        assert {check.table for check in analysis.checks} <= {schema.name for schema in analysis.tables}
        names += list(specs)
    assert names == ["effects_robust", "rigs_steady"]
