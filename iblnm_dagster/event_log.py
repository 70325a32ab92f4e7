"""Dagster's SQLite event log with engines that are kept.

The stock storage makes a database engine and a full flush for every event, 20 ms and more each; a session has about
fifty. Named in the `dagster.yaml` of a root; nothing else of the project knows it.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster import EventLogEntry
from dagster._core.storage.event_log import polling_event_watcher
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import QueuePool

_KEPT_RUNS = 8
_BUSY_S = 60

# a quiet run is asked for news ever more rarely, up to this; the stock 16 s make its live log look dead
polling_event_watcher.MAX_POLL_PERIOD = 2.0


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """SQLite event log that keeps one engine for the index and for each of the latest runs."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._engines_of = os.getpid()
        self._engine_lock = threading.Lock()
        self._watcher: polling_event_watcher.SqlPollingEventWatcher | None = None
        self._tables: set[str] = set()
        self._has_index_columns = False
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledSqliteEventLogStorage":
        """Make the storage that a `dagster.yaml` names."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # connecting outside of the lock: events are stored inside of queries, and nested connections would wait forever
        with self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        with self._engine_lock:
            if self._engines_of != os.getpid():
                # connections must not cross a fork; the parent still uses its own
                for engine in self._engines.values():
                    engine.dispose(close=False)
                self._engines, self._engines_of = OrderedDict(), os.getpid()
            engine = self._engines.get(shard) or self._new_engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._engines[shard] = engine
            self._engines.move_to_end(shard)
            runs = [name for name in self._engines if name != INDEX_SHARD_NAME]
            for name in runs[:-_KEPT_RUNS]:
                self._engines.pop(name).dispose()
            return engine

    def _new_engine(self, shard: str) -> Engine:
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=QueuePool,
            pool_size=4,
            max_overflow=4,
            connect_args={"timeout": _BUSY_S, "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def _relax(connection: Any, _record: Any) -> None:
            # with a write-ahead log this loses nothing but the last events at a power cut
            connection.execute("PRAGMA synchronous=NORMAL")

        return engine

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; asked for almost every event, and a table that is there stays."""
        if table_name not in self._tables:
            with self._connect(INDEX_SHARD_NAME) as connection:
                if not connection.dialect.has_table(connection, table_name):
                    return False
            self._tables.add(table_name)
        return True

    def _has_asset_key_index_cols_on_connection(self, connection: Connection) -> bool:
        self._has_index_columns = self._has_index_columns or super()._has_asset_key_index_cols_on_connection(connection)
        return self._has_index_columns

    def delete_events(self, run_id: str) -> None:
        """Delete the events of a run."""
        super().delete_events(run_id)
        with self._engine_lock:
            engine = self._engines.pop(run_id, None)
            if engine is not None:
                engine.dispose()

    def wipe(self) -> None:
        """Delete all events; the files of the runs go with them."""
        self._drop_engines()
        self._tables.clear()
        super().wipe()

    def watch(self, run_id: str, cursor: str | None, callback: Callable[[EventLogEntry, str], None]) -> None:
        """Call back for every new event of a run.

        Watching the file as the stock storage does sees nothing while connections stay open.
        """
        if self._watcher is None:
            self._watcher = polling_event_watcher.SqlPollingEventWatcher(self)
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: Callable[[EventLogEntry, str], None]) -> None:
        """Stop calling back."""
        if self._watcher is not None:
            self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        """Close everything that is open."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        self._drop_engines()
        super().dispose()

    def _drop_engines(self) -> None:
        with self._engine_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
