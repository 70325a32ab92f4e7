"""Columns that many tables share."""

from iblnm_core.table_schema import Column

EID = Column("eid", "text", "session id")
