"""The server of the viewer: the list of sessions, a page for each, and the reports beside them. Read-only but for labels."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import panel as pn
from panel.io.server import get_server
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from iblnm_core.errors import ConfigurationError, CorruptArtifact
from iblnm_core.identifiers import is_eid
from iblnm_core.root import Root
from iblnm_core.viewer.catalogue import Catalogue, Search
from iblnm_core.viewer.page import SessionPage
from iblnm_core.viewer.rendering import catalogue_html, notice_html, own_text
from iblnm_core.viewer.state import ViewState
from iblnm_core.viewer.stored import Sessions

_FOLDERS = ("reports", "figures")
_LIST_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"


def _handlers(root: Root, catalogue: Catalogue, hosts: Collection[str]) -> list[tuple[str, type[RequestHandler], Any]]:
    """Return what answers for the list of sessions, and for files of the root."""

    class Guarded(RequestHandler):
        """Answers only who asks by a name of this server: a page of somebody else's cannot read it through the browser."""

        def prepare(self) -> None:
            if self.request.host not in hosts:
                raise HTTPError(403, f"not known as {self.request.host!r}")

        def set_default_headers(self) -> None:
            self.set_header("X-Content-Type-Options", "nosniff")
            self.set_header("X-Frame-Options", "DENY")

    class List(Guarded):
        def get(self) -> None:
            given = self.request.query_arguments
            query = {name: values[-1].decode("utf-8", "replace") for name, values in given.items()}
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.set_header("Content-Security-Policy", _LIST_POLICY)
            self.finish(catalogue_html(catalogue.sessions(), Search.of_query(query)))

    class Files(Guarded, StaticFileHandler):
        pass

    folders = [(rf"/{name}/(.*)", Files, {"path": str(root.path / name)}) for name in _FOLDERS]
    return [(r"/", List, {}), *folders]


def serve(root: Root, host: str, port: int, origins: Sequence[str], ready: Callable[[str], None]) -> None:
    """Serve the viewer until interrupted.

    Parameters
    ----------
    root : Root
    host : str
        Address to listen on.
    port : int
    origins : sequence of str
        Further names, with port, by which browsers may know this server.
    ready : callable
        Told the address as soon as the server answers.

    Raises
    ------
    ConfigurationError
        When the address cannot be listened on.
    """
    catalogue, sessions = Catalogue(root), Sessions(root)
    hosts = frozenset({f"{host}:{port}", f"localhost:{port}", f"127.0.0.1:{port}", *origins})
    try:
        server = get_server(
            {"session": lambda: _session(catalogue, sessions)},
            port=port,
            address=host,
            websocket_origin=sorted(hosts),
            title="iblnm",
            location=False,
            use_index=False,
            extra_patterns=_handlers(root, catalogue, hosts),
        )
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port") from error
    _warm_up(catalogue, sessions)
    server.start()
    ready(f"http://{host}:{port}/")
    try:
        server.io_loop.start()
    except KeyboardInterrupt:
        server.stop()


def _warm_up(catalogue: Catalogue, sessions: Sessions) -> None:
    """Draw one session that nobody sees: what is drawn first takes a second longer."""
    with contextlib.suppress(CorruptArtifact):
        for eid in catalogue.sessions()["eid"]:
            view = sessions.view(eid)
            if view is not None:
                SessionPage(view, ViewState(eid=eid), Search(), catalogue.sessions()).figures()
                return


def _session(catalogue: Catalogue, sessions: Sessions) -> Any:
    """Return the page of the session that an address asks for, or a word on why there is none."""
    arguments: Mapping[str, Sequence[bytes]] = pn.state.session_args
    query = {name: values[-1].decode("utf-8", "replace") for name, values in arguments.items() if values}
    state, search = ViewState.of_query(query), Search.of_query(query)
    if not is_eid(state.eid):
        return _word("The address names no session: it needs ?eid= and the id of one.")
    try:
        listed = search.of(catalogue.sessions())
        view = sessions.view(state.eid)
        if view is None:
            known = state.eid in set(catalogue.sessions()["eid"])
            return _word(
                f"Nothing of session {state.eid} is stored. Materialise the outputs of partition {state.eid}, such as preprocessed_signal and responses."
                if known
                else f"There is no session {state.eid} here."
            )
        return SessionPage(view, state, search, listed).view()
    except CorruptArtifact as error:
        return _word(str(error))


def _word(text: str) -> Any:
    return pn.pane.HTML(
        f'<p><a href="./">All sessions</a></p>{notice_html(text, "broken")}', stylesheets=[own_text("style.css")]
    )
