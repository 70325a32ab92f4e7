"""The connection to where a root's sessions come from."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from iblnm_core.root import Root, open_root
from iblnm_core.sources.alyx_server import one_settings


def default_connection(root: Path | str | Root | None = None) -> Any:
    """Return a ONE client for the source of a root.

    Parameters
    ----------
    root : path or Root, optional
        Otherwise that of the environment variable `IBLNM_ROOT`, else `iblnm_data`.

    Returns
    -------
    one.api.One
        On the root's local cache, or on the Alyx server of its settings, with the login of your own ONE settings.

    Raises
    ------
    ConfigurationError
        When there is no such root.
    """
    opened = root if isinstance(root, Root) else open_root(root)
    return _connection(opened.source, opened.cache if opened.source == "local" else opened.downloads, opened.url)


@lru_cache
def _connection(source: str, folder: Path | None, url: str | None) -> Any:
    """Return a client; one per process and source, as it reads its tables when it is made."""
    from one.api import ONE, One

    if source == "local":
        return One(cache_dir=folder, mode="local")
    return ONE(base_url=one_settings(url).url, cache_dir=folder)
