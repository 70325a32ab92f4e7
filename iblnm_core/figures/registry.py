"""All families of figures. What each draws and how stands in the module of its subject."""

from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.figures.dataset_overview import DATASET_OVERVIEW
from iblnm_core.figures.example_session import EXAMPLE_SESSION
from iblnm_core.figures.family import Family
from iblnm_core.figures.fibre_locations import FIBRE_LOCATIONS
from iblnm_core.figures.learning_curves import LEARNING_CURVES
from iblnm_core.figures.movement_encoding import MOVEMENT_FAMILIES
from iblnm_core.figures.nested_models import NESTED_MODEL_FAMILIES
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
from iblnm_core.figures.variance_components import VARIANCE_COMPONENTS

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            DATASET_OVERVIEW,
            FIBRE_LOCATIONS,
            PHOTOMETRY_QC,
            POSE_QC,
            RIG_WATCH,
            TASK_PERFORMANCE,
            LEARNING_CURVES,
            EXAMPLE_SESSION,
            *RESPONSE_FAMILIES,
            *MODEL_FAMILIES,
            SENSITIVITY,
            *NESTED_MODEL_FAMILIES,
            *SESSION_MODEL_FAMILIES,
            VARIANCE_COMPONENTS,
            *VECTOR_FAMILIES,
            *MOVEMENT_FAMILIES,
            *ENCODING_FAMILIES,
        )
    }
)
"""All families by name, in the order in which people look at them."""
