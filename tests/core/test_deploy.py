"""The files for servers and clusters, which were not run here: they parse, say so, hold no secret and name what exists."""

import importlib
import re
import tomllib

import pytest
import yaml
from tests_support.paths import REPOSITORY

from iblnm_core import __version__

COMPOSE, HELM = REPOSITORY / "deploy/compose.yaml", REPOSITORY / "deploy/helm-values.yaml"

CHART = {
    "global": {
        "postgresqlSecretName",
        "dagsterHome",
        "serviceAccountName",
        "celeryConfigSecretName",
        "dagsterInstanceConfigMap",
    },
    "generatePostgresqlPasswordSecret": set(),
    "postgresql": {
        "enabled",
        "image",
        "postgresqlScheme",
        "postgresqlHost",
        "postgresqlUsername",
        "postgresqlPassword",
        "postgresqlDatabase",
        "postgresqlParams",
        "service",
    },
    "dagster-user-deployments": {"enabled", "enableSubchart", "imagePullSecrets", "deployments"},
    "runLauncher": {"type", "config"},
    "concurrency": {"enabled", "pools", "runs"},
    "dagsterDaemon": {
        "enabled",
        "image",
        "runCoordinator",
        "env",
        "runMonitoring",
        "runRetries",
        "sensors",
        "schedules",
    },
    "dagsterWebserver": {"replicaCount", "image", "service", "workspace", "env", "enableReadOnly"},
    "telemetry": {"enabled"},
}
"""Keys of the chart's values that we may use, from its published schema."""

DEPLOYMENT = {
    "name",
    "image",
    "port",
    "dagsterApiGrpcArgs",
    "codeServerArgs",
    "includeConfigInLaunchedRuns",
    "env",
    "envConfigMaps",
    "envSecrets",
    "resources",
    "volumeMounts",
    "volumes",
}


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(COMPOSE.read_text())["services"]


@pytest.mark.parametrize("path", [COMPOSE, HELM], ids=lambda path: path.name)
def test_a_file_says_that_it_was_not_run_and_holds_no_secret(path):
    text = path.read_text()
    assert "NOT RUN where it was written" in text
    content = re.sub(r"#.*", "", text)
    # a password is a reference: to a file, a variable of the shell, or the cluster's secret
    values = re.findall(r"(?i)^\s*\S*(?:password|secret|token|url)\w*:[ \t]+(\S.*)$", content, re.MULTILINE)
    assert values
    assert set(values) <= {"/run/secrets/postgres_password", "iblnm-postgres", "false"}
    assert not re.search(r"://[^/\s]+:[^/\s]+@", content)


def test_ports_of_the_composition_are_open_to_this_machine_only(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_the_composition_is_whole(services):
    content = yaml.safe_load(COMPOSE.read_text())
    assert set(content) == {"name", "x-pipeline", "services", "secrets", "volumes"}
    known = {
        "image",
        "build",
        "command",
        "environment",
        "secrets",
        "volumes",
        "healthcheck",
        "depends_on",
        "deploy",
        "ports",
    }
    for name, service in services.items():
        assert set(service) <= known | {"restart"}, name
        assert set(service.get("depends_on", [])) <= set(services), name
        assert set(service.get("secrets", [])) <= set(content["secrets"]), name
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:\?\}", "", volume).split(":")[0]
            assert source in {*content["volumes"], ""}, name
    # the root is in the same place wherever sessions are computed or asked for
    assert services["pipeline"]["volumes"] == services["worker"]["volumes"]
    assert (COMPOSE.parent / services["worker"]["build"]["context"] / "requirements.lock").is_file()


def test_images_and_commands_of_the_composition_exist(services):
    from iblnm_dagster.cli import main

    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    ours = [service for service in services.values() if "build" in service]
    assert {service["image"] for service in ours} == {f"iblnm:{__version__}"}
    assert {service["image"] for service in services.values() if "build" not in service} == {"postgres:15"}
    iblnm = [service["command"] for service in ours if service["command"][0] in scripts]
    assert [command[1] for command in iblnm] == ["ui"]
    for command in iblnm:
        options = [word for word in command[2:] if word.startswith("--")]
        main.commands[command[1]].make_context(command[1], command[2:], resilient_parsing=True)
        known = {option for parameter in main.commands[command[1]].params for option in parameter.opts}
        assert set(options) <= known
    dask = [service["command"] for service in ours if service["command"][0] == "dask"]
    assert [command[1] for command in dask] == ["scheduler", "worker"]
    [worker] = [command for command in dask if command[1] == "worker"]
    assert worker[worker.index("--nthreads") + 1] == "1"
    assert worker[2] == f"tcp://scheduler:{dask[0][dask[0].index('--port') + 1]}"


def test_options_of_dask_commands_exist(services):
    pytest.importorskip("distributed", reason="the package distributed is not installed (extra scale)")
    from distributed.cli import dask_scheduler, dask_worker

    for name, command in (("scheduler", dask_scheduler.main), ("worker", dask_worker.main)):
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in services[name]["command"] if word.startswith("--")} <= known


def test_the_values_use_keys_that_the_chart_has():
    values = yaml.safe_load(HELM.read_text())
    assert set(values) <= set(CHART)
    for section, content in values.items():
        assert not isinstance(content, dict) or set(content) <= CHART[section], section
    [deployment] = values["dagster-user-deployments"]["deployments"]
    assert set(deployment) <= DEPLOYMENT
    assert set(deployment["image"]) == {"repository", "tag", "pullPolicy"}
    assert deployment["image"]["tag"] == __version__
    assert {mount["name"] for mount in deployment["volumeMounts"]} <= {
        volume["name"] for volume in deployment["volumes"]
    }
    assert all(isinstance(value, str) for value in deployment["env"].values())
    assert hasattr(importlib.import_module(deployment["dagsterApiGrpcArgs"][1]), "defs")


def test_the_values_limit_runs_as_a_root_does(tmp_path):
    from iblnm_dagster.instance import write_dagster_home

    ours = yaml.safe_load((write_dagster_home(tmp_path) / "dagster.yaml").read_text())["concurrency"]
    theirs = yaml.safe_load(HELM.read_text())["concurrency"]
    assert theirs["runs"]["maxConcurrentRuns"] == ours["runs"]["max_concurrent_runs"]
    assert theirs["pools"] == {
        "granularity": ours["pools"]["granularity"],
        "defaultLimit": ours["pools"]["default_limit"],
    }
