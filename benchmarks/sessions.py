"""Sessions without Dagster, for the benchmarks: the catalogue of a root."""

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.status import Catalogue, source_of
from iblnm_core.schemas import SESSION_INDEX, SESSIONS
from iblnm_core.storage.tables import make_table, read_table, write_table


def catalogue_of(root):
    """Make and load the catalogue of a root."""
    write_table(root.path, make_table(SESSION_INDEX, index_frame(source_of(root).list_sessions().records)))
    write_table(root.path, make_table(SESSIONS, build_catalogue(read_table(root.path, SESSION_INDEX))))
    return Catalogue.load(root)
