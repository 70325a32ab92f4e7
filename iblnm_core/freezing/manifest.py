"""The manifest of a root: everything that its numbers rest on, as plain records. Where it is kept is another module's business."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.cohort.collect import session_files
from iblnm_core.cohort.labels import read_labels
from iblnm_core.cohort.status import Catalogue, stored_ledger, stored_row
from iblnm_core.errors import CorruptArtifact
from iblnm_core.figures.drawing import stored_family
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.freezing.standing import Standing
from iblnm_core.root import Root
from iblnm_core.schemas import ERRORS, PERFORMANCE, RECORDINGS, SELECTION, TABLES
from iblnm_core.schemas.results import RESULTS
from iblnm_core.session.fingerprint import Provenance, library_versions
from iblnm_core.session.outputs import COMPUTED, OUTPUTS
from iblnm_core.storage.tables import Table, read_table, stored_table
from iblnm_core.table_schema import TableSchema

FORMAT = 1
"""Version of the layout of a manifest; a later one is refused."""

LARGEST_KEPT_BYTES = 5_000_000
"""Larger tables are kept as hash and summary, bytes."""

_KEPT = {
    schema.name
    for schema in (
        RECORDINGS,
        SELECTION,
        PERFORMANCE,
        ERRORS,
        *(table for tables in RESULTS.values() for table in tables),
    )
}
_COLLECTED_RESULTS = ("response_matrix", "condition_traces", "encoding_fits", "encoding_kernels", "encoding_delta_r2")
_OTHER_LIBRARIES = ("ibl-photometry", "matplotlib", "scikit-learn", "statsmodels")
_LONGEST_VALUE = 200
_NUMBERS = ("n", "mean", "sem", "sd", "minimum", "maximum")


def manifest_of(catalogue: Catalogue, standing: Standing) -> dict[str, Any]:
    """Return the manifest of a root as it is now, as it comes back from JSON.

    Parameters
    ----------
    catalogue : Catalogue
    standing : Standing
        What of the root is not current.

    Raises
    ------
    CorruptArtifact
        When a table is not what was written.
    """
    root = catalogue.root
    manifest = {
        "format": FORMAT,
        "preset": root.preset,
        "behind": standing.behind,
        "unsettled": standing.unsettled,
        "parameters": dataclasses.asdict(root.parameters),
        "code": _code_versions(),
        "libraries": installed_libraries(),
        "labels": _labels(root),
        "sessions": _sessions(catalogue),
        "tables": {schema.name: entry for schema in TABLES.values() if (entry := _table(root, schema)) is not None},
        "figures": _figures(root),
    }
    plain: dict[str, Any] = json.loads(json.dumps(manifest))
    return plain


def installed_libraries() -> dict[str, str]:
    """Return the versions of the libraries that sessions, analyses and figures are made with."""
    return {**library_versions(), **{name: version(name) for name in _OTHER_LIBRARIES}}


def _code_versions() -> dict[str, dict[str, str]]:
    return {
        "outputs": {name: OUTPUTS[name].code_version for name in COMPUTED},
        "analyses": {name: analysis.code_version for name, analysis in ANALYSES.items()},
        "figures": {name: family.code_version for name, family in FAMILIES.items()},
    }


def _labels(root: Root) -> dict[str, str]:
    """Return the last word on each recording, by session and fibre."""
    rows = read_labels(root.path).rows
    last = rows[rows["current"].astype(bool)]
    words = zip(last["eid"], last["fiber_idx"], last["verdict"], last["note"], last["author"], strict=True)
    return {
        f"{eid} {fiber}": f"{verdict}{f' ({note})' if note else ''} by {author}"
        for eid, fiber, verdict, note, author in words
    }


def _sessions(catalogue: Catalogue) -> dict[str, Any]:
    """Return what each session of a root was made from; those that the source no longer lists are stored, too."""
    root = catalogue.root
    used: dict[str, list[int]] = {}
    if stored_table(root.path, RECORDINGS) is not None:
        rows = read_table(root.path, RECORDINGS, columns=["eid", "fiber_idx"])
        used = {str(eid): sorted(fibers.astype(int)) for eid, fibers in rows.groupby("eid")["fiber_idx"]}
    eids = sorted({*catalogue.sessions, *session_files(root)})
    return {
        eid: _session(catalogue.sessions.get(eid) or stored_row(root, eid), stored_ledger(root, eid)[0])
        | {"fibers": [int(fiber) for fiber in used.get(eid, [])]}
        for eid in eids
    }


def _session(row: Mapping[str, Any], provenance: Mapping[str, Provenance]) -> dict[str, Any]:
    inputs = ((file.path, file.digest) for entry in provenance.values() for file in entry.inputs)
    libraries = (pair for entry in provenance.values() for pair in entry.libraries.items())
    return {
        "subject": row.get("subject") or "",
        "date": (row.get("start_time") or "")[:10],
        "row": {name: _short(value) for name, value in row.items() if name != "datasets"},
        "inputs": _each(inputs),
        "libraries": _each(libraries),
        "outputs": {
            name: {part: getattr(entry, part) for part in ("state", "stopped_by", "code", "parameters", "row")}
            for name, entry in provenance.items()
        },
    }


def _each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the value of each name; all of them, when outputs were made at different times from different ones."""
    found: dict[str, set[str]] = {}
    for name, value in pairs:
        found.setdefault(name, set()).add(value)
    return {name: " and ".join(sorted(values)) for name, values in sorted(found.items())}


