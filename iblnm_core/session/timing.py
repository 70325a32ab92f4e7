"""Wall time of the steps of one session."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StepTimes(dict[str, float]):
    """Seconds by step; a step that is taken twice adds up."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a block; blocks must not be nested, as each second belongs to one step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - started
