"""Small tasks for the worker pool; importable by workers."""

import os
import signal
import time


class CannotTravel(Exception):
    """An exception that breaks on its way back: it cannot be made again from its arguments."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def double(task):
    return 2 * task


def sleep_and_return(task):
    time.sleep(0.05)
    return task


def sleep_long(task):
    time.sleep(600)
    return task


def die_on_three(task):
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if task == 5:
        os._exit(7)
    return task


def fail_in_every_way(task):
    if task == 0:
        raise ValueError("plain")
    if task == 1:
        raise CannotTravel("one", "two")
    if task == 2:
        return lambda: None
    return task


def process_and_threads(_task):
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((200, 200)) @ np.ones((200, 200))
    return os.getpid(), [pool["num_threads"] for pool in threadpool_info()]
