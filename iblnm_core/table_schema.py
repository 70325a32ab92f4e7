"""What a table schema is: columns, types, units, meaning, null rule. Which tables there are stands in `schemas`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandera.pandas as pandera
    import pyarrow as pa

Kind = Literal["text", "integer", "number", "truth", "texts", "numbers"]


@dataclass(frozen=True)
class Column:
    """One column of a stored table.

    Attributes
    ----------
    name : str
    kind : {'text', 'integer', 'number', 'truth', 'texts', 'numbers'}
        `texts` is a list of texts, whose elements may be null; `numbers` is a list of numbers.
    description : str
    unit : str
        Empty for what has none.
    nullable : bool
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True)
class TableSchema:
    """One stored table.

    Attributes
    ----------
    name : str
    path : PurePosixPath
        Below the root.
    description : str
    key : tuple of str
        Columns that identify a row; rows are stored in their order.
    columns : tuple of Column
    unique : bool
        Whether the key occurs once.
    features : Column or None
        Stands for any number of further number columns, which follow those of the schema; its name is the pattern of theirs.
    """

    name: str
    path: PurePosixPath
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    unique: bool = True
    features: Column | None = None

    @property
    def column_names(self) -> list[str]:
        """Names of the columns in stored order; features aside."""
        return [column.name for column in self.columns]

    def with_features(self, names: Sequence[str]) -> "TableSchema":
        """Return the schema of a table that has these features: each a column like any other."""
        if self.features is None:
            return self
        own = [replace(self.features, name=name) for name in names if name not in self.column_names]
        return replace(self, columns=(*self.columns, *own))

    def arrow(self) -> "pa.Schema":
        """Return the schema as stored in parquet."""
        import pyarrow as pa

        types = {
            "text": pa.string(),
            "integer": pa.int64(),
            "number": pa.float64(),
            "truth": pa.bool_(),
            "texts": pa.list_(pa.string()),
            "numbers": pa.list_(pa.float64()),
        }
        return pa.schema([pa.field(c.name, types[c.kind], nullable=c.nullable) for c in self.columns])

    def pandera(self) -> "pandera.DataFrameSchema":
        """Return the schema that frames are held against before they are written; whether the key occurs once is not in it."""
        import pandera.pandas as pandera

        types: Mapping[Kind, Any] = {
            # the conversion to arrow refuses what is no text, a thousand times faster
            "text": None,
            "integer": "Int64",
            "number": "float64",
            "truth": "boolean",
            "texts": object,
            "numbers": object,
        }
        columns = {
            c.name: pandera.Column(
                types[c.kind],
                nullable=c.nullable,
                coerce=c.kind in {"integer", "truth", "number"},
                title=c.unit,
                description=c.description,
            )
            for c in self.columns
        }
        return pandera.DataFrameSchema(columns, strict=True, ordered=True, name=self.name)
