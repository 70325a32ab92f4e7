"""Schemas of the tables about the quality of recordings and videos."""

from pathlib import PurePosixPath

from iblnm_core.corrections.diagnostics import MEASURES
from iblnm_core.schemas.keys import EID, EVENT, FIBER, REGION, VIDEO_OUTCOMES
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
        *(
            Column(name, "number", f"{meaning}; GCaMP row only", unit, nullable=True)
            for name, (meaning, unit) in MEASURES.items()
        ),
    ),
)

_CORRECTION = Column("correction", "text", "name of the correction")

CORRECTIONS = TableSchema(
    "corrections",
    PurePosixPath("data/corrections.pqt"),
    "How the signals were corrected: one row per recording and stored correction.",
    ("eid", "fiber_idx", "correction"),
    (
        EID,
        FIBER,
        REGION,
        _CORRECTION,
        Column("is_primary", "truth", "whether responses and models are made from it"),
        Column("status", "text", "ok, failed or skipped"),
        Column("reason", "text", "name of the error unless ok", nullable=True),
        Column("message", "text", "what was found and what was expected unless ok", nullable=True),
        Column("dark_signal", "number", "subtracted from the signal band before all else", "camera units"),
        Column("dark_reference", "number", "subtracted from the isosbestic band", "camera units"),
        Column("dark_source", "text", "measured, constant, none or refused (too close to the signal)"),
        Column("dark_source_reference", "text", "the same of the isosbestic band"),
        Column(
            "slope", "number", "of the signal on the isosbestic band; of control_fit in camera units", nullable=True
        ),
        Column("intercept", "number", "of the same line", nullable=True),
        Column("slope_clipped", "truth", "whether it was negative, so that nothing was subtracted"),
        Column("slope_ols", "number", "slope of plain least squares", nullable=True),
        Column("iterations", "integer", "passes of the robust fit"),
        Column("rebound", "truth", "whether the baseline has a recovering term"),
        Column("denominator_ratio", "number", "least over median of what the signal was divided by", nullable=True),
        Column("mean", "number", "of the corrected signal, relative change", nullable=True),
        Column("sd", "number", "its standard deviation", nullable=True),
        Column("median", "number", "its median", nullable=True),
        Column("mad_sd", "number", "1.4826 times its median absolute deviation", nullable=True),
        Column("noise_sd", "number", "standard deviation of the noise of its samples", nullable=True),
        Column("n_samples", "integer", "samples of the signal band", "samples"),
        Column("n_masked", "integer", "those that were not used", "samples"),
        Column(
            "residual_r", "number", "correlation with the isosbestic band below 1 Hz after correction", nullable=True
        ),
    ),
)

EVENT_REFERENCE = TableSchema(
    "event_reference",
    PurePosixPath("data/event_reference.pqt"),
    "How the isosbestic band itself responds to events: one row per recording and event.",
    ("eid", "fiber_idx", "event"),
    (
        EID,
        FIBER,
        REGION,
        EVENT,
        Column("t", "number", "mean response over its standard error, over trials", nullable=True),
        Column(
            "share",
            "number",
            "part of the isosbestic band in what an uncorrected response would be (0-1)",
            nullable=True,
        ),
        Column("n", "integer", "trials", "trials"),
    ),
)

VIDEO = TableSchema(
    "video",
    PurePosixPath("metadata/video.pqt"),
    "Quality of the left camera's video: one row per session that has camera times.",
    ("eid",),
    (
        EID,
        Column("subject", "text", "subject nickname"),
        Column("session_type", "text", "training, biased, ephys, habituation, ...", nullable=True),
        Column(
            "video_qc_score",
            "number",
            "mean of what the labels of the pictures count (0-1); -1 when a rule of the video does not hold, null when none is set",
            nullable=True,
        ),
        *VIDEO_OUTCOMES,
        Column("session_length", "number", "end minus start of the session", "s", nullable=True),
        Column("video_length", "number", "last minus first frame", "s", nullable=True),
        Column("length_discrepancy", "number", "video_length minus session_length", "s", nullable=True),
        Column("n_frames", "integer", "frames with a time", "frames"),
        Column("video_t0", "number", "time of the first frame, session clock", "s", nullable=True),
        Column("video_t1", "number", "time of the last frame, session clock", "s", nullable=True),
        Column("frame_interval_s", "number", "median interval between frames", "s", nullable=True),
        Column("frame_rate_hz", "number", "its inverse", "Hz", nullable=True),
        Column(
            "dropped_frame_fraction",
            "number",
            "frames missing by the median interval, over all intervals (0-1)",
            nullable=True,
        ),
    ),
)
