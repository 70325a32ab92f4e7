"""Dagster's Postgres event log with connections that are kept.

The stock storage connects anew for every event, several times the cost of the event itself. Named in the `dagster.yaml` of a
root that keeps its history in Postgres; nothing else of the project knows it.
"""

import os
from collections.abc import Mapping
from typing import Any

from dagster._core.storage.config import pg_config
from dagster._core.storage.event_log import polling_event_watcher
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy import create_engine

# a quiet run is asked for news ever more rarely, up to this; the stock 16 s make its live log look dead
polling_event_watcher.MAX_POLL_PERIOD = 2.0


class PooledPostgresEventLogStorage(PostgresEventLogStorage):
    """Postgres event log that keeps a few connections."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        # a connection that the server has ended meanwhile is replaced; more than four are rare and not kept
        self._engine = create_engine(
            postgres_url, isolation_level="AUTOCOMMIT", pool_size=4, max_overflow=16, pool_pre_ping=True
        )
        # connections must not cross a fork; the parent still uses its own
        os.register_at_fork(after_in_child=lambda: self._engine.dispose(close=False))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresEventLogStorage":
        """Make the storage that a `dagster.yaml` names."""
        return cls(config_value["postgres_url"], inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """Return what a `dagster.yaml` may say of it."""
        return pg_config()

    def dispose(self) -> None:
        """Close the connections that are kept."""
        super().dispose()
        self._engine.dispose()
