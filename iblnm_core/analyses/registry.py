"""All cohort analyses. What each is made from and how stands in the module of its subject."""

from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.analyses.analysis import Analysis
from iblnm_core.analyses.behaviour_analyses import BEHAVIOUR_ANALYSES
from iblnm_core.analyses.encoding_analyses import ENCODING_ANALYSES
from iblnm_core.analyses.response_analyses import RESPONSE_ANALYSES

ANALYSES: Mapping[str, Analysis] = MappingProxyType({**RESPONSE_ANALYSES, **ENCODING_ANALYSES, **BEHAVIOUR_ANALYSES})
"""All analyses by name, in an order in which each comes after those it is made from."""
