"""Fibres of a session: which they are, what their bands hold, and why no correction can be made of some."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iblnm_core.errors import DegenerateSignal
from iblnm_core.parameters import Parameters
from iblnm_core.session.correcting import BandSamples
from iblnm_core.session.datasets import DATASET_NAMES
from iblnm_core.session.layout import fiber_groups
from iblnm_core.session.photometry import Band, Recording, match_regions
from iblnm_core.session.preprocessing import check_processable


@dataclass(frozen=True)
class Fiber:
    """One recorded fibre: its column in the signal, its place in the catalogue row, its name."""

    column: int
    fiber_idx: int
    region: str


def matched_fibers(recording: Recording, regions: Sequence[str]) -> tuple[Fiber, ...]:
    """Return the fibres of a recording with their places in the catalogue row.

    Parameters
    ----------
    recording : Recording
    regions : sequence of str
        Brain regions of the catalogue row, by fibre index.

    Raises
    ------
    AmbiguousRegionMapping
    """
    # a session without regions in its row still has those of its signal
    named = regions or recording.regions
    matched = match_regions(recording.regions, regions)
    return tuple(Fiber(column, index, named[index]) for column, index in enumerate(matched))


def band_samples(recording: Recording, band: str, fiber: Fiber) -> BandSamples | None:
    """Return times and values of a band of a fibre; None when it was not recorded.

    Parameters
    ----------
    recording : Recording
    band : str
    fiber : Fiber
    """
    if band not in recording.bands:
        return None
    found = recording.bands[band]
    return found.times, np.ascontiguousarray(found.values[:, fiber.column])


def band_problems(
    recording: Recording, fibers: Sequence[Fiber], band: str, parameters: Parameters
) -> dict[int, DegenerateSignal]:
    """Return why a recorded band of a fibre is no signal, by fibre index; nothing of those that are.

    Parameters
    ----------
    recording : Recording
        Cut to the session.
    fibers : sequence of Fiber
    band : str
    parameters : Parameters
    """
    names = fiber_names(fibers)
    problems = {}
    for fiber in fibers:
        samples = band_samples(recording, band, fiber)
        try:
            if samples is not None:
                check_processable(band, *samples, parameters.preprocessing)
        except DegenerateSignal as error:
            message = f"{DATASET_NAMES['signal']}: {names[fiber.fiber_idx]}: {error.message}"
            problems[fiber.fiber_idx] = DegenerateSignal(message, measured=error.measured, threshold=error.threshold)
    return problems


def has_clock(band: Band, parameters: Parameters) -> bool:
    """Whether there are enough times in a band, and they increase: otherwise none of its fibres has a signal.

    Parameters
    ----------
    band : Band
        Cut to the session.
    parameters : Parameters
    """
    try:
        check_processable("clock", band.times, band.times, parameters.preprocessing)
    except DegenerateSignal:
        return False
    return True


def fiber_names(fibers: Sequence[Fiber]) -> dict[int, str]:
    """Return what fibres are called in messages, by index: two in one region have names of their own.

    Parameters
    ----------
    fibers : sequence of Fiber
    """
    return fiber_groups({fiber.fiber_idx: fiber.region for fiber in fibers})
