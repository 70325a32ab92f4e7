"""What the camera makes of a signal: clocks, frames, LED states, counts, and the tables they are stored in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE_HZ = 60.0
"""Frames per second, LEDs interleaved."""
TICK_S = 32e-6
"""Device times are multiples of this."""

BLACK_LEVEL = 1 / 255
"""Counts of a camera without light."""
ALL_LEDS, ISOSBESTIC, GCAMP = 7, 1, 2
UNKNOWN_LED = 1024
"""A state that no table of LED states knows."""
_LEDS = ((1, "Isosbestic", "Violet", 415.0), (2, "GCaMP", "Blue", 470.0), (4, "RCaMP", "Green", 560.0))

_INTERVAL_SD_S = 4e-6
_ODD_SHARE = 0.012
_ODD_TICKS = (-2, -1, 1, 2)
_ORIGIN_S = (500.0, 4000.0)
_DRIFT_PPM = 30.0
_COMPUTER_DRIFT_PPM, _COMPUTER_JITTER_MS, _COMPUTER_ORIGIN_MS = 130.0, 0.24, 3.6e7
_VALID_AFTER_S = 2.0


@dataclass(frozen=True)
class Frames:
    """The frames of a recording; arrays of one entry each.

    Attributes
    ----------
    device_times : ndarray of float64
        s, camera clock.
    times : ndarray of float64
        s, session clock.
    computer_times : ndarray of float64
        ms, clock of the computer.
    led_states : ndarray of int16
    valid : ndarray of bool
        Inside the synchronised range.
    drift_ppm, lead_s, tail_s : float
        Of the session clock against the device; recording before the first and after the last trial.
    """

    device_times: Floats
    times: Floats
    computer_times: Floats
    led_states: NDArray[np.int16]
    valid: NDArray[np.bool_]
    drift_ppm: float
    lead_s: float
    tail_s: float

    def __len__(self) -> int:
        return len(self.times)


def draw_frames(
    rng: np.random.Generator,
    first_trial: float,
    last_trial: float,
    lead_s: tuple[float, float],
    tail_s: tuple[float, float],
) -> Frames:
    """Draw the frames of a session: all LEDs in the first, then 470 and 415 nm in turn.

    Intervals, drifts and jitters are those of published Neurophotometrics recordings.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of the session's frames.
    first_trial, last_trial : float
        Start of the first and end of the last trial, s, session clock.
    lead_s, tail_s : (float, float)
        Range of the recording time before and after.
    """
    lead, tail = rng.uniform(*lead_s), rng.uniform(*tail_s)
    n = int((last_trial + tail - first_trial + lead) * RATE_HZ) + 1
    ticks = np.rint((np.arange(n) / RATE_HZ + rng.normal(0, _INTERVAL_SD_S, n)) / TICK_S).astype(np.int64)
    odd = rng.choice(_ODD_TICKS, n)
    ticks += np.where(rng.random(n) < _ODD_SHARE, odd, 0)
    device_times = (ticks + int(rng.uniform(*_ORIGIN_S) / TICK_S)).astype(np.float64) * TICK_S
    drift_ppm = rng.uniform(-_DRIFT_PPM, _DRIFT_PPM)
    times = (device_times - device_times[0]) * (1 + 1e-6 * drift_ppm) + first_trial - lead
    computer_times = _COMPUTER_ORIGIN_MS + 1000 * device_times * (1 + 1e-6 * _COMPUTER_DRIFT_PPM)
    led_states = np.where(np.arange(n) % 2, GCAMP, ISOSBESTIC).astype(np.int16)
    led_states[0] = ALL_LEDS
    return Frames(
        device_times,
        times,
        computer_times + rng.normal(0, _COMPUTER_JITTER_MS, n),
        led_states,
        (times >= first_trial) & (times <= last_trial + _VALID_AFTER_S),
        float(drift_ppm),
        float(lead),
        float(tail),
    )


def led_label(state: int) -> tuple[str, str, float | None]:
    """Return the name, colour and wavelength (nm) that the extraction writes for an LED state.

    Several LEDs join their names and have no wavelength; an unknown state has none of all three.
    """
    lit = [led for led in _LEDS if state & led[0]]
    if state > ALL_LEDS or not lit:
        return "", "", None
    return "+".join(led[1] for led in lit), "+".join(led[2] for led in lit), lit[0][3] if len(lit) == 1 else None


def raw_table(frames: Frames, counts: Mapping[str, Floats]) -> pa.Table:
    """Return the camera's own table: frame number, clocks, LED state, one column of counts per ROI.

    Parameters
    ----------
    frames : Frames
    counts : mapping of str to ndarray of float64, (n_frames,)
        By ROI.
    """
    return pa.table(
        {
            "FrameCounter": np.arange(len(frames)),
            "SystemTimestamp": frames.device_times,
            "LedState": frames.led_states,
            "ComputerTimestamp": frames.computer_times,
            **counts,
        }
    )


def signal_table(frames: Frames, counts: Mapping[str, Floats]) -> pa.Table:
    """Return the extracted table: counts per ROI, times of the session clock, what the LED state stands for.

    The first frame has no label, as in real extractions.

    Parameters
    ----------
    frames : Frames
    counts : mapping of str to ndarray of float64, (n_frames,)
        By ROI.
    """
    return pa.table(
        {**counts, "times": frames.times, "valid": frames.valid, **label_columns(frames.led_states.astype(np.int64))}
    )


def label_columns(led_states: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return the columns `wavelength`, `name` and `color` of frames, the first of them without label."""
    states, numbers = np.unique(led_states, return_inverse=True)
    labels = [led_label(int(state)) for state in states] + [("", "", None)]
    codes: NDArray[np.int32] = numbers.astype(np.int32)
    codes[0] = len(labels) - 1
    wavelengths = np.array([np.nan if label[2] is None else label[2] for label in labels])
    return {
        "wavelength": pa.array(wavelengths[codes]),
        "name": _texts(codes, [label[0] for label in labels]),
        "color": _texts(codes, [label[1] for label in labels]),
    }


def _texts(codes: NDArray[np.int32], texts: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(texts)).cast(pa.string())
