"""Fetching datasets over HTTP: to a temporary name, held against the registered size and MD5, then moved to its place."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import requests

from iblnm_core.errors import ConfigurationError, CorruptDataset, SourceUnavailable, StorageFull
from iblnm_core.sources.alyx_server import TIMEOUT_S, one_settings
from iblnm_core.sources.eviction import DOWNLOAD_LOCK
from iblnm_core.storage.atomic import atomic_path, locked

_CHUNK = 1 << 20
_SPARE_BYTES = 100 * 1024 * 1024
_ATTEMPTS = 3
_WRONG_ATTEMPTS = 2
_logger = logging.getLogger(__name__)


class NotOnServer(Exception):
    """The dataset is registered, but the data server does not have it."""


class _Broken(Exception):
    """The transfer failed on the way."""


class _Wrong(Exception):
    """The file is whole, and not the one that is registered."""


@dataclass(frozen=True)
class RemoteFile:
    """One registered dataset of a session.

    Attributes
    ----------
    path : str
        Below the session folder, without revision.
    remote_path : str
        On the data server, below its address: with lab, session, revision and id.
    size : int
        Bytes; -1 when not registered.
    md5 : str
        Empty when not registered.
    """

    path: str
    remote_path: str
    size: int
    md5: str

    def to_text(self) -> str:
        """Return the stored form."""
        return json.dumps([self.path, self.remote_path, self.size, self.md5])

    @classmethod
    def from_text(cls, text: str) -> "RemoteFile":
        """Read the stored form."""
        return cls(*json.loads(text))

    @property
    def stamp(self) -> tuple[int, int]:
        """Size, and a number that changes with the registered content, in place of a modification time."""
        digest = hashlib.blake2b(f"{self.remote_path} {self.md5}".encode(), digest_size=7).digest()
        return self.size, int.from_bytes(digest, "big")


class Fetcher(Protocol):
    """Brings a registered dataset to its place on disk."""

    def fetch(self, file: RemoteFile, folder: Path) -> Path:
        """Return where the dataset lies below a session folder, fetching it when it is not there whole.

        Raises
        ------
        NotOnServer
            When the data server does not have it.
        CorruptDataset
            When what the server has is not what is registered.
        SourceUnavailable
            When the server cannot be reached for now, or the transfer fails again and again.
        StorageFull
            When there is no room for it.
        """
        ...


@dataclass(frozen=True)
class HttpFetcher:
    """Fetches from the data server of the user's ONE settings, one file at a time on this machine.

    Attributes
    ----------
    url : str or None
        Address of the Alyx server; the default one when None. No secret: the login is looked up where it is used.
    cache : Path
        Folder of the downloads.
    back_off_s : float
        Wait before the second attempt, doubled before each further one, s.
    """

    url: str | None
    cache: Path
    back_off_s: float = 2.0

    def fetch(self, file: RemoteFile, folder: Path) -> Path:
        """Return where a dataset lies, fetching it when needed; see `Fetcher`."""
        place = folder / file.path
        if _is_whole(place, file):
            # what was used last is evicted last
            os.utime(place)
            return place
        # one download at a time is kind to the server, and no file is fetched twice
        with locked(self.cache / DOWNLOAD_LOCK):
            if not _is_whole(place, file):
                _check_room(place, file)
                self._fetch(file, place)
        return place

    def _fetch(self, file: RemoteFile, place: Path) -> None:
        wait, wrong = self.back_off_s, 0
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._transfer(file, place)
            except _Wrong as error:
                wrong += 1
                if wrong == _WRONG_ATTEMPTS:
                    raise CorruptDataset(
                        f"{file.path}: the data server's file is not the registered one: {error}"
                    ) from error
            except _Broken as error:
                if attempt == _ATTEMPTS:
                    raise SourceUnavailable(f"{file.remote_path}: {error}, {attempt} times; try again later") from error
                _logger.warning("%s: %s; trying again", file.path, error)
                time.sleep(wait)
                wait *= 2
            else:
                return
        raise SourceUnavailable(f"{file.remote_path}: no good transfer in {_ATTEMPTS} attempts; try again later")

    def _transfer(self, file: RemoteFile, place: Path) -> None:
        settings = one_settings(self.url)
        if not settings.data_url:
            raise ConfigurationError("ONE's settings have no HTTP_DATA_SERVER, the address that files come from")
        login = (settings.data_login, settings.data_password or "") if settings.data_login else None
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            try:
                url = f"{settings.data_url}/{quote(file.remote_path)}"
                answer = stack.enter_context(
                    session.get(
                        url, auth=login, timeout=TIMEOUT_S, stream=True, headers={"Accept-Encoding": "identity"}
                    )
                )
                _check_status(answer, settings.data_url)
                with atomic_path(place, lambda path: _verify(path, file)) as temporary, temporary.open("wb") as target:
                    for chunk in answer.iter_content(_CHUNK):
                        target.write(chunk)
            except requests.RequestException as error:
                raise _Broken(f"{type(error).__name__} during the transfer") from error


def _check_status(answer: requests.Response, server: str) -> None:
    if answer.status_code in {404, 410}:
        raise NotOnServer(f"HTTP {answer.status_code}")
    if answer.status_code in {401, 403}:
        raise SourceUnavailable(
            f"data server {server} refuses the login (HTTP {answer.status_code}): "
            "set HTTP_DATA_SERVER_LOGIN and HTTP_DATA_SERVER_PWD with ONE.setup()"
        )
    if not answer.ok:
        raise _Broken(f"HTTP {answer.status_code}")


def _is_whole(place: Path, file: RemoteFile) -> bool:
    """Whether a dataset lies there with the registered size and MD5."""
    try:
        _verify(place, file)
    except (FileNotFoundError, NotADirectoryError, _Wrong):
        return False
    return bool(file.md5) or file.size >= 0


def _verify(path: Path, file: RemoteFile) -> None:
    size = path.stat().st_size
    if file.size >= 0 and size != file.size:
        raise _Wrong(f"{size} bytes, registered are {file.size}")
    if file.md5:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != file.md5:
            raise _Wrong(f"MD5 {found}, registered is {file.md5}")


def _check_room(place: Path, file: RemoteFile) -> None:
    folder = next(parent for parent in place.parents if parent.is_dir())
    if shutil.disk_usage(folder).free < max(file.size, 0) + _SPARE_BYTES:
        raise StorageFull(place)
