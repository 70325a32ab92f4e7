"""How sessions are broken on purpose: small changes to a session's content. What must follow stands in `plants`."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from iblnm_core.demo import files
from iblnm_core.demo.camera import ALL_LEDS, BLACK_LEVEL, TICK_S, UNKNOWN_LED, led_label
from iblnm_core.demo.files import SessionContent, serialised
from iblnm_core.errors import ConfigurationError
from iblnm_core.vocabulary import split_region

Change = Callable[[SessionContent], None]

TRIAL_FILES: tuple[str, ...] = (files.TRIALS, *files.TRIAL_ATTRIBUTES)

_KEPT_SHARE = 0.6
_FEW_TRIALS = 60
_EVERY = 6
_FIRST_NAN, _N_NAN = 10_001, 37
_N_GAP_FRAMES = 10
_SECOND_GAP_AFTER, _N_SECOND_GAP_FRAMES = 601, 3
_LEVELS = (0.2, 0.5, 0.8)
_SHORT_BLOCK = slice(45, 49)
_BIASED_TRIALS = slice(50, 60)
_CAMERA_RUNS_ON_S, _CAMERA_RATE_HZ = 180.0, 60.0
_EARLY_TICKS = 63  # 2 ms
_ENDS_BEFORE_S = 60.0


def without(*paths: str) -> Change:
    """Return the change that leaves datasets out."""

    def change(content: SessionContent) -> None:
        for path in paths:
            del content.datasets[path]

    return change


def truncated(path: str) -> Change:
    """Return the change that cuts a dataset's file off in the middle."""

    def change(content: SessionContent) -> None:
        whole = serialised(path, content.datasets[path])
        content.datasets[path] = whole[: int(_KEPT_SHARE * len(whole))]

    return change


def second_collection(content: SessionContent) -> None:
    """Put the trials into a second behaviour collection too."""
    for path in TRIAL_FILES:
        content.datasets[path.replace("task_00", "task_01")] = content.datasets[path]


def few_trials(content: SessionContent) -> None:
    """Keep so few trials that no analysis can use them."""
    content.datasets[files.TRIALS] = content.table(files.TRIALS).slice(0, _FEW_TRIALS)
    for path in files.TRIAL_ATTRIBUTES:
        content.datasets[path] = np.asarray(content.datasets[path])[:_FEW_TRIALS]
    lines = str(content.datasets[files.RAW_TASK]).splitlines(keepends=True)
    content.datasets[files.RAW_TASK] = "".join(lines[:_FEW_TRIALS])


def incomplete_events(content: SessionContent) -> None:
    """Lose every sixth feedback time."""
    _edit(content, files.TRIALS, "feedback_times", slice(_EVERY - 1, None, _EVERY), np.nan)


def unknown_last_end(content: SessionContent) -> None:
    """Lose the end of the last trial."""
    _edit(content, files.TRIALS, "intervals_1", slice(-1, None), np.nan)


def signal_with_nan(content: SessionContent) -> None:
    """Put values that are not numbers into the first ROI of the extracted signal."""
    _edit(content, files.SIGNAL, "G0", slice(_FIRST_NAN, _FIRST_NAN + _N_NAN), np.nan)


def signal_as_float32(content: SessionContent) -> None:
    """Store the first ROI of the extracted signal with single precision."""
    table = content.table(files.SIGNAL)
    column = table.column("G0").cast(pa.float32(), safe=False)
    content.datasets[files.SIGNAL] = table.set_column(table.column_names.index("G0"), "G0", column)


def unknown_layout(content: SessionContent) -> None:
    """Rename the column of LED states in the raw frames."""
    table = content.table(files.RAW_FRAMES)
    names = ["LedStatus" if name == "LedState" else name for name in table.column_names]
    content.datasets[files.RAW_FRAMES] = table.rename_columns(names)


def led_gap(content: SessionContent) -> None:
    """Forget the LED state of ten frames in the middle."""
    _relabel(content, slice(_middle(content), _middle(content) + _N_GAP_FRAMES), UNKNOWN_LED)


def led_gaps(content: SessionContent) -> None:
    """Forget the LED state of ten frames in the middle, and of three a little later."""
    led_gap(content)
    later = _middle(content) + _SECOND_GAP_AFTER
    _relabel(content, slice(later, later + _N_SECOND_GAP_FRAMES), UNKNOWN_LED)


def few_levels(content: SessionContent) -> None:
    """Let the camera resolve three levels of each ROI under each LED only."""

    def coarse(counts: NDArray[np.float64], under: NDArray[np.int64]) -> NDArray[np.float64]:
        rounded = counts.copy()
        for state in np.unique(under):
            of_band = counts[under == state]
            levels = np.quantile(of_band, _LEVELS)
            rounded[under == state] = levels[np.abs(of_band[:, None] - levels).argmin(axis=1)]
        return rounded

    _recount(content, coarse)


