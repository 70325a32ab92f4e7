"""The graph with sensors that look as often as the daemon lets them, so that tests need not wait for minutes."""

from iblnm_dagster import automation, notification

automation.due_sessions._min_interval = 1
notification.notify_failed_runs._min_interval = 1

from iblnm_dagster.definitions import defs  # noqa: E402

__all__ = ["defs"]
