"""The graph with a sensor that looks as often as the daemon lets it, so that tests need not wait for minutes."""

from iblnm_dagster import automation

automation.due_sessions._min_interval = 1

from iblnm_dagster.definitions import defs  # noqa: E402

__all__ = ["defs"]