def dead_channel(content: SessionContent) -> None:
    """Let every ROI stay at the camera's black level."""
    _recount(content, lambda counts, _under: np.full(len(counts), BLACK_LEVEL))


def short_block(content: SessionContent) -> None:
    """Give four trials inside the second block the other block's probability."""
    probabilities = _values(content.table(files.TRIALS), "probabilityLeft")[_SHORT_BLOCK]
    _edit(content, files.TRIALS, "probabilityLeft", _SHORT_BLOCK, np.where(probabilities < 0.5, 0.8, 0.2))


def short_block_without_plan(content: SessionContent) -> None:
    """Do the same, and lose the task's plan of its blocks."""
    short_block(content)
    settings: Any = content.datasets[files.RAW_SETTINGS]
    for name in ("LEN_BLOCKS", "POSITIONS", "BLOCK_PROBABILITY_SET"):
        del settings[name]
    content.details["json"] = {}


def biased_training(content: SessionContent) -> None:
    """Give ten trials of a training session the probability of a biased block."""
    _edit(content, files.TRIALS, "probabilityLeft", _BIASED_TRIALS, 0.8)


def stray_frame(content: SessionContent) -> None:
    """Light all LEDs for one frame in the middle."""
    _relabel(content, slice(_middle(content), _middle(content) + 1), ALL_LEDS)


def dropped_frame(content: SessionContent) -> None:
    """Lose one frame in the middle, so that two frames under the same LED follow each other."""
    kept = np.arange(content.table(files.RAW_FRAMES).num_rows) != _middle(content)
    for path in (files.RAW_FRAMES, files.SIGNAL):
        content.datasets[path] = content.table(path).filter(pa.array(kept))


def early_frame(content: SessionContent) -> None:
    """Let one frame in the middle come 2 ms early, on all clocks."""
    early_s = _EARLY_TICKS * TICK_S
    row = slice(_middle(content), _middle(content) + 1)
    for path, column, shift in (
        (files.RAW_FRAMES, "SystemTimestamp", early_s),
        (files.RAW_FRAMES, "ComputerTimestamp", 1000 * early_s),
        (files.SIGNAL, "times", early_s),
    ):
        _edit(content, path, column, row, _values(content.table(path), column)[row] - shift)


def short_recording(content: SessionContent) -> None:
    """End the photometry a minute before the last trial."""
    last = _values(content.table(files.TRIALS), "intervals_0")[-1]
    n = int(np.searchsorted(_values(content.table(files.SIGNAL), "times"), last - _ENDS_BEFORE_S))
    for path in (files.RAW_FRAMES, files.SIGNAL):
        content.datasets[path] = content.table(path).slice(0, n)


def region_elsewhere(content: SessionContent) -> None:
    """Say of the first ROI that it lies in a region where the session has no fibre."""
    _locate(content, ["PPT", *_regions(content)[1:]])


def region_without_side(content: SessionContent) -> None:
    """Leave the hemispheres out of the locations of two fibres in one region.

    Raises
    ------
    ConfigurationError
        When the session does not have two such fibres.
    """
    bare = [split_region(region)[0] for region in _regions(content)]
    if len(bare) < 2 or len(set(bare)) > 1:
        raise ConfigurationError(f"session with fibres in {_regions(content)}; expected two in one region")
    _locate(content, bare)


def one_region_twice(content: SessionContent) -> None:
    """Give two fibres the same region without hemisphere, in description and locations.

    Raises
    ------
    ConfigurationError
        When the session has fewer than two fibres.
    """
    regions = _regions(content)
    if len(regions) < 2:
        raise ConfigurationError(f"session with fibres in {regions}; expected two fibres")
    _rename_fibers(content, [split_region(regions[0])[0]] * len(regions))


def blank_region(content: SessionContent) -> None:
    """Leave the region of the last fibre blank in the description; the locations know it."""
    description: Any = content.datasets[files.DESCRIPTION]
    list(description["devices"]["neurophotometrics"]["fibers"].values())[-1]["location"] = ""


def other_hemisphere(content: SessionContent) -> None:
    """Record the fibres as on the other side than they were implanted on."""
    other = {"l": "-r", "r": "-l", "": ""}
    _rename_fibers(content, [bare + other[side] for bare, side in map(split_region, _regions(content))])


def no_hemisphere(content: SessionContent) -> None:
    """Leave out the hemispheres, in description and locations."""
    _rename_fibers(content, [split_region(region)[0] for region in _regions(content)])


def other_target(content: SessionContent) -> None:
    """Record the fibres as in a region that is no target of the project."""
    _rename_fibers(content, ["VP" for _ in _regions(content)])


