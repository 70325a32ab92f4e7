"""One entry and one part of a session file, as the data dictionary describes them. The parts stand elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from iblnm_core.session.outputs import owner_of_part
from iblnm_core.table_schema import Kind

KINDS: Mapping[Kind, str] = MappingProxyType(
    {
        "text": "text",
        "integer": "int64",
        "number": "float64",
        "truth": "bool",
        "texts": "list of text",
        "numbers": "list of float64",
    }
)


@dataclass(frozen=True)
class Entry:
    """One dataset or attribute of a part of the session file.

    Attributes
    ----------
    name : str
    kind : str
        Data type as stored.
    description : str
    shape : str
        Symbols for the dimensions; empty for a scalar.
    unit : str
    """

    name: str
    kind: str
    description: str
    shape: str = ""
    unit: str = ""


@dataclass(frozen=True)
class FilePart:
    """One part of the session file.

    Attributes
    ----------
    path : str
        `REGION` stands for the name of a recording.
    description : str
    datasets, attributes : tuple of Entry
    rows : tuple of Entry
        Columns of the dataset `rows`.
    by_hand : bool
        Only there when a person made it.
    """

    path: str
    description: str
    datasets: tuple[Entry, ...] = ()
    attributes: tuple[Entry, ...] = ()
    rows: tuple[Entry, ...] = ()
    by_hand: bool = False

    @property
    def output(self) -> str | None:
        """The output of the session step that owns the part."""
        return owner_of_part(self.path)


FIBER_INDEX = Entry("fiber_idx", "int64", "position of the fibre in the session's lists")
