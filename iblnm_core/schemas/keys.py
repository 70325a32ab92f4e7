"""Columns that many tables share, and how tables of results are made of them."""

from pathlib import PurePosixPath

from iblnm_core.table_schema import Column, TableSchema
from iblnm_core.vocabulary import VIDEO_LABELS

EID = Column("eid", "text", "session id")
FIBER = Column("fiber_idx", "integer", "position of the fibre in the session's lists")
SUBJECT = Column("subject", "text", "subject nickname: the mouse")
TARGET = Column("target_NM", "text", "target label such as VTA-DA")
REGION = Column("brain_region", "text", "recording target")
EVENT = Column("event", "text", "stimOn, firstMovement or feedback")

VIDEO_OUTCOMES = tuple(
    Column(label, "text", "outcome of the acquisition's quality control; null or NOT_SET: not set", nullable=True)
    for label in VIDEO_LABELS
)


def result_table(
    folder: str, name: str, description: str, key: tuple[str, ...], columns: tuple[Column, ...]
) -> TableSchema:
    """Return the schema of a table in a folder of the results."""
    return TableSchema(name, PurePosixPath(f"results/{folder}/{name}.pqt"), description, key, columns)
