"""All families of figures. What each draws and how stands in the module of its subject."""

from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.figures.family import Family

FAMILIES: Mapping[str, Family] = MappingProxyType({})
"""All families by name, in the order in which people look at them."""
