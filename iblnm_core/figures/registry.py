"""All families of figures. What each draws and how stands in the module of its subject."""

from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.figures.dataset_overview import DATASET_OVERVIEW
from iblnm_core.figures.diagnostic_overview import DIAGNOSTIC_OVERVIEW
from iblnm_core.figures.example_session import EXAMPLE_SESSION
from iblnm_core.figures.family import Family
from iblnm_core.figures.fibre_locations import FIBRE_LOCATIONS
from iblnm_core.figures.learning_curves import LEARNING_CURVES
from iblnm_core.figures.movement_encoding import MOVEMENT_FAMILIES
from iblnm_core.figures.nested_models import NESTED_MODEL_FAMILIES
from iblnm_core.figures.of_signals import of_signals
from iblnm_core.figures.photometry_qc import PHOTOMETRY_QC
from iblnm_core.figures.pose_qc import POSE_QC
from iblnm_core.figures.response_models import MODEL_FAMILIES
from iblnm_core.figures.response_vectors import VECTOR_FAMILIES
from iblnm_core.figures.responses import RESPONSE_FAMILIES
from iblnm_core.figures.rig_watch import RIG_WATCH
from iblnm_core.figures.sensitivity import SENSITIVITY
from iblnm_core.figures.session_models import SESSION_MODEL_FAMILIES
from iblnm_core.figures.task_encoding import ENCODING_FAMILIES
from iblnm_core.figures.task_performance import TASK_PERFORMANCE
from iblnm_core.figures.time_course import TIME_COURSES
from iblnm_core.figures.variance_components import VARIANCE_COMPONENTS

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            DATASET_OVERVIEW,
            FIBRE_LOCATIONS,
            PHOTOMETRY_QC,
            DIAGNOSTIC_OVERVIEW,
            POSE_QC,
            RIG_WATCH,
            TASK_PERFORMANCE,
            LEARNING_CURVES,
            of_signals(EXAMPLE_SESSION),
            *map(of_signals, RESPONSE_FAMILIES),
            *map(of_signals, MODEL_FAMILIES),
            TIME_COURSES,
            SENSITIVITY,
            *map(of_signals, NESTED_MODEL_FAMILIES),
            *map(of_signals, SESSION_MODEL_FAMILIES),
            of_signals(VARIANCE_COMPONENTS),
            *map(of_signals, VECTOR_FAMILIES),
            *map(of_signals, MOVEMENT_FAMILIES),
            *map(of_signals, ENCODING_FAMILIES),
        )
    }
)
"""All families by name, in the order in which people look at them."""
