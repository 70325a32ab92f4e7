"""Talking to an Alyx server: the user's own ONE settings, time limits, retries. What the answers mean is `alyx`'s business.

Requests are our own: the client of ONE waits for ever, and forgets a user's token when a server refuses it once.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from iblnm_core.errors import ConfigurationError, SourceUnavailable

TIMEOUT_S = (10.0, 60.0)
"""Time limits for connecting and for each answer, s."""

PAGE = 1000
"""Rows per page, the most that Alyx gives."""

_ATTEMPTS = 4
_LONGEST_WAIT_S = 120.0
_TRANSIENT = {429, 502, 503, 504}
_logger = logging.getLogger(__name__)


class AlyxNotFound(Exception):
    """The server has no such record."""


class _Transient(Exception):
    """An answer that may be another one later."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass(frozen=True)
class OneSettings:
    """What the user has set up in ONE for one Alyx server.

    Attributes
    ----------
    url : str
        Of the Alyx server.
    user : str
    data_url : str
        Of the server that has the files.
    token, password, data_login, data_password : str or None
        Never shown.
    """

    url: str
    user: str
    data_url: str
    token: str | None = field(repr=False)
    password: str | None = field(repr=False)
    data_login: str | None = field(repr=False)
    data_password: str | None = field(repr=False)


def one_settings(url: str | None) -> OneSettings:
    """Return the ONE settings for a server, the default one of the user when no address is given; writes nothing.

    Raises
    ------
    ConfigurationError
        When ONE was not set up for it.
    """
    from one.params import _key_from_url

    known = _saved("one/caches")
    key = _key_from_url(url) if url else known.get("DEFAULT")
    if not key or key not in known.get("CLIENT_MAP", {}):
        raise ConfigurationError(f"ONE is not set up for Alyx {url or '(no default server)'}. {how_to_set_up(url)}")
    values = _saved(f"one/{key}")
    address, user = str(url or values.get("ALYX_URL") or "").rstrip("/"), str(values.get("ALYX_LOGIN") or "")
    token = (values.get("TOKEN") or {}).get(user) or {}
    password = values.get("ALYX_PWD")
    if not user or not (token or password):
        raise ConfigurationError(f"ONE has no login for Alyx {address}. {how_to_set_up(address)}")
    return OneSettings(
        url=address,
        user=user,
        data_url=str(values.get("HTTP_DATA_SERVER") or "").rstrip("/"),
        token=token.get("token"),
        password=password,
        data_login=values.get("HTTP_DATA_SERVER_LOGIN"),
        data_password=values.get("HTTP_DATA_SERVER_PWD"),
    )


def _saved(name: str) -> dict[str, Any]:
    """Return a parameter file of ONE; empty when there is none."""
    from iblutil.io import params

    try:
        # with a default it would write the file
        return params.as_dict(params.read(name)) or {}
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigurationError(f"ONE's settings {params.getfile(name)} cannot be read; set ONE up again") from error


def how_to_set_up(url: str | None) -> str:
    """Return what a user without a working login has to do."""
    address = url or "https://alyx.internationalbrainlab.org"
    return (
        f"Log in once with ONE, which keeps a token for later: "
        f"python -c \"from one.api import ONE; ONE.setup('{address}'); ONE(base_url='{address}')\". "
        "Without an account, `iblnm demo` shows everything on synthetic sessions"
    )


