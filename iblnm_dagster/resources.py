"""What assets are given: the root they work on. Opened where it is used, so that the graph loads without a root."""

from pathlib import Path

import dagster as dg

from iblnm_core.cohort.status import Catalogue, source_of
from iblnm_core.root import Root, open_root
from iblnm_core.sources.base import SessionSource


class RootResource(dg.ConfigurableResource[None]):
    """The root of this pipeline instance."""

    path: str

    def open(self) -> Root:
        """Read the settings of the root."""
        return open_root(Path(self.path))

    def source(self) -> SessionSource:
        """Return the source of sessions of the root."""
        return source_of(self.open())

    def catalogue(self) -> Catalogue:
        """Read the catalogue of the root."""
        return Catalogue.load(self.open())
