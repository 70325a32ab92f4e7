"""Schemas of the tables about transients: each one, and over a recording."""

from pathlib import PurePosixPath

from iblnm_core.corrections.transient_kinetics import KINETICS
from iblnm_core.schemas.keys import EID, FIBER, REGION
from iblnm_core.table_schema import Column, TableSchema

_CORRECTION = Column("correction", "text", "named correction of the trace, such as robust")
_UNIT = Column("unit", "text", "of the trace that sizes are measured on: dff, relative change as a fraction")
_IDENTITY = (EID, FIBER, REGION, _CORRECTION)

TRANSIENTS = TableSchema(
    "transients",
    PurePosixPath("data/transients.pqt"),
    "The transients of corrected traces and their kinetics: one row per recording, correction and transient.",
    ("eid", "fiber_idx", "correction", "transient"),
    (
        *_IDENTITY,
        Column("transient", "integer", "number of the transient in its trace, from 0, in order of time"),
        Column("time", "number", "of the peak, session clock", "s"),
        Column("baseline", "number", "mean of the filtered trace shortly before the peak", "dff", nullable=True),
        *(Column(name, "number", text, unit, nullable=True) for name, (text, unit) in KINETICS.items()),
        Column("compound", "truth", "whether another transient is close"),
        Column(
            "event", "text", "last event before the peak, such as stimOn_times; null if none is recent", nullable=True
        ),
        Column("trial", "integer", "trial of that event, from 0", nullable=True),
        Column("since_event_s", "number", "from that event to the peak", "s", nullable=True),
        _UNIT,
    ),
)

TRANSIENT_SUMMARY = TableSchema(
    "transient_summary",
    PurePosixPath("data/transient_summary.pqt"),
    "What the transients of a recording come to: one row per recording and correction.",
    ("eid", "fiber_idx", "correction"),
    (
        *_IDENTITY,
        Column("n", "integer", "transients", "transients"),
        Column("unmasked_s", "number", "time that is not masked", "s"),
        Column("rate_per_min", "number", "transients per minute that is not masked", "1/min", nullable=True),
        Column("rate_inverted", "number", "the same of troughs: the rate of false transients", "1/min", nullable=True),
        Column("share_compound", "number", "share of transients with another one close (0-1)", nullable=True),
        Column("threshold", "number", "least height and prominence of a transient", "dff", nullable=True),
        Column(
            "separable",
            "truth",
            "whether transients can be told from fluctuation; if not, rates are not event rates; null when none could be found",
            nullable=True,
        ),
        _UNIT,
        *(
            Column(f"{name}_{measure}", "number", f"{word}: {text}", unit, nullable=True)
            for name, (text, unit) in KINETICS.items()
            for measure, word in (("median", "median"), ("mad", "median absolute deviation"))
        ),
    ),
)
