"""Worker processes of a Dask scheduler, on other machines, as an executor. How tasks are shared out and repeated: `workers`."""

import hashlib
import logging
import pickle
import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from pathlib import Path
from typing import Any

from iblnm_core.errors import MissingDependency, WorkersUnusable
from iblnm_core.session.fingerprint import library_versions

_CONNECT_S = 10.0
_FIRST_WORKER_S = 30.0
"""How long to wait for a worker: when all have died, it takes a while until they are started again."""

_FOUND, _NOT_FOUND = "found", "not found"


def dask_executors(address: str, places: Sequence[Path]) -> Callable[[int], Executor]:
    """Return what makes executors on the workers of a scheduler, for `run_tasks`.

    Parameters
    ----------
    address : str
        Of the scheduler.
    places : sequence of Path
        Files and folders that workers must see as this process does.
    """
    return lambda _workers: connect(address, places)


def connect(address: str, places: Sequence[Path]) -> "DaskExecutor":
    """Return an executor on the workers of a scheduler, after a look at each of them.

    Parameters
    ----------
    address : str
        Of the scheduler.
    places : sequence of Path
        Files and folders that workers must see as this process does.

    Raises
    ------
    MissingDependency
        When the package for it is not installed.
    WorkersUnusable
        When the scheduler cannot be reached or has no worker, or a worker has other versions, does not see the places or
        works on several tasks at a time.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency("run.scheduler takes the package distributed: pip install 'iblnm[scale]'") from error
    # it shows tracebacks of lost connections and results; what follows from them is said here
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except OSError as error:
        raise WorkersUnusable(
            f"no Dask scheduler answers at {address} (run.scheduler of the settings) within {_CONNECT_S:.0f} s: start it, "
            "or take the setting out to compute on this machine"
        ) from error
    try:
        names = [str(place) for place in places]
        _refuse_unfit(client, address, names)
    except BaseException:
        client.close()
        raise
    return DaskExecutor(client, names)


class DaskExecutor(Executor):
    """Runs functions on the workers of a Dask scheduler.

    Parameters
    ----------
    client : distributed.Client
        Ended with this executor.
    places : sequence of str
        Files and folders that workers must see as this process does; one with other `surroundings` refuses to compute.
    """

    def __init__(self, client: Any, places: Sequence[str]) -> None:
        self._client = client
        self._places = list(places)
        self._expected = surroundings(places)
        # the same call twice is two tasks: what a session is made of changes between them
        self._remote = client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Send a call to the scheduler.

        A worker that dies breaks no other task, and Dask repeats what it was at. Only a call that has killed worker after worker
        ends as a call that broke a pool of processes would.
        """
        answer: Future[Any] = Future()
        # bytes, so that Dask looks into nothing and both sides see equal objects
        remote = self._remote.submit(_compute, pickle.dumps((fn, args, kwargs)), self._places, self._expected)
        remote.add_done_callback(partial(_pass_on, answer))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the connection; what is queued is cancelled, unless waited for."""
        if self._client.status == "running":
            self._remote.shutdown(wait=wait and not cancel_futures)
        self._client.close()


def surroundings(places: Sequence[str]) -> dict[str, str]:
    """Return what must be equal where tasks are given and where they are computed.

    Parameters
    ----------
    places : sequence of str
        Files and folders, of which it is said whether they are found here.
    """
    code = {"python": platform.python_version(), **library_versions(), "code of iblnm": _code_digest()}
    return code | {place: _FOUND if Path(place).exists() else _NOT_FOUND for place in places}


@cache
def _code_digest() -> str:
    """Return a hash of all modules of this package: two checkouts may have one version number."""
    digest, package = hashlib.blake2b(digest_size=8), Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    differing = [
        f"{name}: {value} here, {there.get(name)} there" for name, value in here.items() if there.get(name) != value
    ]
    return "; ".join(differing)


def _refuse_unfit(client: Any, address: str, places: Sequence[str]) -> None:
    try:
        client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
    except TimeoutError as error:
        message = f"the Dask scheduler at {address} has no worker: start some with `dask worker --nthreads 1`"
        raise WorkersUnusable(message) from error
    workers, problems = client.scheduler_info()["workers"], []
    for worker, about in workers.items():
        if about["nthreads"] != 1:
            problems.append(f"{worker} works on {about['nthreads']} tasks at a time: start it with --nthreads 1")
    expected = surroundings(places)
    for worker, there in client.run(surroundings, places, on_error="return").items():
        if isinstance(there, BaseException):
            problems.append(f"{worker} cannot import this version of iblnm: {type(there).__name__}: {there}")
        elif differing := _differences(expected, there):
            problems.append(f"{worker} differs: {differing}")
    if problems:
        raise WorkersUnusable(
            f"workers of the Dask scheduler at {address} cannot be used, and nothing was computed there:\n  "
            + "\n  ".join(problems)
        )


def _compute(call: bytes, places: Sequence[str], expected: Mapping[str, str]) -> Any:
    """Run in the worker, which may have come after the others were looked at."""
    from threadpoolctl import threadpool_limits

    differing = _differences(expected, surroundings(places))
    if differing:
        raise WorkersUnusable(f"a worker at {platform.node()} came later and differs: {differing}")
    function, args, kwargs = pickle.loads(call)  # noqa: S301 - bytes of our own client; Dask itself sends calls in this way
    # several numeric threads in several workers fight over few cores
    with threadpool_limits(1):
        return function(*args, **kwargs)


def _pass_on(answer: "Future[Any]", remote: "Future[Any]") -> None:
    """Give the outcome of a remote call to the one who waits for it."""
    from distributed import KilledWorker

    if remote.cancelled():
        answer.set_exception(WorkersUnusable("the connection to the Dask scheduler was lost"))
        return
    error = remote.exception()
    if isinstance(error, KilledWorker):
        answer.set_exception(BrokenProcessPool(str(error)))
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(remote.result())
