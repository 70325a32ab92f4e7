"""The command `iblnm view`. What is seen is `iblnm_core.viewer`'s business; it is imported when the command runs."""

from collections.abc import Sequence
from pathlib import Path

import click

from iblnm_core.errors import MissingDependency


@click.command(epilog="\b\nExamples:\n  iblnm view --root results\n  iblnm view EID --root results --port 5100")
@click.argument("eid", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=5006, show_default=True)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="HOST:PORT",
    help="Another name by which browsers know this server, as behind a proxy; may be given several times.",
)
def view(root: Path | None, eid: str | None, host: str, port: int, origins: Sequence[str]) -> None:
    """Look at sessions in a browser: signals, responses, verdicts; and label recordings.

    Shows what is stored; computes nothing. Ends with Ctrl-C.
    """
    from iblnm_core.identifiers import checked_eid
    from iblnm_core.root import open_root

    start = "" if eid is None else f"session?eid={checked_eid(eid)}"
    opened = open_root(root)
    try:
        from iblnm_core.viewer.server import serve
    except ModuleNotFoundError as error:
        raise MissingDependency(f"`iblnm view` needs {error.name}: pip install 'iblnm[viewer]'") from error
    serve(
        opened,
        host,
        port,
        origins,
        lambda address: click.echo(f"Viewer of {opened.path}: {address}{start}   (Ctrl-C ends it)"),
    )