class AlyxServer:
    """Requests to one Alyx server.

    Parameters
    ----------
    settings : OneSettings
    back_off_s : float
        Wait before the second attempt, doubled before each further one, s.
    """

    def __init__(self, settings: OneSettings, back_off_s: float = 2.0) -> None:
        self.settings = settings
        self.back_off_s = back_off_s
        self.n_requests = 0
        self._session = requests.Session()
        # a .netrc of the user would replace our token
        self._session.trust_env = False
        self._token = settings.token

    def check_access(self) -> None:
        """Make sure that the server answers and accepts the user.

        Raises
        ------
        ConfigurationError
            When it does not: what to set is in the message.
        """
        try:
            self.get("/projects?limit=1")
        except SourceUnavailable as error:
            raise ConfigurationError(
                f"{error}. Check the network and the address; it is `url` in the [source] settings of the root, "
                "else the default server of ONE"
            ) from error

    def get(self, query: str) -> Any:
        """Return the decoded answer to a query.

        Parameters
        ----------
        query : str
            Path and parameters below the address of the server.

        Raises
        ------
        AlyxNotFound
            When there is no such record.
        ConfigurationError
            When the server refuses the login.
        SourceUnavailable
            When it gave no usable answer in several attempts.
        """
        wait, attempts = self.back_off_s, _ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                return self._attempt(query)
            except _Transient as error:
                # a server error is as likely our own question: once more is enough
                last = attempt == attempts or (str(error).startswith("HTTP 500") and attempt == 2)
                if last or error.wait_s > _LONGEST_WAIT_S:
                    raise SourceUnavailable(f"Alyx {self.settings.url}{query}: {error} (attempt {attempt})") from error
                _logger.warning("Alyx %s: %s; trying again", query, error)
                time.sleep(max(wait, error.wait_s))
                wait *= 2
        raise AssertionError("unreachable")

    def pages(self, endpoint: str, filters: str) -> list[dict[str, Any]]:
        """Return all rows of a list, each once, although the table may change while it is read.

        Parameters
        ----------
        endpoint : str
            Such as `sessions`.
        filters : str
            Value of Alyx's `django` parameter.

        Raises
        ------
        SourceUnavailable
            When the table did not hold still in several attempts.
        """
        for _ in range(_ATTEMPTS):
            counts, rows = set(), {}
            for page in self._pages(endpoint, filters):
                counts.add(page["count"])
                rows.update({row.get("id") or row["url"]: row for row in page["results"]})
            # a row that came or went shifts the others over the edge of a page
            if counts == {len(rows)}:
                return list(rows.values())
            _logger.warning("Alyx: %s changed while they were listed; listing again", endpoint)
        raise SourceUnavailable(f"Alyx {self.settings.url}: {endpoint} changed during each of {_ATTEMPTS} listings")

    def _pages(self, endpoint: str, filters: str) -> Iterator[dict[str, Any]]:
        base, offset = f"/{endpoint}?django={quote(filters, safe='')}&limit={PAGE}", 0
        while True:
            try:
                page = self.get(f"{base}&offset={offset}" if offset else base)
            except AlyxNotFound as error:
                raise SourceUnavailable(f"Alyx {self.settings.url}: it has no list of {endpoint}") from error
            if not isinstance(page, dict) or not {"count", "results"} <= set(page):
                raise SourceUnavailable(f"Alyx {self.settings.url}{base}: no list in the answer")
            yield page
            offset += PAGE
            if not page.get("next"):
                return

    def _attempt(self, query: str) -> Any:
        headers = {"Accept": "application/json", "Authorization": f"Token {self._token or self._login()}"}
        answer = self._send("GET", self.settings.url + query, headers=headers)
        if answer.status_code == 404:
            raise AlyxNotFound(query)
        if answer.status_code in {401, 403}:
            raise ConfigurationError(
                f"Alyx {self.settings.url} refuses the login of {self.settings.user!r} "
                f"(HTTP {answer.status_code}). {how_to_set_up(self.settings.url)}"
            )
        if not answer.ok:
            raise SourceUnavailable(f"Alyx {self.settings.url}{query}: HTTP {answer.status_code}")
        return _decoded(answer)

    def _login(self) -> str:
        """Return a token for the password that the user keeps in ONE's settings; it stays in memory."""
        answer = self._send(
            "POST",
            f"{self.settings.url}/auth-token",
            data={"username": self.settings.user, "password": self.settings.password},
        )
        if answer.status_code in {400, 401, 403}:
            raise ConfigurationError(
                f"Alyx {self.settings.url} refuses the login of {self.settings.user!r}. {how_to_set_up(self.settings.url)}"
            )
        content = _decoded(answer)
        if not isinstance(content, dict) or not isinstance(content.get("token"), str):
            raise _Transient("no token in the answer to the login")
        self._token = content["token"]
        return self._token

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        self.n_requests += 1
        try:
            answer = self._session.request(method, url, timeout=TIMEOUT_S, allow_redirects=False, **options)
        except requests.RequestException as error:
            raise _Transient(f"{type(error).__name__}: no answer") from error
        if answer.status_code in _TRANSIENT or answer.status_code == 500:
            raise _Transient(f"HTTP {answer.status_code}", _retry_after(answer))
        return answer


def _decoded(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        kind = answer.headers.get("Content-Type", "nothing")
        raise _Transient(f"an answer that is no JSON ({kind}, {len(answer.content)} bytes)") from error


def _retry_after(answer: requests.Response) -> float:
    """Return the seconds that a server asks to wait; 0 when it says nothing."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0
