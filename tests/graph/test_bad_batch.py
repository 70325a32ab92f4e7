"""One batch of every broken dataset there is: each session gets its own verdict, and the sound ones are unharmed."""

import pytest
from tests_support.bad_input import CASES
from tests_support.sessions import OneSession

from iblnm_core.cohort.collect import collected_rows
from iblnm_core.cohort.status import Catalogue
from iblnm_core.root import create_root
from iblnm_core.session.outputs import ON_REQUEST
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph


def test_every_broken_session_of_a_batch_costs_only_itself(tmp_path, copies, break_file):
    made = copies(tmp_path / "cache", len(CASES) + 2)
    root = create_root(tmp_path / "root", cache=made.cache)
    sound = made.eids[0], made.eids[-1]
    broken = dict(zip(made.eids[1:-1], CASES.values(), strict=True))
    for eid, (path, change, *_) in broken.items():
        if change is None:
            break_file(made.folders[eid] / path)
        else:
            OneSession(root, made.folders[eid], eid).rewrite(path, change)
    with LocalRuns(root) as runs:
        runs.catalogue()
        result = runs.sessions(made.eids)
    assert set(result.failed) == set(broken)
    errors = collected_rows(root, "errors")
    fatal = errors[errors["severity"] == "fatal"].groupby("eid")
    assert set(fatal.groups) == set(broken)
    status = Catalogue.load(root).status()
    status = status[~status["asset"].isin(ON_REQUEST)].set_index(["eid", "asset"])["state"]
    for eid, (_, _, (asset, error_type), message, absent) in broken.items():
        rows = fatal.get_group(eid)
        assert set(zip(rows["asset"], rows["error_type"], strict=True)) == {(asset, error_type)}
        assert message in rows["error_message"].iloc[0]
        assert {name for name, state in status[eid].items() if state != "ok"} == absent
    for eid in sound:
        assert set(status[eid]) == {"ok"}
    # quality rows say why, also for those that have no signal
    quality = collected_rows(root, "qc_photometry")
    by_session = quality.groupby("eid")["verdict"].first()
    for eid, (_, _, (asset, error_type), _, _) in broken.items():
        if asset != "trials":
            assert by_session[eid] == error_type
    assert set(by_session[list(sound)]) == {"ok"}
