"""Sessions without Dagster: the catalogue of a root, and one session that can be broken and processed."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.collect import COLLECTED, collect
from iblnm_core.cohort.status import ALL_OUTPUTS, Catalogue, source_of
from iblnm_core.demo.cohort import write_cohort
from iblnm_core.root import create_root
from iblnm_core.schemas import SESSION_INDEX, SESSIONS
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.tables import Table, make_table, read_table, write_table


def catalogue_of(root):
    """Make and load the catalogue of a root."""
    listing = source_of(root).list_sessions()
    write_table(root.path, make_table(SESSION_INDEX, index_frame(listing.records)))
    write_table(root.path, make_table(SESSIONS, build_catalogue(read_table(root.path, SESSION_INDEX))))
    return Catalogue.load(root)


def processed_root(folder, plans, selected=ALL_OUTPUTS, **settings):
    """Make a root whose sessions are computed and whose tables are collected, without the graph."""
    cohort = write_cohort(folder / "cache", plans)
    root = create_root(folder, source="local", cache=cohort.cache, **settings)
    for task in catalogue_of(root).tasks(cohort.eids, selected):
        assert not process_session(task).failed
    for name in COLLECTED:
        table = collect(root, name).table
        assert isinstance(table, Table)
        write_table(root.path, table)
    return root


class OneSession:
    """A root over one copied session, and how that session goes."""

    def __init__(self, root, folder, eid):
        self.root, self.folder, self.eid = root, folder, eid

    def run(self, **options):
        return process_session(catalogue_of(self.root).tasks([self.eid], **options)[0])

    def rewrite(self, path, change):
        """Replace a parquet dataset by a changed one."""
        full = self.folder / path
        table = change(pd.read_parquet(full))
        full.unlink()
        (table if isinstance(table, pa.Table) else pa.Table.from_pandas(table)).validate()
        pq.write_table(table if isinstance(table, pa.Table) else pa.Table.from_pandas(table), full)

    def replace(self, path, content):
        full = self.folder / path
        full.unlink()
        full.write_bytes(content)


def errors_of(report, severity="fatal"):
    """Return the findings of a severity by output and error type."""
    return {(v.asset, f.error_type): f for v in report.verdicts.values() for f in v.findings if f.severity == severity}
