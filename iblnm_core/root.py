"""A root: the folder of one pipeline instance, its layout and its settings file. No content is read or written here."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iblnm_core import __version__
from iblnm_core.errors import ConfigurationError
from iblnm_core.identifiers import checked_eid
from iblnm_core.overrides import parameters_from
from iblnm_core.parameters import Parameters
from iblnm_core.storage.atomic import locked, write_bytes

FORMAT = 1
"""Version of the layout of a root; a root written by a later one is refused."""

SETTINGS = "iblnm.toml"
DEFAULT_ROOT = Path("iblnm_data")
DEFAULT_PRESET = "default"
VIEWER_ADDRESS = "http://127.0.0.1:5006"
"""Where `iblnm view` answers when nothing else is said."""

SOURCES = ("local", "alyx")
DOWNLOADS = "downloads"
"""Folder below the root for what comes from a server, when the settings name no other."""


@dataclass(frozen=True)
class Root:
    """One pipeline instance on disk.

    Attributes
    ----------
    path : Path
        The folder, absolute.
    preset : str
    parameters : Parameters
        The preset with the overrides of the settings file.
    source : str
        Kind of the source of sessions: `local`, a local ONE cache, or `alyx`.
    cache : Path or None
        The folder of a local source, or that of the downloads, absolute.
    workers : int
        Worker processes of a run.
    url : str or None
        Address of the Alyx server; None for the default one of the user's ONE settings.
    notify_command : tuple of str
        Program and arguments that get messages about failed runs; empty for none.
    downloads_gib : float or None
        Downloads beyond this are deleted, the longest unused first, GiB; None to keep all.
    viewer_address : str
        Where browsers find the viewer, for links to it.
    scheduler : str or None
        Address of the Dask scheduler whose workers compute sessions; None for processes of this machine.
    postgres_url_env : str or None
        Environment variable with the address of the Postgres database that keeps Dagster's history; None for files of the root.
    """

    path: Path
    preset: str
    parameters: Parameters = field(repr=False)
    source: str
    cache: Path | None
    workers: int
    url: str | None = None
    notify_command: tuple[str, ...] = ()
    downloads_gib: float | None = None
    viewer_address: str = VIEWER_ADDRESS
    scheduler: str | None = None
    postgres_url_env: str | None = None

    @property
    def session_folder(self) -> Path:
        """Folder of the session files."""
        return session_folder(self.path)

    @property
    def downloads(self) -> Path | None:
        """Folder for what comes from a server; None for a source on disk."""
        return (self.cache or self.path / DOWNLOADS) if self.source == "alyx" else None

    @property
    def shared_places(self) -> list[Path]:
        """Files and folders that workers on other machines must find where this one does."""
        return [self.path / SETTINGS, *([self.cache] if self.source == "local" and self.cache is not None else [])]

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's own instance."""
        return self.path / "dagster"

    def session_file(self, eid: str) -> Path:
        """Path of a session's file.

        Raises
        ------
        ConfigurationError
            When the id is not a session id.
        """
        return self.session_folder / f"{checked_eid(eid)}.h5"


def session_folder(root: Path) -> Path:
    """Return the folder of the session files of a root."""
    return root / "data" / "sessions"


def root_path(given: Path | str | None = None) -> Path:
    """Return the root meant: the one given, else that of the environment variable `IBLNM_ROOT`, else the default."""
    return Path(given or os.environ.get("IBLNM_ROOT") or DEFAULT_ROOT).absolute()


