"""Schema of how the signals of two fibres of one session go together."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID
from iblnm_core.table_schema import Column, TableSchema

REGION_PAIRS = TableSchema(
    "region_pairs",
    PurePosixPath("data/region_pairs.pqt"),
    "How the corrected traces of two fibres of a session go together; advisory. One row per session, pair and correction.",
    ("eid", "fiber_1", "fiber_2", "correction"),
    (
        EID,
        Column("fiber_1", "integer", "the first fibre: its position in the session's lists"),
        Column("fiber_2", "integer", "the second one, which is further down"),
        Column("correction", "text", "name of the correction of the signals; of both, where one has a stand-in"),
        Column("region_1", "text", "recording target of the first", nullable=True),
        Column("region_2", "text", "recording target of the second", nullable=True),
        Column("status", "text", "ok; too_short (of common time) or constant: no measures"),
        Column("common_s", "number", "time in which neither trace is masked", "s"),
        Column("r0", "number", "correlation at the same time", nullable=True),
        Column("r_peak", "number", "largest correlation by size within the longest lag", nullable=True),
        Column("lag_ms", "number", "where that is; positive when the second fibre comes later", "ms", nullable=True),
        Column("r_null_97", "number", "97.5th percentile of the size of r over circular shifts", nullable=True),
        Column("coherence_slow", "number", "squared coherence, mean over 0.1 to 1 Hz", nullable=True),
        Column("coherence_fast", "number", "squared coherence, mean over 1 to 4 Hz", nullable=True),
        Column("n_segments", "integer", "stretches that the coherence is a mean over", "stretches"),
        Column("r_events_removed", "number", "r0 of what the mean responses to events leave", nullable=True),
        Column("r_reference", "number", "r0 of the two references: what is shared by movement", nullable=True),
        Column(
            "suspect",
            "truth",
            "whether r_reference is above half of r0, by size; null without references",
            nullable=True,
        ),
    ),
)
