"""Schemas of the tables that say how sessions stand: errors, outputs, and what analyses use."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType

from iblnm_core.rules import RULES
from iblnm_core.schemas.keys import EID
from iblnm_core.session.outputs import OUTPUTS, STAGES
from iblnm_core.table_schema import Column, TableSchema

ERRORS = TableSchema(
    "errors",
    PurePosixPath("metadata/errors.pqt"),
    "Every typed error that stands against a session.",
    ("eid", "rule", "error_type", "error_message"),
    (
        EID,
        Column("error_type", "text", "class of the error"),
        Column("error_message", "text", "what was found and expected"),
        Column("traceback", "text", "where it happened, for unexpected errors only", nullable=True),
        Column("asset", "text", "output that the rule belongs to"),
        Column("rule", "text", "the rule that does not hold"),
        Column("stage", "text", "stage of the command line"),
        Column("severity", "text", "fatal (stops outputs) or advisory"),
        Column("blocks_analysis", "truth", "whether cohort analyses leave the session out"),
        Column("error_family", "text", "the class and its parents; blockers match any of them"),
        Column("measured", "text", "value that the rule looked at", nullable=True),
        Column("threshold", "text", "limit that it was held against", nullable=True),
    ),
    unique=False,
)

STAGE_LOGS: Mapping[str, TableSchema] = MappingProxyType(
    {
        stage: replace(
            ERRORS,
            name=f"{stage}_log",
            path=PurePosixPath(f"metadata/{stage}_log.pqt"),
            description=f"The rows of `{ERRORS.path}` that belong to the stage {stage}, and those that belong to all stages.",
        )
        for stage in STAGES
        # a stage without rules has no errors
        if stage in {OUTPUTS[rule.asset].stage for rule in RULES.values()}
    }
)
"""Errors by stage of the command line."""

SESSION_STATUS = TableSchema(
    "session_status",
    PurePosixPath("metadata/session_status.pqt"),
    "Where every session stands: one row per session and output.",
    ("eid", "asset"),
    (
        EID,
        Column("asset", "text", "output of the session step"),
        Column("subject", "text", "subject nickname"),
        Column("date", "text", "date of the session, ISO 8601"),
        Column(
            "state",
            "text",
            "ok, failed, absent (the session has none), never run, on request (made when asked for by name), out of date, source unavailable, interrupted, or delisted",
        ),
        Column("reason", "text", "error type of a failure or absence, or what changed", nullable=True),
        Column(
            "due",
            "text",
            "why it would be computed now: new, input, metadata, parameters, code, failed unexpectedly, made by hand, "
            "source unavailable",
            nullable=True,
        ),
        Column(
            "message",
            "text",
            "message of the error that stopped the output, why the source could not be had, or what became of the session",
            nullable=True,
        ),
    ),
)

SELECTION = TableSchema(
    "selection",
    PurePosixPath("metadata/selection.pqt"),
    "What each filter removes from the catalogue before cohort analyses: one row per filter, in order.",
    ("position",),
    (
        Column("position", "integer", "place in the order of the filters, from 0"),
        Column("filter", "text", "name of the filter"),
        Column("removes_alone", "integer", "sessions of the whole catalogue that it removes", "sessions"),
        Column("removed_in_order", "integer", "sessions that it removes after those before it", "sessions"),
        Column("left", "integer", "sessions left after it", "sessions"),
    ),
)

RECORDINGS = TableSchema(
    "recordings",
    PurePosixPath("metadata/recordings.pqt"),
    "The recordings that cohort analyses use: one row per session and fibre.",
    ("eid", "fiber_idx"),
    (
        EID,
        Column("fiber_idx", "integer", "position of the fibre in the session's lists"),
        Column("subject", "text", "subject nickname"),
        Column("start_time", "text", "session start, ISO 8601, lab-local"),
        Column("session_type", "text", "training, biased or ephys"),
        Column("lab", "text", "recording laboratory", nullable=True),
        Column("day_n", "integer", "days since the subject's first session", "days"),
        Column("session_n", "number", "dense rank of the date within the subject, from 1"),
        Column("session_length", "number", "end minus start", "s", nullable=True),
        Column("brain_region", "text", "recording target, hemisphere as suffix where known"),
        Column("hemisphere", "text", "l, r or empty"),
        Column("target_NM", "text", "target label such as VTA-DA", nullable=True),
    ),
)

LABELS = TableSchema(
    "labels",
    PurePosixPath("metadata/labels.pqt"),
    "What people said of recordings, in the order in which they said it: one row per label.",
    ("position",),
    (
        Column("position", "integer", "line of the log `labels.jsonl`, from 1"),
        EID,
        Column("fiber_idx", "integer", "position of the fibre in the session's lists"),
        Column("verdict", "text", "keep, doubtful or reject"),
        Column("note", "text", "why"),
        Column("author", "text", "who said it"),
        Column("labelled_at", "text", "when, ISO 8601, UTC"),
        Column("code_version", "text", "version of the software that showed the recording"),
        Column("current", "truth", "whether it is the last word on the recording"),
    ),
)
