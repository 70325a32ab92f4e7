"""Dagster's history in Postgres: turned on and off by a setting, as good as files, and no message shows the password."""

import multiprocessing
import os
import threading

import dagster as dg
import pytest
import sqlalchemy
from tests_support.postgres import PASSWORD, postgres_server, why_not

from iblnm_core.errors import ConfigurationError
from iblnm_core.root import create_root, open_root
from iblnm_dagster.instance import open_instance, write_dagster_home

pytest.importorskip("dagster_postgres", reason="the package dagster-postgres is not installed (extra scale)")

pytestmark = pytest.mark.scale

VARIABLE = "IBLNM_TEST_POSTGRES"


@dg.asset
def small() -> int:
    return 1


def materialize(instance):
    return dg.materialize(
        [small], instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )


@pytest.fixture(scope="module")
def address():
    if why := why_not():
        pytest.skip(why)
    with postgres_server() as found:
        yield found


@pytest.fixture(scope="module")
def instance(address, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, address)
        with open_instance(write_dagster_home(tmp_path_factory.mktemp("home"), VARIABLE)) as opened:
            yield opened


def test_events_of_many_threads_all_arrive_over_few_connections(instance, address):
    def report(number):
        for partition in range(20):
            instance.report_runless_asset_event(dg.AssetMaterialization("told", partition=f"{number}-{partition}"))

    threads = [threading.Thread(target=report, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(instance.event_log_storage.get_materialized_partitions(dg.AssetKey("told"))) == 120
    engine = sqlalchemy.create_engine(address)
    with engine.connect() as connection:
        query = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
        assert connection.execute(sqlalchemy.text(query)).scalar() <= 4 + 1
    engine.dispose()


def test_a_deleted_run_is_gone_and_new_ones_work(instance):
    first = materialize(instance).run_id
    instance.delete_run(first)
    assert instance.get_run_by_id(first) is None
    assert instance.all_logs(first) == []
    assert materialize(instance).success


def _count_in_child(instance, queue):
    queue.put(len(instance.fetch_materializations(dg.AssetKey("small"), limit=10).records))


def test_a_forked_child_opens_its_own_connections(instance):
    materialize(instance)
    before = len(instance.fetch_materializations(dg.AssetKey("small"), limit=10).records)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_count_in_child, args=(instance, queue))
    child.start()
    assert queue.get(timeout=30) == before
    child.join()
    assert child.exitcode == 0
    assert materialize(instance).success


def test_the_setting_moves_the_history_there_and_back_and_keeps_what_was_changed_by_hand(tmp_path):
    settings = write_dagster_home(tmp_path) / "dagster.yaml"
    files = settings.read_text() + "# mine\n"
    settings.write_text(files)
    write_dagster_home(tmp_path, "FIRST")
    assert settings.read_text().count("env: FIRST") == 3
    assert "base_dir" not in settings.read_text()
    write_dagster_home(tmp_path, "SECOND")
    assert settings.read_text().count("env: SECOND") == 3
    write_dagster_home(tmp_path)
    assert settings.read_text() == files


@pytest.mark.parametrize("before", [None, "MINE"])
def test_a_history_that_was_placed_by_hand_is_not_moved(tmp_path, before):
    settings = write_dagster_home(tmp_path, before) / "dagster.yaml"
    mine = settings.read_text().replace("  module: iblnm_dagster.", "  module: lab.")
    assert "lab." in mine
    settings.write_text(mine)
    with pytest.raises(ConfigurationError, match="changed by hand"):
        write_dagster_home(tmp_path, VARIABLE)
    write_dagster_home(tmp_path)
    assert settings.read_text() == mine


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "it is not set"),
        (f"postgresql://iblnm:{PASSWORD}@127.0.0.1/db", r"postgresql\+psycopg2://.*it does not"),
        (f"postgresql+psycopg2://iblnm:{PASSWORD}@127.0.0.1:port/db", "it cannot be read"),
        (f"postgresql+psycopg2://iblnm:a@{PASSWORD}@127.0.0.1:9/db", "must have one @"),
        (f"postgresql+psycopg2://iblnm:{PASSWORD}@127.0.0.1:9/db", "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_message_without_the_password(tmp_path, monkeypatch, given, message):
    monkeypatch.delenv(VARIABLE, raising=False)
    if given is not None:
        monkeypatch.setenv(VARIABLE, given)
    home = write_dagster_home(tmp_path, VARIABLE)
    with pytest.raises(ConfigurationError, match=message) as refusal:
        open_instance(home)
    assert VARIABLE in str(refusal.value)
    assert PASSWORD not in str(refusal.value)
    assert refusal.value.__cause__ is refusal.value.__context__ is None


def test_a_wrong_password_is_refused_and_not_shown(address, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, address.replace(PASSWORD, PASSWORD + "x"))
    with pytest.raises(ConfigurationError, match="password authentication failed") as refusal:
        open_instance(write_dagster_home(tmp_path, VARIABLE))
    assert PASSWORD not in str(refusal.value)


def test_an_address_in_the_settings_is_refused_and_not_shown(tmp_path, copies):
    root = create_root(tmp_path / "root", cache=copies(tmp_path / "cache", 1).cache)
    with (root.path / "iblnm.toml").open("a") as settings:
        settings.write(f'[dagster]\npostgres_url_env = "postgresql://iblnm:{PASSWORD}@host/db"\n')
    with pytest.raises(ConfigurationError, match="name of an environment variable") as refusal:
        open_root(root.path)
    assert PASSWORD not in str(refusal.value)


@pytest.mark.parametrize("given", ['"10.0.0.1:8786"', '"http://10.0.0.1:8787"', "8786", '"tcp://host"'])
def test_an_address_that_is_no_schedulers_is_refused(tmp_path, given):
    (tmp_path / "iblnm.toml").write_text(f'format = 1\npreset = "default"\n[run]\nscheduler = {given}\n')
    with pytest.raises(ConfigurationError, match="expected the address of a Dask scheduler"):
        open_root(tmp_path)


def test_the_home_that_dagster_reads_names_the_variable_only(instance):
    text = str(instance.get_ref().to_dict())
    assert VARIABLE in text
    assert PASSWORD not in text
    assert os.environ[VARIABLE] not in text
