"""Schemas of the watch over the rigs: metrics of the quality of signals week by week, and how they drift."""

from iblnm_core.schemas.keys import result_table
from iblnm_core.table_schema import Column

_SERIES = (
    Column("lab", "text", "recording laboratory, which stands for its rig; unknown where the source does not say"),
    Column("band", "text", "GCaMP or Isosbestic"),
    Column("metric", "text", "column of `qc_photometry`"),
)
_KEY = tuple(column.name for column in _SERIES)

RIG_DRIFT = result_table(
    "qc_overview",
    "rig_drift",
    "Whether the rigs are steady: one row per laboratory, band and metric. Metrics are in units of `qc_photometry`.",
    _KEY,
    (
        *_SERIES,
        Column("verdict", "text", "ok, watch, alarm, or too_few: weeks to tell"),
        Column("why", "text", "the reason, in words"),
        Column("first_week", "text", "Monday of the first week that is looked at, ISO"),
        Column("last_week", "text", "Monday of the last"),
        Column("n_weeks", "integer", "weeks with enough recordings in between", "weeks"),
        Column("n_recordings", "integer", "recordings of these weeks", "recordings"),
        Column("n_mice", "integer", "mice that they are of", "mice"),
        Column("slope", "number", "median slope between two weeks (Theil-Sen), per week", nullable=True),
        Column("slope_lower", "number", "lower end of its 95 % interval", nullable=True),
        Column("slope_upper", "number", "upper end of its 95 % interval", nullable=True),
        Column(
            "mouse_slope",
            "number",
            "median slope between two recordings of one fibre, per week; null when no fibre was recorded in two weeks",
            nullable=True,
        ),
        Column("reference", "number", "median of the weeks of reference, which are the first", nullable=True),
        Column("reference_mad", "number", "median absolute deviation of these weeks", nullable=True),
        Column("recent", "number", "median of the last weeks", nullable=True),
        Column("deviation", "number", "recent less reference", "MADs", nullable=True),
        Column("threshold", "number", "below this a recording fails; null where the metric has none", nullable=True),
        Column(
            "weeks_left",
            "number",
            "until the threshold at this slope; 0 when it is passed, null when the slope does not lead there",
            "weeks",
            nullable=True,
        ),
    ),
)

RIG_WEEKLY = result_table(
    "qc_overview",
    "rig_weekly",
    "Metrics of the quality of signals: one row per laboratory, band, metric and week that has recordings.",
    (*_KEY, "week"),
    (
        *_SERIES,
        Column("week", "text", "its Monday, ISO"),
        Column("median", "number", "of its recordings"),
        Column("lower_quartile", "number", "of its recordings"),
        Column("upper_quartile", "number", "of its recordings"),
        Column("n_recordings", "integer", "recordings: one fibre of one session each", "recordings"),
        Column("n_mice", "integer", "mice that they are of", "mice"),
        Column("counted", "truth", "whether there are enough recordings for a part in the drift"),
        Column("deviation", "number", "median less that of the weeks of reference", "MADs", nullable=True),
        Column(
            "flag",
            "text",
            "ok, watch or alarm: how far from the reference; none: not counted, or nothing to compare; earlier than the weeks looked at",
        ),
    ),
)
