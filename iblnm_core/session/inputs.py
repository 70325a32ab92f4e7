"""The input datasets of one session: found by kind, read once, fingerprinted while they are read."""

import errno
import hashlib
import io
import re
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from iblnm_core.errors import (
    CorruptDataset,
    MissingExtractedData,
    MissingRawData,
    MultipleCollections,
    SourceUnavailable,
)
from iblnm_core.session.datasets import DATASET_KINDS
from iblnm_core.session.fingerprint import InputFile
from iblnm_core.sources.downloads import Fetcher, NotOnServer, RemoteFile

EXISTENCE_ONLY = frozenset({"raw_task", "raw_encoder"})
"""Kinds whose presence matters, not their content."""

PRESENT = "present"
"""In place of the hash of a dataset whose content does not matter."""

_UNREADABLE = (-1, -1)
_ARRAY_ERRORS = (
    *(ValueError, TypeError, AttributeError, EOFError, OSError),
    # what reading the header of a broken array ends in; it may ask for more memory than there is
    *(SyntaxError, tokenize.TokenError, OverflowError, MemoryError, RecursionError),
)
_TRANSIENT = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENETUNREACH}


class SessionInputs:
    """Input datasets of one session.

    Parameters
    ----------
    folder : Path
        The session folder.
    listed : sequence of str
        Paths of the datasets that the source lists, below the folder. Others are not looked at.
    remote : mapping of path to RemoteFile
        Listed datasets that come from a server: they are where and what it says, and are fetched when they are read.
    fetcher : Fetcher, optional
        Fetches them.
    """

    def __init__(
        self,
        folder: Path,
        listed: Sequence[str],
        remote: Mapping[str, RemoteFile] | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.folder = folder
        self._remote = remote or {}
        self._fetcher = fetcher
        self._paths = {
            kind: tuple(sorted(path for path in listed if re.fullmatch(pattern, path)))
            for kind, pattern in DATASET_KINDS.items()
        }
        # as first seen, before any reading: a file that changes meanwhile is due at the next look
        self._seen: dict[str, tuple[int, int] | None] = {}
        self._contents: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}

    def paths(self, kind: str) -> tuple[str, ...]:
        """Return the listed datasets of a kind that are really there."""
        return tuple(path for path in self._paths[kind] if self._status(path) is not None)

    def found(self, kinds: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return size (bytes) and modification time (ns) of all datasets of some kinds."""
        result = {}
        for kind in sorted(kinds):
            for path in self.paths(kind):
                status = self._status(path)
                if status is not None:
                    result[path] = (0, 0) if kind in EXISTENCE_ONLY else status
        return result

    def have_contents(self, stored: Sequence[InputFile], kinds: Iterable[str]) -> bool:
        """Whether the datasets of some kinds are those stored, whatever their times say.

        Reads those of equal size and another time; from disk only, as what a server has is known from its registration.
        """
        if {entry.path for entry in stored} != set(self.found(kinds)):
            return False
        for entry in stored:
            status = self._status(entry.path)
            if entry.digest == PRESENT or status == (entry.size, entry.modified_ns):
                continue
            if status is None or status[0] != entry.size or entry.path in self._remote:
                return False
            if self._digest(entry.path) != entry.digest:
                return False
        return True

    def files(self, kinds: Iterable[str]) -> tuple[InputFile, ...]:
        """Return all datasets of some kinds with a hash of their contents, reading what was not read yet."""
        existence_only = {path for kind in EXISTENCE_ONLY for path in self._paths[kind]}
        result = []
        for path, (size, modified) in sorted(self.found(kinds).items()):
            digest = PRESENT if path in existence_only else self._digest(path)
            result.append(InputFile(path, size, modified, digest))
        return tuple(result)

    def table(self, kind: str, columns: Sequence[str] | None = None, dictionary: Sequence[str] = ()) -> pa.Table:
        """Read a parquet dataset.

        Parameters
        ----------
        kind : str
            A kind of `DATASET_KINDS` of which one dataset exists.
        columns : sequence of str, optional
            Columns to read, those that exist; all when None.
        dictionary : sequence of str
            Text columns to keep as codes.

        Raises
        ------
        CorruptDataset
            When the dataset is there but cannot be read, or is not the registered one.
        MissingRawData, MissingExtractedData
            When it is registered but its server does not have it.
        MultipleCollections
            When several collections hold it.
        SourceUnavailable
            When the disk, the network or the server behind it fails.
        """
        import pyarrow.parquet as pq

        path = self._single(kind)
        content = self._read(path)
        try:
            file = pq.ParquetFile(io.BytesIO(content), read_dictionary=list(dictionary))
            known = set(_only_once(path, file.schema_arrow.names))
            wanted = None if columns is None else [column for column in columns if column in known]
            table = file.read(columns=wanted)
        except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
            raise CorruptDataset(
                f"{path}: {type(error).__name__}: {str(error).splitlines()[0]}; expected a parquet table",
                measured=f"{len(content)} bytes",
            ) from error
        finally:
            # the bytes served their purpose; the digest stays
            self._digest(path)
            del self._contents[path]
        return table

    def array(self, kind: str) -> NDArray[np.float64]:
        """Read a numpy dataset as float64; errors as `table`."""
        path = self._single(kind)
        content = self._read(path)
        try:
            values = np.load(io.BytesIO(content), allow_pickle=False)
            numbers: NDArray[np.float64] = values.astype(np.float64)
        except _ARRAY_ERRORS as error:
            raise CorruptDataset(
                f"{path}: {type(error).__name__}: {(str(error).splitlines() or ['no reason'])[0]}; expected a numpy array of numbers",
                measured=f"{len(content)} bytes",
            ) from error
        finally:
            self._digest(path)
            del self._contents[path]
        return numbers

    def columns(self, kind: str) -> tuple[str, ...]:
        """Return the column names of a parquet dataset; errors as `table`."""
        import pyarrow.parquet as pq

        path = self._single(kind)
        try:
            return tuple(_only_once(path, pq.read_schema(io.BytesIO(self._read(path))).names))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise CorruptDataset(
                f"{path}: {type(error).__name__}: {str(error).splitlines()[0]}; expected a parquet table"
            ) from error

    def _single(self, kind: str) -> str:
        paths = self.paths(kind)
        if len(paths) > 1:
            raise MultipleCollections(
                f"{Path(paths[0]).name} exists in {len(paths)} collections: "
                f"{', '.join(str(Path(path).parent) for path in paths)}; expected one",
                measured=len(paths),
                threshold=1,
            )
        return paths[0]

    def _status(self, path: str) -> tuple[int, int] | None:
        """Return size and modification time of a dataset as first seen, None when it is not there."""
        if path in self._remote:
            return self._remote[path].stamp
        if path not in self._seen:
            try:
                status = (self.folder / path).stat()
            except (FileNotFoundError, NotADirectoryError):
                self._seen[path] = None
            except OSError as error:
                self._refuse_transient(path, error)
                # it is there in some way; reading it will say what is wrong
                self._seen[path] = _UNREADABLE
            else:
                self._seen[path] = (status.st_size, status.st_mtime_ns)
        return self._seen[path]

    def _read(self, path: str) -> bytes:
        if path not in self._contents:
            self._fetch(path)
            try:
                self._contents[path] = self._bytes_of(path)
            except OSError as error:
                self._refuse_transient(path, error)
                raise CorruptDataset(f"{path}: cannot be read: {error.strerror}; expected a file") from error
        return self._contents[path]

    def _bytes_of(self, path: str) -> bytes:
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            if path not in self._remote:
                raise
            # another run evicted it a moment ago
            self._fetch(path)
            return (self.folder / path).read_bytes()

    def _fetch(self, path: str) -> None:
        """Bring a dataset to disk when it comes from a server."""
        if path not in self._remote or self._fetcher is None:
            return
        try:
            self._fetcher.fetch(self._remote[path], self.folder)
        except NotOnServer as error:
            kind = MissingRawData if path.startswith("raw_") else MissingExtractedData
            raise kind(f"{Path(path).name}: registered, but the data server does not have it ({error})") from error

    def _digest(self, path: str) -> str:
        if path not in self._digests:
            try:
                content = self._read(path)
            except (CorruptDataset, MissingRawData, MissingExtractedData):
                # an unreadable input is an input too: when it becomes readable, the session is due
                self._digests[path] = "unreadable"
            else:
                self._digests[path] = hashlib.blake2b(content, digest_size=16).hexdigest()
        return self._digests[path]

    def _refuse_transient(self, path: str, error: OSError) -> None:
        if error.errno in _TRANSIENT:
            raise SourceUnavailable(f"{self.folder / path}: {error.strerror}; try again later") from error


def _only_once(path: str, names: Sequence[str]) -> Sequence[str]:
    """Return the columns of a dataset, none of which may be there twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise CorruptDataset(f"{path}: column {', '.join(repeated)} exists several times; expected once")
    return names
