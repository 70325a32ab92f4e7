"""What goes into the NWB file of one session, as plain arrays and tables. How it is read and written stands elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.cohort.blocking import blocks
from iblnm_core.export.nwb.rig import Rig
from iblnm_core.parameters import Parameters
from iblnm_core.session.fingerprint import InputFile, Provenance
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.session.verdicts import Verdict, error_rows
from iblnm_core.session.wheel import WheelVelocity
from iblnm_core.storage.session_file import Part

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RawBand:
    """The frames under one light, all that were recorded.

    Attributes
    ----------
    name : str
        As in the data.
    wavelength_nm : float
        Not a number when the data do not say, or say several.
    times : ndarray of float64, (n,)
        s, session clock.
    values : ndarray of float64, (n, k)
        One column per fibre, in the order of the fibres.
    """

    name: str
    wavelength_nm: float
    times: Array
    values: Array


@dataclass(frozen=True)
class ExportedFiber:
    """One fibre: a region of interest of the camera's picture.

    Attributes
    ----------
    roi : str
        Column of the extracted signal.
    fiber_idx : int or None
        Place in the catalogue row; None when the fibre could not be matched to it.
    target : str
        Brain region, without side.
    side : str
        `l`, `r`, or empty for the midline and for an unknown side.
    label : str or None
        Target and neuromodulator, such as `VTA-DA`.
    insertion : mapping or None
        Its row of the `fibers` table.
    """

    roi: str
    fiber_idx: int | None
    target: str
    side: str
    label: str | None
    insertion: Mapping[str, Any] | None


@dataclass(frozen=True, eq=False)
class RawPhotometry:
    """The extracted signal of a session, as recorded.

    Attributes
    ----------
    fibers : tuple of ExportedFiber
    bands : tuple of RawBand
        At least one.
    unsynchronised : ndarray of float64, (r, 2)
        First and last frame time of every run of frames outside the synchronised range, s.
    n_other_frames : int
        Frames under no configured light, which are not exported; the first of the recording is not counted.
    unlocated : tuple of str
        Columns without brain region, which are not exported.
    """

    fibers: tuple[ExportedFiber, ...]
    bands: tuple[RawBand, ...]
    unsynchronised: Array
    n_other_frames: int
    unlocated: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Wheel:
    """The wheel of a session.

    Attributes
    ----------
    times, position : ndarray of float64, (n,)
        s, session clock; rad, unwrapped.
    velocity : WheelVelocity
    """

    times: Array
    position: Array
    velocity: WheelVelocity


@dataclass(frozen=True, eq=False)
class Trials:
    """The trials of a session.

    Attributes
    ----------
    alf : DataFrame
        The extracted trial table.
    probability_left : ndarray of float64, (n,), or None
        After repair of the blocks; None for a task without blocks.
    """

    alf: pd.DataFrame
    probability_left: Array | None


@dataclass(frozen=True, eq=False)
class SessionContent:
    """Everything that the NWB file of a session is made of.

    Attributes
    ----------
    row : mapping
        Catalogue row.
    raw : RawPhotometry or None
    corrected : mapping of int to PreprocessedSignal
        By fibre index.
    quality : DataFrame
        One row per fibre and band; may be empty.
    trials : Trials or None
    wheel : Wheel or None
    verdicts : mapping of str to Verdict
        By rule.
    provenance : mapping of str to Provenance
        Of the outputs that the file is made of.
    inputs : sequence of InputFile
        Datasets of the source that were read.
    parameters : Parameters
    preset : str
    notes : sequence of str
        Sentences about what could not be read.
    lost : mapping of str to str
        Outputs of the session that an error stopped, and the class of that error.
    rig : Rig
        What a person says of the rig.
    corrections : mapping of int to Part
        Stored corrections by fibre index, see `session.corrections_layout`.
    """

    row: Mapping[str, Any]
    raw: RawPhotometry | None
    corrected: Mapping[int, PreprocessedSignal]
    quality: pd.DataFrame
    trials: Trials | None
    wheel: Wheel | None
    verdicts: Mapping[str, Verdict]
    provenance: Mapping[str, Provenance]
    inputs: Sequence[InputFile]
    parameters: Parameters
    preset: str
    notes: Sequence[str] = ()
    lost: Mapping[str, str | None] = field(default_factory=dict)
    rig: Rig = field(default_factory=Rig)
    corrections: Mapping[int, Part] = field(default_factory=dict)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """Types of the errors that keep the session out of cohort analyses."""
        errors = error_rows(self.row["eid"], self.verdicts.values())
        return tuple(dict.fromkeys(row["error_type"] for row in errors if blocks(row, self.lost)))
