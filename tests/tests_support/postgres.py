"""A Postgres server of a test's own: the system's binaries on a temporary folder, by Unix socket only."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "correct-horse-7731"
"""What must turn up nowhere."""


def binaries():
    """The folder of the newest server that is installed; None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def why_not():
    """Why no server can be started here; empty when one can."""
    if binaries() is None:
        return "no Postgres server is installed (Debian's package postgresql)"
    if os.getuid() == 0:
        import pwd

        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "Postgres does not run as root, and there is no user postgres"
    return ""


@contextlib.contextmanager
def postgres_server():
    """Give the address of a new, empty database, for as long as the block lasts."""
    # a socket's path is short, and the folder belongs to the server's user
    folder = Path(tempfile.mkdtemp(prefix="iblnm-pg-"))
    options = {}
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        folder.chmod(0o755)
        options = {"user": "postgres", "group": "postgres", "extra_groups": []}
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    bins = binaries()
    command = [bins / "initdb", "-D", folder / "data", "-U", "iblnm", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
    subprocess.run([*command, f"--pwfile={secret}"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **options)
    secret.unlink()
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "shared_buffers=32MB"]
    arguments = [word for setting in settings for word in ("-c", setting)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [bins / "postgres", "-D", folder / "data", *arguments], stdout=log, stderr=log, cwd=folder, **options
        )
    try:
        address = f"postgresql+psycopg2://iblnm:{PASSWORD}@/postgres?host={folder}"
        _wait_for(address)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder)


def _wait_for(address):
    import sqlalchemy

    engine, deadline = sqlalchemy.create_engine(address), time.monotonic() + 30
    while True:
        try:
            engine.connect().close()
        except sqlalchemy.exc.OperationalError:
            assert time.monotonic() < deadline, "the server does not come up"
            time.sleep(0.1)
        else:
            engine.dispose()
            return
