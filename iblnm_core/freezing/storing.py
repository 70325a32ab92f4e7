"""Freezes on disk: their names, writing one as a whole or not at all, and opening one, or the present state."""

import contextlib
import hashlib
import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from iblnm_core.cohort.status import Catalogue
from iblnm_core.errors import ConfigurationError
from iblnm_core.freezing.manifest import FORMAT, manifest_of, summary_of
from iblnm_core.freezing.standing import standing_of
from iblnm_core.root import Root
from iblnm_core.schemas import TABLES
from iblnm_core.storage.atomic import explained_when_full, flush, locked, write_bytes
from iblnm_core.storage.tables import Table, read_table

FOLDER = "freezes"
"""Below the root; each freeze has a folder in it."""

NOW = "now"
"""In place of the name of a freeze: the root as it is."""

MANIFEST = "manifest.json"
COPIES = "tables"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TABLE_NAME = re.compile(r"\w+", re.ASCII)
_PAGES = "compare_"
_UNFINISHED = ".unfinished-"
_NOTES = b"iblnm"
_PARTS = {
    *("behind", "unsettled", "preset", "parameters", "code"),
    *("libraries", "labels", "sessions", "tables", "figures"),
}


@dataclass(frozen=True)
class Freeze:
    """A freeze as it was written.

    Attributes
    ----------
    path : Path
        Its folder.
    sha256 : str
        Of the manifest, which holds the hashes of everything else: equal exactly when what was frozen is.
    manifest : mapping
    """

    path: Path
    sha256: str
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """A freeze, or the present state, as it is compared.

    Attributes
    ----------
    name : str
    manifest : mapping
    read : callable
        From the name of a kept table to its rows.
    """

    name: str
    manifest: Mapping[str, Any]
    read: Callable[[str], pd.DataFrame]

    def summary(self, table: str) -> Mapping[str, Mapping[str, float | None]]:
        """Return the summary of a table, of its rows where they are kept."""
        entry = self.manifest["tables"][table]
        found: Mapping[str, Mapping[str, float | None]] = entry["summary"] or summary_of(self.read(table))
        return found


def checked_name(name: str) -> str:
    """Return the name of a freeze, or refuse it: it becomes a folder.

    Raises
    ------
    ConfigurationError
        When it is none.
    """
    if not _NAME.fullmatch(name) or name == NOW or name.startswith(_PAGES):
        raise ConfigurationError(
            f"{name!r} cannot name a freeze; expected up to 64 letters, digits, '-', '_' and '.', beginning with a letter or "
            f"digit, neither {NOW!r} nor beginning with {_PAGES!r}"
        )
    return name


def freeze(root: Root, name: str) -> Freeze:
    """Keep what the numbers of a root rest on, and the numbers; it is there as a whole when this returns, or not at all.

    Parameters
    ----------
    root : Root
    name : str

    Returns
    -------
    Freeze

    Raises
    ------
    ConfigurationError
        When the name is none or taken, or the root is not up to date.
    CorruptArtifact
        When a table is not what was written.
    StorageFull
    """
    final = root.path / FOLDER / checked_name(name)
    _refuse_taken(final)
    catalogue = Catalogue.load(root)
    standing = standing_of(catalogue)
    if standing.behind:
        reasons = "\n  ".join(standing.behind)
        raise ConfigurationError(
            f"{root.path} is not up to date, and what is frozen must be; `iblnm run` makes it so:\n  {reasons}"
        )
    manifest = manifest_of(catalogue, standing)
    with _folder(final) as unfinished:
        for table, entry in manifest["tables"].items():
            if entry["kept"]:
                content = _copied(root, table, entry["content_hash"])
                write_bytes(unfinished / COPIES / f"{table}.pqt", content)
                entry["sha256"] = hashlib.sha256(content).hexdigest()
        text = json.dumps(manifest, indent=1, sort_keys=True).encode()
        write_bytes(unfinished / MANIFEST, text)
    return Freeze(final, hashlib.sha256(text).hexdigest(), manifest)


def _copied(root: Root, name: str, content_hash: str) -> bytes:
    """Return a table as a file, of which the rows must still be those that the manifest speaks of."""
    import pyarrow.parquet as pq

    schema = TABLES[name]
    rows = pq.read_table(root.path / schema.path)
    if Table(schema, rows, {}).content_hash != content_hash:
        raise ConfigurationError(f"table {name} changed while it was frozen; freeze again when no run is under way")
    # the notes say when session files were written; equal rows are to be equal files
    metadata = {key: value for key, value in (rows.schema.metadata or {}).items() if key != _NOTES}
    content = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata(metadata), content, compression="zstd")
    return content.getvalue()


@contextlib.contextmanager
def _folder(final: Path) -> Iterator[Path]:
    """Give a folder that becomes the final one when the block succeeds; after a kill the final one does not exist."""
    with explained_when_full(final), locked(final.parent / ".lock"):
        _refuse_taken(final)
        # nobody else writes while the lock is held: what is there was left behind
        for left in final.parent.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=final.parent))
        try:
            yield unfinished
            unfinished.chmod(0o755)
            unfinished.rename(final)
            flush(final.parent)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def _refuse_taken(final: Path) -> None:
    if final.exists():
        raise ConfigurationError(f"freeze {final.name} exists ({final}) and is never changed; choose another name")


def open_state(root: Root, name: str) -> State:
    """Open a freeze of a root, or its present state.

    Parameters
    ----------
    root : Root
    name : str
        Of a freeze, or `now`.

    Raises
    ------
    ConfigurationError
        When there is no such freeze, a later version wrote it, or it is not what was frozen.
    CorruptArtifact
        When a table of the present state is not what was written.
    """
    if name == NOW:
        catalogue = Catalogue.load(root)
        present = manifest_of(catalogue, standing_of(catalogue))
        return State(name, present, lambda table: read_table(root.path, TABLES[table]))
    folder = root.path / FOLDER / checked_name(name)
    manifest = _manifest(folder)
    return State(name, manifest, lambda table: _kept_rows(folder, table, manifest["tables"][table]["sha256"]))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        written = int(manifest["format"])
    except FileNotFoundError as error:
        known = sorted(found.parent.name for found in folder.parent.glob(f"*/{MANIFEST}"))
        listed = f"there are {', '.join(known)}" if known else "there is none; `iblnm freeze NAME` makes one"
        raise ConfigurationError(f"there is no freeze {folder.name} in {folder.parent}; {listed}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no manifest of a freeze: {error!r}") from error
    if written > FORMAT:
        raise ConfigurationError(f"{path} has the format {written}; this version of iblnm knows up to {FORMAT}")
    missing = _PARTS - manifest.keys()
    if missing:
        raise ConfigurationError(f"{path} is no manifest of a freeze: it lacks {', '.join(sorted(missing))}")
    found: dict[str, Any] = manifest
    return found


def _kept_rows(folder: Path, table: str, sha256: str) -> pd.DataFrame:
    """Return the rows of a table that a freeze keeps."""
    import pyarrow.parquet as pq

    if not _TABLE_NAME.fullmatch(table):
        raise ConfigurationError(f"{folder / MANIFEST} names a table {table!r}, which none can be")
    path = folder / COPIES / f"{table}.pqt"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ConfigurationError(f"{path} is not what was frozen: its SHA-256 is {found}, expected {sha256}")
    rows: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
    return rows
