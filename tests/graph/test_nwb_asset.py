"""The asset of NWB files: off by default, one partition at a time, judged by its checks."""

import subprocess
import sys

import dagster as dg
import pytest
from tests_support.nwb import Processed

from iblnm_dagster.definitions import build_defs
from iblnm_dagster.partitions import SESSIONS

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def session(tmp_path_factory, sound_cache):
    return Processed(tmp_path_factory.mktemp("nwb_asset"), sound_cache)


@pytest.fixture(scope="module")
def defs(session):
    return build_defs(session.root.path)


def materialised(session, defs, instance):
    instance.add_dynamic_partitions(SESSIONS.name, [session.task.eid])
    job = defs.resolve_implicit_global_asset_job_def()
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(
        instance=instance,
        partition_key=session.task.eid,
        asset_selection=[dg.AssetKey("nwb")],
        run_config=config,
        raise_on_error=False,
    )


def settings(session, text):
    path = session.root.path / "iblnm.toml"
    original = path.read_text()
    path.write_text(original + text)
    return path, original


def test_the_asset_writes_the_file_and_its_checks_say_how_good_it_is(session, defs):
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialised(session, defs, instance)
        assert result.success
        (event,) = result.get_asset_materialization_events()
        checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    metadata = event.materialization.metadata
    assert metadata["outcome"].value == "written"
    assert (metadata["inspector_critical"].value, metadata["inspector_best_practice_violation"].value) == (1, 1)
    assert checks["nwb_schema_valid"].passed
    # nobody knows the age and the species of a demo mouse
    for name, message in (("nwb_critical", "check_subject_age"), ("nwb_violations", "check_subject_species_exists")):
        assert not checks[name].passed
        assert checks[name].severity == dg.AssetCheckSeverity.WARN
        assert message in checks[name].metadata["messages"].value


def test_without_inspection_only_the_schema_is_judged(session, defs):
    path, original = settings(session, '\n[parameters.nwb]\ninspection = "off"\n')
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = materialised(session, defs, instance)
            assert result.success
            assert [check.check_name for check in result.get_asset_check_evaluations()] == ["nwb_schema_valid"]
    finally:
        path.write_text(original)


def test_a_session_of_other_parameters_fails_with_what_to_do(session, defs):
    path, original = settings(session, "\n[parameters.wheel]\ncutoff_hz = 10.0\n")
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = materialised(session, defs, instance)
            assert not result.success
            (failure,) = result.filter_events(lambda event: event.is_step_failure)
            assert f"run `iblnm run --eid {session.task.eid}`" in str(failure.event_specific_data.error)
    finally:
        path.write_text(original)


def test_no_job_and_no_automation_makes_files(defs):
    jobs = [job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]
    assert all(dg.AssetKey("nwb") not in job.asset_layer.selected_asset_keys for job in jobs)
    assert defs.resolve_asset_graph().get(dg.AssetKey("nwb")).automation_condition is None


def test_the_graph_loads_without_the_extra(defs, tmp_path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('pynwb', 'hdmf', 'ndx_fiber_photometry', 'nwbinspector')))\n"
        "from iblnm_dagster.definitions import build_defs\n"
        f"print(len(build_defs({str(tmp_path)!r}).resolve_asset_graph().get_all_asset_keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == len(defs.resolve_asset_graph().get_all_asset_keys())
