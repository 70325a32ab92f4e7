"""The largest memory of a run and of its workers, for benchmarks that go through Dagster."""

import threading

import psutil


class PeakMemory(threading.Thread):
    """The largest resident memory of this process and of any child, MB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.run_mb = self.worker_mb = 0.0
        self._ended = threading.Event()

    def run(self):
        me = psutil.Process()
        while not self._ended.wait(0.2):
            self.run_mb = max(self.run_mb, me.memory_info().rss / 2**20)
            for child in me.children(recursive=True):
                try:
                    self.worker_mb = max(self.worker_mb, child.memory_info().rss / 2**20)
                except psutil.Error:
                    continue

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exception):
        self._ended.set()
        self.join()
