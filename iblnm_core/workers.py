"""Worker processes: many tasks through a pool whose workers never outlive the run, and where a dead one costs one task.

Knows nothing of sessions: a function, tasks, outcomes.
"""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.util
import os
import pickle
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import psutil

T = TypeVar("T")
R = TypeVar("R")

_PRELOADED = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "h5py",
    "scipy.signal",
    "scipy.interpolate",
    "threadpoolctl",
    "iblnm_core.session.pipeline",
)
_TASKS_PER_WORKER = 2
_PARENT_WATCH_S = 0.5
_PR_SET_PDEATHSIG = 1


class WorkerDied(RuntimeError):
    """The process that worked on a task died; run alone, it died again."""


@dataclass(frozen=True)
class TaskOutcome(Generic[T, R]):
    """What became of a task: a result, or the error that it ended with."""

    task: T
    result: R | None = None
    error: BaseException | None = None


def run_tasks(
    function: Callable[[T], R],
    tasks: Iterable[T],
    *,
    workers: int,
    executor_factory: Callable[[int], Executor] | None = None,
) -> Iterator[TaskOutcome[T, R]]:
    """Run a function over tasks in worker processes and yield what became of each as it finishes.

    At most two tasks per worker are in flight, so that an early end loses little. Whatever ends the iteration, an
    exception in the consumer included, also ends the workers at once; they also die with the calling process.

    Parameters
    ----------
    function : callable
        Importable by name.
    tasks : iterable
        Given to the workers in this order.
    workers : int
    executor_factory : callable, optional
        Makes an executor with so many workers; a process pool of our own by default.

    Yields
    ------
    TaskOutcome
    """
    make = executor_factory or process_pool
    waiting = iter(tasks)
    suspects: list[T] = []
    while True:
        broken = False
        with _ended(make(workers)) as executor:
            yield from _run_until_broken(executor, function, waiting, workers * _TASKS_PER_WORKER, suspects)
            broken = bool(suspects)
        if not broken:
            return
        # nobody knows which task killed its worker: each runs alone, and the one that does it again is to blame
        while suspects:
            yield _run_alone(make, function, suspects.pop(0))


def results_of(function: Callable[[T], R], tasks: Iterable[T], *, workers: int) -> Generator[R, None, None]:
    """Yield the result of a function for each task as it finishes; one worker means this very process.

    Closing the generator ends the workers at once.

    Parameters
    ----------
    function : callable
        Importable by name; gives no None.
    tasks : iterable
    workers : int

    Yields
    ------
    object

    Raises
    ------
    BaseException
        What the first task that fails ends with.
    """
    if workers == 1:
        yield from map(function, tasks)
        return
    for outcome in run_tasks(function, tasks, workers=workers):
        if outcome.result is None:
            raise outcome.error or RuntimeError(f"{outcome.task} came to nothing")
        yield outcome.result


def _run_until_broken(
    executor: Executor, function: Callable[[T], R], waiting: Iterator[T], limit: int, suspects: list[T]
) -> Iterator[TaskOutcome[T, R]]:
    """Yield outcomes until the tasks are through or a worker dies; then leave the tasks in flight in `suspects`."""
    flying: dict[Future[bytes], T] = {}
    exhausted = False
    while True:
        while not exhausted and not suspects and len(flying) < limit:
            try:
                task = next(waiting)
            except StopIteration:
                exhausted = True
                break
            try:
                flying[_submit(executor, function, task)] = task
            except BrokenProcessPool:
                suspects.append(task)
        if not flying:
            return
        finished, _ = wait(flying, return_when=FIRST_COMPLETED)
        for future in finished:
            task = flying.pop(future)
            outcome: TaskOutcome[T, R] = _outcome(task, future)
            if isinstance(outcome.error, BrokenProcessPool):
                suspects.append(task)
            else:
                yield outcome


def _run_alone(make: Callable[[int], Executor], function: Callable[[T], R], task: T) -> TaskOutcome[T, R]:
    with _ended(make(1)) as executor:
        outcome: TaskOutcome[T, R] = _outcome(task, _submit(executor, function, task))
    if isinstance(outcome.error, BrokenProcessPool):
        return TaskOutcome(task, error=WorkerDied("the worker process died while it worked on this task, also alone"))
    return outcome


def _submit(executor: Executor, function: Callable[[T], R], task: T) -> "Future[bytes]":
    with _bare_main():
        return executor.submit(_call, function, task)


def _call(function: Callable[[T], R], task: T) -> bytes:
    """Run in the worker: return the result, or the exception, as bytes that surely travel."""
    try:
        answer: tuple[bool, Any] = (True, function(task))
        return pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001 - whatever a task raises is its outcome
        with contextlib.suppress(Exception):
            travelled = pickle.dumps((False, error))
            pickle.loads(travelled)  # noqa: S301 - our own bytes: some exceptions only break on the way back
            return travelled
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _outcome(task: T, future: "Future[bytes]") -> TaskOutcome[T, R]:
    try:
        good, answer = pickle.loads(future.result())  # noqa: S301 - bytes made by `_call` in our own worker
    except Exception as error:  # noqa: BLE001 - a broken pool, or an executor of another kind that failed
        return TaskOutcome(task, error=error)
    return TaskOutcome(task, result=answer) if good else TaskOutcome(task, error=answer)


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of processes forked from a server that has imported what is heavy.

    Workers use one numeric thread each, ignore interrupts, and die with this process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    parent = psutil.Process()
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(parent.pid, parent.create_time())
    )


def _start_worker(parent_pid: int, parent_created: float) -> None:
    from threadpoolctl import threadpool_limits

    # the run decides what an interrupt means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the fork server ends with the run, and its children with it
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent_pid, parent_created), daemon=True).start()
    # several numeric threads in several workers fight over few cores
    threadpool_limits(1)


def _watch(parent_pid: int, parent_created: float) -> None:
    """End this worker when the process that started the run is gone."""
    while True:
        try:
            alive = psutil.Process(parent_pid).create_time() == parent_created
        except psutil.Error:
            alive = False
        if not alive:
            os._exit(1)
        time.sleep(_PARENT_WATCH_S)


@contextlib.contextmanager
def _ended(executor: Executor) -> Iterator[Executor]:
    """Give an executor and end it with its workers, whatever happens."""
    # nobody closes the iteration of a cancelled run: its process would then wait for its idle workers for ever
    end = multiprocessing.util.Finalize(None, _end, args=(executor,), exitpriority=100)
    try:
        yield executor
    finally:
        end()


def _end(executor: Executor) -> None:
    """End an executor; its workers may be in the middle of something nobody waits for any more."""
    processes = list((getattr(executor, "_processes", None) or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


@contextlib.contextmanager
def _bare_main() -> Iterator[None]:
    """Hide the main module while workers start: they would run its script again, seconds for a Dagster command."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
