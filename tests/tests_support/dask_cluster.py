"""Dask schedulers and workers of a test's own, on loopback or each in a network namespace of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests_support.paths import REPOSITORY

HEAD, PORT = "198.18.0.1", 8786
"""Address of the scheduler inside: of a range for tests of networks, which nothing outside of the namespaces has."""


def environment(**more):
    """What a process of the cluster is started with: this checkout, and the importable functions of tests."""
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    return {**os.environ, "PYTHONPATH": paths, **more}


def why_no_namespaces():
    """Why network namespaces cannot be made here; empty when they can."""
    if os.getuid() != 0:
        return "network namespaces take root rights"
    try:
        made = subprocess.run(
            ["unshare", "--net", "ip", "link", "add", "type", "veth"], capture_output=True, check=False
        )
    except FileNotFoundError as error:
        return f"{error.filename} is not installed (util-linux, iproute2)"
    return (
        "" if made.returncode == 0 else f"no network namespace with a link can be made: {made.stderr.decode().strip()}"
    )


@contextlib.contextmanager
def process(command, log, **options):
    """Run a process for as long as a block lasts, and its children."""
    with log.open("a") as file:
        started = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)
    try:
        yield started
    finally:
        if started.poll() is None:
            family = psutil.Process(started.pid).children(recursive=True)
            # a nanny that is killed starts no worker anew
            started.kill()
            for child in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        started.wait()


def scheduler_command(host, port):
    return [sys.executable, "-m", "dask", "scheduler", "--host", host, "--port", str(port), "--no-dashboard"]


def worker_command(address, folder, *, threads=1):
    words = ["--nworkers", "1", "--nthreads", str(threads), "--no-dashboard", "--memory-limit", "0"]
    return [sys.executable, "-m", "dask", "worker", address, *words, "--local-directory", str(folder)]


def wait_for_workers(folder, count, seconds=90):
    """Wait until so many workers have said in their logs that they are registered."""
    deadline = time.monotonic() + seconds
    while sum("Registered to:" in log.read_text() for log in folder.glob("worker*.log")) < count:
        assert time.monotonic() < deadline, "\n".join(log.read_text() for log in folder.glob("*.log"))
        time.sleep(0.2)


@contextlib.contextmanager
def loopback_cluster(folder):
    """Give the address of a scheduler with one worker on this machine's loopback, and the scheduler's process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    options = {"env": environment(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1"), "cwd": folder}
    with (
        process(scheduler_command("127.0.0.1", port), folder / "scheduler.log", **options) as scheduler,
        process(worker_command(address, folder), folder / "worker1.log", **options),
    ):
        wait_for_workers(folder, 1)
        yield address, scheduler


@dataclass(frozen=True)
class Spread:
    """A scheduler and two workers, each in a network namespace of its own."""

    folder: Path
    head: str
    workers: tuple[str, ...]

    @property
    def address(self):
        return f"tcp://{HEAD}:{PORT}"

    def run(self, command, **more):
        """Run a command beside the scheduler."""
        return subprocess.run(
            ["ip", "netns", "exec", self.head, *command],
            env=environment(**more),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


@contextlib.contextmanager
def spread_cluster(folder):
    """Give a scheduler with two workers that reach each other by a bridge between their namespaces only."""
    prefix = f"iblnm-{os.getpid()}"
    spread = Spread(folder, f"{prefix}-head", (f"{prefix}-one", f"{prefix}-two"))
    with contextlib.ExitStack() as stack:
        for name in (spread.head, *spread.workers):
            _ip("netns", "add", name)
            # links inside go with their namespace
            stack.callback(_ip, "netns", "delete", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", spread.head, "link", "add", "bridge0", "type", "bridge")
        _ip("-n", spread.head, "address", "add", f"{HEAD}/24", "dev", "bridge0")
        _ip("-n", spread.head, "link", "set", "bridge0", "up")
        for number, name in enumerate(spread.workers, 2):
            port = f"port{number}"
            _ip("-n", spread.head, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", spread.head, "link", "set", port, "master", "bridge0", "up")
            _ip("-n", name, "address", "add", f"198.18.0.{number}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
        options = {"env": environment(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1"), "cwd": folder}
        started = [(spread.head, "scheduler.log", scheduler_command(HEAD, PORT))]
        started += [
            (name, f"worker{number}.log", worker_command(spread.address, folder))
            for number, name in enumerate(spread.workers)
        ]
        for name, log, command in started:
            stack.enter_context(process(["ip", "netns", "exec", name, *command], folder / log, **options))
        wait_for_workers(folder, len(spread.workers))
        yield spread


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)
