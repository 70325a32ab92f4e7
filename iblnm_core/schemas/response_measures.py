"""Columns of the shape of single responses, and the schema of the table of those of mean traces."""

from dataclasses import replace
from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID, FIBER, REGION
from iblnm_core.table_schema import Column, TableSchema

_CORRECTION = Column("correction", "text", "name of the correction of the trace")
_EVENT = Column("event", "text", "stimOn_times, firstMovement_times or feedback_times")
_REGION = replace(REGION, nullable=True)


def _measure(name: str, description: str, unit: str = "") -> Column:
    return Column(name, "number", description, unit, nullable=True)


RESPONSE_MEASURES = (
    _measure("mean", "mean over the early window; null below 80 % known samples", "unit"),
    _measure("peak", "extremum in the window in the direction of the polarity", "unit"),
    _measure("time_to_peak", "its time after the event", "s"),
    _measure("latency", "first crossing of half the peak after the event", "s"),
    _measure("slope", "between 20 % and 80 % of the peak, on the flank before it", "unit/s"),
    _measure("auc", "area under the known part of the window", "unit s"),
    _measure("auc_pos", "its part above 0", "unit s"),
    _measure("auc_neg", "its part below 0, negative", "unit s"),
    _measure("width", "time around the peak beyond half of it", "s"),
    _measure("centroid", "centre of what goes in the direction of the polarity", "s"),
    _measure("peak_z", "peak in standard deviations of the low-passed baseline of all trials"),
    _measure("masked_fraction", "share of the window's samples that are unknown (0-1)"),
    Column("peak_at_edge", "truth", "the peak is the first or last known sample"),
    Column("peak_valid", "truth", "the peak is at least three standard deviations of the baseline"),
    Column("latency_valid", "truth", "the same, and there is a latency"),
)
"""What is known of the shape of every response. A thousand sessions have millions of them: they stay in the session files."""

TRIAL_MEAN_MEASURES = TableSchema(
    "trial_mean_measures",
    PurePosixPath("data/trial_mean_measures.pqt"),
    "The shape of mean responses, with 95 % intervals: one row per recording, correction, event, condition and measure.",
    ("eid", "fiber_idx", "correction", "event", "condition", "measure"),
    (
        EID,
        FIBER,
        _REGION,
        _CORRECTION,
        _EVENT,
        Column("condition", "text", "all used trials, or a contrast (%) and outcome such as c6.25_correct"),
        Column("measure", "text", "a measure of the table response_measures, here of the mean trace"),
        Column("estimate", "number", "measure of the mean trace", "unit", nullable=True),
        Column("lower", "number", "2.5 % quantile over draws of trials", "unit", nullable=True),
        Column("upper", "number", "97.5 % quantile over draws of trials", "unit", nullable=True),
        Column("n_trials", "integer", "trials with a known sample in the window", "trials"),
        Column("unit", "text", "of the estimate: s, that of the trace (dff or z), this per s or times s, or 1"),
    ),
)