def _short(value: Any) -> Any:
    """Return a value of the catalogue, its hash when it is long."""
    text = json.dumps(value, default=str, sort_keys=True)
    return value if len(text) <= _LONGEST_VALUE else hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _table(root: Root, schema: TableSchema) -> dict[str, Any] | None:
    """Return what there is to know of a stored table; None when it is not stored as its schema says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored = stored_table(root.path, schema)
    if stored is None:
        return None
    path = root.path / schema.path
    try:
        rows = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise CorruptArtifact(f"table {schema.name}", "all", str(path), str(error)) from error
    found = Table(schema, rows, {}).content_hash
    if found != stored.content_hash:
        problem = f"its rows have the hash {found}, expected {stored.content_hash}"
        raise CorruptArtifact(f"table {schema.name}", "all", str(path), problem)
    kept = is_kept(schema, path.stat().st_size)
    return {
        "path": str(schema.path),
        "key": schema.key,
        "n_rows": stored.n_rows,
        "content_hash": found,
        "kept": kept,
        "made_from": stored.notes.get("made_from"),
        "libraries": stored.notes.get("libraries"),
        "summary": None if kept else summary_of(rows.to_pandas()),
    }


def is_kept(schema: TableSchema, size_bytes: int) -> bool:
    """Whether a freeze keeps a copy of a table: results, what is selected, performance and errors; neither trials nor large ones."""
    wanted = schema.name in _KEPT or schema.name in _COLLECTED_RESULTS
    return wanted and "trial" not in schema.key and size_bytes <= LARGEST_KEPT_BYTES


def summary_of(rows: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Return what is said of a table that is not kept: by column, how many values are known, and of numbers mean and spread.

    Parameters
    ----------
    rows : DataFrame

    Returns
    -------
    mapping of str to mapping
        `n`, `mean`, `sem` (standard deviation over the root of n), `sd`, `minimum`, `maximum` in the unit of the column; for texts
        the number of different ones as `n_different`.
    """
    return {str(name): _column_summary(rows[name]) for name in rows}


def _column_summary(column: "pd.Series[Any]") -> dict[str, float | None]:
    known = column.dropna()
    if pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known):
        values = known.astype(float)
        sd = values.std()
        numbers = (len(values), values.mean(), sd / max(len(values), 1) ** 0.5, sd, values.min(), values.max())
        return {name: _known(number) for name, number in zip(_NUMBERS, numbers, strict=True)}
    return {"n": float(len(known)), "n_different": float(known.astype(str).nunique())}


def _known(number: float) -> float | None:
    return None if pd.isna(number) else float(number)


def _figures(root: Root) -> dict[str, Any]:
    """Return the contents of the figures that are stored, by family."""
    families = {name: stored_family(root.path, name) for name in FAMILIES}
    return {
        name: {
            "content_hash": family.content_hash,
            "pictures": {figure.name: figure.sha256[figure.data] for figure in family.figures},
        }
        for name, family in families.items()
        if family is not None
    }
