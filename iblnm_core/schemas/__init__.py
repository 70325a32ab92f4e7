"""One schema per stored table: columns, types, units, meaning, null rule. Documentation and UI tables come from here."""

from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.schemas.analyses import CONDITION_TRACES, MEAN_TRACES, MODELLING_FRAME, RESPONSE_MATRIX, RESPONSES
from iblnm_core.schemas.behaviour import PERFORMANCE, TRIAL_REGRESSORS, TRIAL_TIMING, TRIALS
from iblnm_core.schemas.catalogue import FIBERS, SESSION_INDEX, SESSIONS, SESSIONS_QC
from iblnm_core.schemas.pose import POSE
from iblnm_core.schemas.recording import CORRECTIONS, EVENT_REFERENCE, QC_PHOTOMETRY, VIDEO
from iblnm_core.schemas.region_pairs import REGION_PAIRS
from iblnm_core.schemas.response_measures import TRIAL_MEAN_MEASURES
from iblnm_core.schemas.results import RESULTS
from iblnm_core.schemas.sensitivity import RESPONSE_CELLS
from iblnm_core.schemas.standing import ERRORS, LABELS, RECORDINGS, SELECTION, SESSION_STATUS, STAGE_LOGS
from iblnm_core.schemas.task_encoding import ENCODING_DELTA_R2, ENCODING_FITS, ENCODING_KERNELS
from iblnm_core.schemas.time_courses import TIME_COURSE_SUMS
from iblnm_core.schemas.transients import TRANSIENT_SUMMARY, TRANSIENTS
from iblnm_core.table_schema import TableSchema

__all__ = [
    "CONDITION_TRACES",
    "CORRECTIONS",
    "ENCODING_DELTA_R2",
    "ENCODING_FITS",
    "ENCODING_KERNELS",
    "ERRORS",
    "EVENT_REFERENCE",
    "FIBERS",
    "LABELS",
    "MEAN_TRACES",
    "MODELLING_FRAME",
    "PERFORMANCE",
    "POSE",
    "QC_PHOTOMETRY",
    "RECORDINGS",
    "REGION_PAIRS",
    "RESPONSES",
    "RESPONSE_CELLS",
    "RESPONSE_MATRIX",
    "SELECTION",
    "SESSIONS",
    "SESSIONS_QC",
    "SESSION_INDEX",
    "SESSION_STATUS",
    "STAGE_LOGS",
    "TABLES",
    "TIME_COURSE_SUMS",
    "TRANSIENTS",
    "TRANSIENT_SUMMARY",
    "TRIALS",
    "TRIAL_MEAN_MEASURES",
    "TRIAL_REGRESSORS",
    "TRIAL_TIMING",
    "VIDEO",
]

TABLES: Mapping[str, TableSchema] = MappingProxyType(
    {
        table.name: table
        for table in (
            SESSION_INDEX,
            SESSIONS,
            SESSIONS_QC,
            FIBERS,
            ERRORS,
            *STAGE_LOGS.values(),
            QC_PHOTOMETRY,
            CORRECTIONS,
            EVENT_REFERENCE,
            TRANSIENTS,
            TRANSIENT_SUMMARY,
            PERFORMANCE,
            TRIALS,
            TRIAL_TIMING,
            TRIAL_REGRESSORS,
            RESPONSES,
            RESPONSE_MATRIX,
            RESPONSE_CELLS,
            TIME_COURSE_SUMS,
            TRIAL_MEAN_MEASURES,
            REGION_PAIRS,
            CONDITION_TRACES,
            ENCODING_FITS,
            ENCODING_KERNELS,
            ENCODING_DELTA_R2,
            VIDEO,
            POSE,
            SESSION_STATUS,
            LABELS,
            SELECTION,
            RECORDINGS,
            *(table for tables in RESULTS.values() for table in tables),
        )
    }
)
"""All stored tables by name."""
