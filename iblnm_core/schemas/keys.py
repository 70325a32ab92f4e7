"""Columns that many tables share."""

from iblnm_core.table_schema import Column
from iblnm_core.vocabulary import VIDEO_LABELS

EID = Column("eid", "text", "session id")

VIDEO_OUTCOMES = tuple(
    Column(label, "text", "outcome of the acquisition's quality control; null or NOT_SET: not set", nullable=True)
    for label in VIDEO_LABELS
)
