"""Parameters of the encoding model."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class EncodingParameters:
    """The signal of one recording as a sum of responses to events and continuous regressors."""

    bin_width_s: float = 0.1
    window_s: tuple[float, float] = (-2.5, 2.5)
    """Lags of a kernel relative to its event, start included, end excluded."""
    blocks: tuple[str, ...] = (
        "stimOn_times|baseline",
        "stimOn_times|side",
        "stimOn_times|contrast",
        "stimOn_times|side:contrast",
        "firstMovement_times|baseline",
        "firstMovement_times|choice",
        "response_times|baseline",
        "response_times|choice",
        "feedback_times|feedbackType=1|baseline",
        "feedback_times|feedbackType=1|contrast",
        "feedback_times|feedbackType=-1|baseline",
        "feedback_times|feedbackType=-1|contrast",
    )
    """Kernels: `event|modulator`, or `event|column=value|modulator` for those trials only. A modulator is `baseline`, a trial variable or a
    product such as `side:contrast`."""
    tonic: tuple[str, ...] = ()
    """Trial columns that hold throughout their trial."""
    contrast_coding: Literal["log", "linear", "rank", "log2"] = "rank"
    contrasts: tuple[float, ...] = (0.0, 6.25, 12.5, 25.0, 100.0)
    """Contrasts of the task, percent; ranks count among these."""
    basis: Literal["fir", "raised_cosine"] = "fir"
    """A kernel is free at every lag, or a sum of bumps that widen from the event to the end of the window."""
    n_bumps: int = 10
    bump_offset_s: float = 0.2
    """The larger, the more even are the widths of the bumps."""
    longest_bridged_gap_s: float = 0.5
    """Continuous regressors are interpolated across gaps no longer than this; in longer ones they are unknown."""
    n_folds: int = 5
    """At least 3."""
    penalty_range: tuple[float, float] = (1e-3, 1e3)
    n_penalties: int = 10
    """From the smallest to the largest in equal ratios."""

    @property
    def penalties(self) -> tuple[float, ...]:
        """Penalties of the ridge to choose from, increasing."""
        smallest, largest = self.penalty_range
        steps = np.linspace(0, 1, self.n_penalties)
        return tuple((smallest * (largest / smallest) ** steps).tolist())
