"""Stretches and steps of a recording that a person marked: what they are, and where they lie in a session file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from iblnm_core.errors import ConfigurationError
from iblnm_core.storage.session_file import Part, SessionFile

NAME = "exclusions"
"""Of the part, below the recording group of its fibre."""


@dataclass(frozen=True)
class Exclusions:
    """What a person marked in the recording of one fibre; s, session clock.

    Attributes
    ----------
    intervals_s : tuple of (float, float)
        No sample in them is used.
    steps_s : tuple of float
        Where the signal changes its level for good: the baseline is split there.
    """

    intervals_s: tuple[tuple[float, float], ...] = ()
    steps_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for start, end in self.intervals_s:
            if not start < end < math.inf:
                raise ConfigurationError(
                    f"excluded interval from {start:g} s to {end:g} s; expected an end after its start"
                )
        for step in self.steps_s:
            if not math.isfinite(step):
                raise ConfigurationError(f"step at {step:g} s; expected a time")


def exclusions_part(found: Exclusions) -> Part:
    """Return the part of what was marked of one fibre."""
    intervals = np.array(found.intervals_s, np.float64).reshape(-1, 2)
    return Part({"start_s": intervals[:, 0], "end_s": intervals[:, 1], "steps_s": np.array(found.steps_s, np.float64)})


def stored_exclusions(file: SessionFile) -> Mapping[str, Exclusions]:
    """Return what a session file has marked, by recording group."""
    found = {}
    for group in file.regions():
        path = f"photometry/{group}/{NAME}"
        if path in file:
            columns = {
                name: np.asarray(values, np.float64).tolist() for name, values in file.read(path).datasets.items()
            }
            intervals = tuple(zip(columns["start_s"], columns["end_s"], strict=True))
            found[group] = Exclusions(intervals, tuple(columns["steps_s"]))
    return found
