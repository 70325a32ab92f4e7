"""Schemas of the tables about recordings: their quality."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID
from iblnm_core.session.signal_quality import METRICS
from iblnm_core.table_schema import Column, TableSchema


def _metric_columns(name: str, unit: str = "") -> tuple[Column, ...]:
    """Return the columns of one sliding metric."""
    return (
        Column(name, "number", METRICS[name], unit, nullable=True),
        Column(f"{name}_spread", "number", "its standard deviation over the windows", unit, nullable=True),
        Column(f"{name}_whole", "number", "the same over the whole recording, not detrended", unit, nullable=True),
    )


QC_PHOTOMETRY = TableSchema(
    "qc_photometry",
    PurePosixPath("data/qc_photometry.pqt"),
    "Quality of the recordings: one row per session, fibre and band.",
    ("eid", "fiber_idx", "band"),
    (
        *_metric_columns("ar_score"),
        Column("band", "text", "GCaMP or Isosbestic"),
        Column(
            "bleaching_amplitude", "number", "what bleaches from the first sample on", "camera units", nullable=True
        ),
        Column(
            "bleaching_fit",
            "text",
            "ok, or why there is no time constant: no decay, slower than the recording, faster than the shortest, too short",
            nullable=True,
        ),
        Column("bleaching_r_squared", "number", "R² of the exponential on one-second means", nullable=True),
        Column("bleaching_tau", "number", "time constant of the bleaching; GCaMP row only", "s", nullable=True),
        Column("brain_region", "text", "recording target"),
        EID,
        Column("fiber_idx", "integer", "position of the fibre in the session's lists"),
        Column(
            "iso_correlation", "number", "R² of the signal band on the isosbestic one; GCaMP row only", nullable=True
        ),
        *_metric_columns("median_absolute_deviance", "camera units"),
        Column("n_band_inversions", "integer", "consecutive frames under one LED", "frames", nullable=True),
        Column("n_early_samples", "integer", "frames too early by more than the tolerance", "frames", nullable=True),
        Column("n_gap_frames", "integer", "frames with unknown LED state", "frames", nullable=True),
        Column("n_gaps", "integer", "runs of such frames", nullable=True),
        Column(
            "n_invalid_samples", "integer", "frames marked as outside the synchronised range", "frames", nullable=True
        ),
        Column("n_stray_frames", "integer", "frames under neither configured LED", "frames", nullable=True),
        *_metric_columns("n_unique_samples"),
        Column("n_windows", "integer", "windows behind the metrics", nullable=True),
        *_metric_columns("percentile_asymmetry"),
        *_metric_columns("percentile_distance"),
        Column("verdict", "text", "ok, or the fatal errors of the recording"),
    ),
)