def open_root(path: Path | str | None = None) -> Root:
    """Open an existing root.

    Raises
    ------
    ConfigurationError
        When the folder is no root, its settings cannot be read, or a later version wrote it.
    """
    folder = root_path(path)
    settings = folder / SETTINGS
    if not settings.is_file():
        raise ConfigurationError(
            f"{folder} is not a root: it has no {SETTINGS}. Make one with "
            f"`iblnm run --root {folder} --source local --cache FOLDER`, or see an example with `iblnm demo`"
        )
    try:
        content = tomllib.loads(settings.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{settings} cannot be read: {error}") from error
    return _root_from(folder, settings, content)


def create_root(
    path: Path | str | None = None, *, preset: str | None = None, source: str | None = None, cache: Path | None = None
) -> Root:
    """Open a root, making it first when it does not exist.

    Parameters
    ----------
    path : path, optional
        See `root_path`.
    preset, source, cache : optional
        For a new root: its settings. For an existing one they must agree with what it was made with.

    Raises
    ------
    ConfigurationError
        When an existing root was made with other settings, or a new one lacks its source.
    """
    folder = root_path(path)
    # two commands that start at once must not both write settings
    with locked(folder / ".lock"):
        if not (folder / SETTINGS).is_file():
            _write_settings(folder, preset or DEFAULT_PRESET, source or "local", cache)
    root = open_root(folder)
    _refuse_other(root, "preset", preset, root.preset)
    _refuse_other(root, "source", source, root.source)
    if cache is not None:
        _refuse_other(root, "cache", str(cache.absolute()), str(root.cache))
    return root


def _refuse_other(root: Root, name: str, asked: str | None, has: str) -> None:
    if asked is not None and asked != has:
        raise ConfigurationError(
            f"{root.path} was made with {name} {has!r} and cannot be used with {asked!r}: results of both would mix. "
            f"Use another --root, or change {SETTINGS} there if the same data only moved"
        )


def _write_settings(folder: Path, preset: str, source: str, cache: Path | None) -> None:
    parameters_from(preset)
    if source not in SOURCES:
        raise ConfigurationError(f"source {source!r} is unknown; known are {', '.join(SOURCES)}")
    lines = []
    if source == "alyx":
        lines.append('# Address of the server; without it the default one of your ONE settings.\n# url = "https://..."')
        lines.append("# Downloads beyond this many GiB are deleted, the longest unused first.\n# downloads_gib = 200")
    elif cache is None:
        raise ConfigurationError(
            f"{folder} is a new root and needs to know where sessions come from: add --cache FOLDER, a local ONE cache, "
            "or --source alyx"
        )
    elif not cache.is_dir():
        raise ConfigurationError(f"--cache {cache}: there is no such folder")
    if cache is not None:
        absolute = cache.absolute()
        # a cache inside the root moves with it
        written = absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute
        what = "of the local ONE cache" if source == "local" else "of the downloads"
        lines.append(f"# Folder {what}; relative paths start at this file.\ncache = {_quoted(written.as_posix())}")
    where = "\n".join(lines)
    workers = os.cpu_count() or 1
    text = f"""\
# Settings of this root, written by iblnm {__version__}. Everything in this folder was made with them.
format = {FORMAT}
# Parameter preset: "default" or "reference". Another preset belongs in another root.
preset = "{preset}"

[source]
kind = "{source}"
{where}

[run]
workers = {workers}

# Single parameters can replace those of the preset, for instance
# [parameters.trials]
# minimum_trials = 60
"""
    write_bytes(folder / SETTINGS, text.encode())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _root_from(folder: Path, settings: Path, content: Mapping[str, Any]) -> Root:
    written = content.get("format")
    if not isinstance(written, int) or written < 1:
        raise ConfigurationError(f"{settings}: format = {written!r}; expected a number from 1 to {FORMAT}")
    if written > FORMAT:
        raise ConfigurationError(
            f"{folder} was written by a later version of iblnm (format {written}; this one, {__version__}, knows up to "
            f"{FORMAT}). Upgrade iblnm, or use another --root"
        )
    source = _table(content, "source", settings)
    cache = source.get("cache")
    run = _table(content, "run", settings)
    workers = run.get("workers", 1)
    if not isinstance(workers, int) or workers < 1:
        raise ConfigurationError(f"{settings}: run.workers = {workers!r}; expected a whole number from 1 on")
    preset = content.get("preset")
    return Root(
        path=folder,
        preset=str(preset),
        parameters=_parameters(str(preset), _table(content, "parameters", settings), settings),
        source=str(source.get("kind")),
        cache=None if cache is None else folder / str(cache),
        workers=workers,
        url=None if source.get("url") is None else str(source["url"]).rstrip("/"),
        notify_command=_notify_command(content, settings),
        downloads_gib=_downloads_gib(source, settings),
        viewer_address=_viewer_address(content, settings),
        scheduler=_scheduler(run, settings),
        postgres_url_env=_postgres_url_env(content, settings),
    )


def _scheduler(run: Mapping[str, Any], settings: Path) -> str | None:
    address = run.get("scheduler")
    if address is None:
        return None
    if not isinstance(address, str) or not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", address):
        raise ConfigurationError(
            f'{settings}: run.scheduler = {address!r}; expected the address of a Dask scheduler, such as "tcp://10.0.0.1:8786"'
        )
    return address


def _postgres_url_env(content: Mapping[str, Any], settings: Path) -> str | None:
    name = _table(content, "dagster", settings).get("postgres_url_env")
    if name is None:
        return None
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        # what stands there may be an address with its password: it is not shown
        raise ConfigurationError(
            f"{settings}: dagster.postgres_url_env must be the name of an environment variable, such as "
            '"IBLNM_POSTGRES_URL"; the address itself, with its password, belongs into that variable and into no file'
        )
    return name


def _parameters(preset: str, overrides: Mapping[str, Any], settings: Path) -> Parameters:
    try:
        return parameters_from(preset, overrides)
    except ConfigurationError as error:
        raise ConfigurationError(f"{settings}: {error}") from error


def _viewer_address(content: Mapping[str, Any], settings: Path) -> str:
    address = _table(content, "viewer", settings).get("address", VIEWER_ADDRESS)
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{settings}: viewer.address = {address!r}; expected a text such as {VIEWER_ADDRESS!r}"
        )
    return address.rstrip("/")


def _downloads_gib(source: Mapping[str, Any], settings: Path) -> float | None:
    limit = source.get("downloads_gib")
    is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
    if limit is not None and not (is_number and limit > 0):
        raise ConfigurationError(f"{settings}: source.downloads_gib = {limit!r}; expected a number above 0, in GiB")
    return None if limit is None else float(limit)


def _notify_command(content: Mapping[str, Any], settings: Path) -> tuple[str, ...]:
    command = _table(content, "notify", settings).get("command", [])
    if not isinstance(command, list) or not all(isinstance(word, str) and word for word in command):
        raise ConfigurationError(
            f'{settings}: notify.command = {command!r}; expected a list of texts, such as ["mail", "-s", "iblnm", "me@lab.org"]'
        )
    return tuple(command)


def _table(content: Mapping[str, Any], name: str, settings: Path) -> Mapping[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"{settings}: [{name}] must be a table, found {table!r}")
    return table