def strange_protocol(content: SessionContent) -> None:
    """Name a task protocol that is of no session type, and lose the end of the session."""
    content.details["task_protocol"] = "_iblrig_tasks_cuedBiasedChoiceWorld8.25.0"
    content.details["end_time"] = None


def across_midnight(content: SessionContent) -> None:
    """Let the session begin five minutes before midnight and last eight minutes."""
    day = str(content.details["start_time"])[:10]
    start = dt.datetime.fromisoformat(f"{day}T23:55:00")
    content.details["start_time"] = start.isoformat()
    content.details["end_time"] = (start + dt.timedelta(minutes=8)).isoformat()


def bad_video(content: SessionContent) -> None:
    """Let the camera run on for three minutes, and quality control find fault with everything about it."""
    times = np.asarray(content.datasets[files.CAMERA_TIMES], np.float64)
    more = times[-1] + np.arange(1, round(_CAMERA_RUNS_ON_S * _CAMERA_RATE_HZ) + 1) / _CAMERA_RATE_HZ
    content.datasets[files.CAMERA_TIMES] = np.concatenate([times, more])
    content.details["extended_qc"] |= {
        "_videoLeft_timestamps": False,
        "_videoLeft_dropped_frames": [30, 12, 3],
        "_videoLeft_pin_state": [50, 9, 2],
        "_videoLeft_brightness": [],
        "_videoLeft_focus": {"value": 3},
    }


def nothing(_content: SessionContent) -> None:
    """Leave the session sound: what is wrong with it stands beside it."""


def not_ascii(content: SessionContent) -> None:
    """Use letters beyond ASCII wherever people write."""
    content.details["users"] = ["Zoë Müller", "José Ñandú"]
    content.details["narrative"] = "Fibre très fragile, à vérifier — größer als üblich"
    table = content.table(files.LOCATIONS)
    names = pa.array([f"fibre-été — {region}" for region in _regions(content)])
    content.datasets[files.LOCATIONS] = table.set_column(table.column_names.index("fiber"), "fiber", names)


def _middle(content: SessionContent) -> int:
    return int(content.table(files.RAW_FRAMES).num_rows) // 2


def _values(table: pa.Table, column: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table.column(column).to_numpy()
    return values


def _edit(content: SessionContent, path: str, column: str, rows: slice, value: float | NDArray[np.float64]) -> None:
    """Replace some values of a numeric column."""
    table = content.table(path)
    values = _values(table, column).copy()
    values[rows] = value
    content.datasets[path] = table.set_column(table.column_names.index(column), column, pa.array(values))


def _relabel(content: SessionContent, rows: slice, state: int) -> None:
    """Give frames another LED state, in the raw frames and in what was extracted from them."""
    table = content.table(files.RAW_FRAMES)
    states = table.column("LedState").to_numpy().copy()
    states[rows] = state
    content.datasets[files.RAW_FRAMES] = table.set_column(
        table.column_names.index("LedState"), "LedState", pa.array(states)
    )
    name, color, _ = led_label(state)
    _edit(content, files.SIGNAL, "wavelength", rows, np.nan)
    for column, text in (("name", name), ("color", color)):
        signal = content.table(files.SIGNAL)
        mask = np.zeros(signal.num_rows, bool)
        mask[rows] = True
        texts = pc.if_else(pa.array(mask), text, signal.column(column))
        content.datasets[files.SIGNAL] = signal.set_column(signal.column_names.index(column), column, texts)


def _regions(content: SessionContent) -> list[str]:
    regions: list[str] = content.table(files.LOCATIONS).column("brain_region").to_pylist()
    return regions


def _rename_fibers(content: SessionContent, regions: Sequence[str]) -> None:
    """Give the fibres other regions, in description and locations."""
    _locate(content, regions)
    description: Any = content.datasets[files.DESCRIPTION]
    for fiber, region in zip(description["devices"]["neurophotometrics"]["fibers"].values(), regions, strict=True):
        fiber["location"] = region


def _recount(
    content: SessionContent, change: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]
) -> None:
    """Replace the counts of every ROI, in the raw frames and in what was extracted; the first frame stays as it is."""
    under = content.table(files.RAW_FRAMES).column("LedState").to_numpy().astype(np.int64)[1:]
    for roi in content.table(files.LOCATIONS).column("ROI").to_pylist():
        counts = change(_values(content.table(files.RAW_FRAMES), roi)[1:], under)
        for path in (files.RAW_FRAMES, files.SIGNAL):
            _edit(content, path, roi, slice(1, None), counts)


def _locate(content: SessionContent, regions: Sequence[str]) -> None:
    """Give the ROIs other regions in the locations table."""
    table = content.table(files.LOCATIONS)
    place = table.column_names.index("brain_region")
    content.datasets[files.LOCATIONS] = table.set_column(place, "brain_region", pa.array(list(regions)))
