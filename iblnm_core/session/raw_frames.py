"""Raw camera frames: their column layouts, LED states, and the faults that can be counted in them. No files here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import (
    BandInversion,
    CorruptDataset,
    DegenerateSignal,
    EarlySamples,
    LedStateGap,
    SessionError,
    UnknownRawLayout,
)
from iblnm_core.parameters import RawQualityParameters

if TYPE_CHECKING:
    import pyarrow as pa

DATASET_NAME = "_neurophotometrics_fpData.raw.pqt"

_LAYOUTS = (
    ("FrameCounter", "Timestamp", "Flags"),
    ("FrameCounter", "Timestamp", "LedState"),
    ("FrameCounter", "SystemTimestamp", "LedState", "ComputerTimestamp"),
)
"""Known column layouts: time is the second column, the LED state the third."""

RAW_COLUMNS: tuple[str, ...] = tuple(dict.fromkeys(name for layout in _LAYOUTS for name in layout))
"""Columns that tell the layouts apart."""

_LED_BITS = ((1, "Isosbestic"), (2, "GCaMP"), (4, "RCaMP"))
_LEDS = 7
# above the LED bits come seven digital lines of the camera; real files have combinations that no table lists
_FIRST_UNKNOWN = 1024


@dataclass(frozen=True)
class RawFrames:
    """Frames without the first one, which has all LEDs on.

    Attributes
    ----------
    times : ndarray of float64, (n,)
        Device clock, s.
    led_states : ndarray of int64, (n,)
    """

    times: NDArray[np.float64]
    led_states: NDArray[np.int64]


@dataclass(frozen=True)
class RawCounts:
    """Faults counted in the raw frames of a session."""

    n_frames: int
    n_early_samples: int
    n_band_inversions: int
    n_gaps: int
    n_gap_frames: int

    @property
    def of_one_led(self) -> bool:
        """Whether all frames were taken under the same LED."""
        return self.n_band_inversions == self.n_frames - 1


def is_known_layout(names: Sequence[str]) -> bool:
    """Whether some column names include those of a known layout."""
    return any(set(names).issuperset(layout) for layout in _LAYOUTS)


def raw_frames_from_table(table: "pa.Table") -> RawFrames:
    """Return frame times and LED states from a raw table of any known layout.

    See `docs/methods/raw_quality.md`.

    Parameters
    ----------
    table : pyarrow.Table
        One row per frame; the first, with all LEDs on, is left out.

    Returns
    -------
    RawFrames

    Raises
    ------
    UnknownRawLayout
        When the columns are of no known layout.
    CorruptDataset
        When times or LED states are missing or no numbers.
    DegenerateSignal
        When there are fewer than three frames.
    """
    names = set(table.column_names)
    for layout in _LAYOUTS:
        if names.issuperset(layout):
            times = _frame_numbers(table, layout[1])
            states = _frame_numbers(table, layout[2]).astype(np.int64)
            if len(times) < 3:
                raise DegenerateSignal(
                    f"{DATASET_NAME}: {table.num_rows} frames; expected at least 4",
                    measured=table.num_rows,
                    threshold=4,
                )
            return RawFrames(times, states)
    known = "; ".join(", ".join(layout) for layout in _LAYOUTS)
    raise UnknownRawLayout(f"{DATASET_NAME}: columns {', '.join(table.column_names)}; known layouts are {known}")


def _frame_numbers(table: "pa.Table", name: str) -> NDArray[np.float64]:
    """Return a column without its first frame; one missing time would make all comparisons with the median false."""
    import pyarrow as pa

    kind = table.schema.field(name).type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise CorruptDataset(f"{DATASET_NAME}: column {name} is {kind}; expected numbers")
    values: NDArray[np.float64] = table.column(name).to_numpy().astype(np.float64)[1:]
    missing = int(np.count_nonzero(~np.isfinite(values)))
    if missing:
        raise CorruptDataset(
            f"{DATASET_NAME}: column {name} is not finite in {missing} of {len(values)} frames; expected a number in each",
            measured=missing,
            threshold=0,
        )
    return values


def known_led_states(states: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each state is a combination of LEDs and digital lines of the camera."""
    return (states >= 0) & (states < _FIRST_UNKNOWN)


def led_names(state: int) -> str:
    """Return the band of an LED state: names joined by `+`, `None` for a dark frame, empty when unknown."""
    if not known_led_states(np.array([state]))[0]:
        return ""
    return "+".join(name for bit, name in _LED_BITS if state & bit) or "None"


def count_raw_faults(frames: RawFrames, parameters: RawQualityParameters) -> RawCounts:
    """Count early frames, consecutive frames under the same LED, and runs of unknown LED state.

    See `docs/methods/raw_quality.md`. Inversions are counted between frames of known state only.
    """
    intervals = np.diff(frames.times)
    early = np.median(intervals) - intervals > parameters.early_sample_tolerance_s
    known = known_led_states(frames.led_states)
    leds = frames.led_states & _LEDS
    inverted = (leds[1:] == leds[:-1]) & known[1:] & known[:-1]
    starts = np.diff(np.concatenate([[False], ~known]).astype(np.int8)) == 1
    return RawCounts(
        n_frames=len(frames.times),
        n_early_samples=int(early.sum()),
        n_band_inversions=int(inverted.sum()),
        n_gaps=int(starts.sum()),
        n_gap_frames=int((~known).sum()),
    )


def check_raw_signal(counts: RawCounts, *, reference_required: bool = True) -> list[SessionError]:
    """Return what is fatally wrong with the raw frames.

    Parameters
    ----------
    counts : RawCounts
    reference_required : bool
        Otherwise frames under one LED throughout are right as well: where nothing alternates, nothing is swapped.
    """
    errors: list[SessionError] = []
    if counts.n_band_inversions and (reference_required or not counts.of_one_led):
        errors.append(BandInversion("band inversions detected", measured=counts.n_band_inversions, threshold=0))
    if counts.n_early_samples:
        errors.append(EarlySamples("early samples detected", measured=counts.n_early_samples, threshold=0))
    return errors


def check_led_states(counts: RawCounts) -> None:
    """Require that every frame has a known LED state.

    Raises
    ------
    LedStateGap
    """
    if counts.n_gaps:
        gaps, frames = ("" if count == 1 else "s" for count in (counts.n_gaps, counts.n_gap_frames))
        raise LedStateGap(
            f"{counts.n_gaps} gap{gaps}, {counts.n_gap_frames} frame{frames} of unknown LED state",
            measured=counts.n_gap_frames,
            threshold=0,
        )
