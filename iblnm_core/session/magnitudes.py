"""From the responses of one fibre to one number per event and trial. Arrays only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.parameters import MagnitudeParameters
from iblnm_core.session.responses import Responses, magnitudes, mask_after_next_event, subtract_baseline


def response_magnitudes(
    responses: Responses, trials: pd.DataFrame, events: Sequence[str], parameters: MagnitudeParameters
) -> NDArray[np.float64]:
    """Return the size of every response: masked from the trial's next event on, less its baseline, mean of a window.

    See `docs/methods/responses.md`.

    Parameters
    ----------
    responses : Responses
    trials : DataFrame
        One column per event, s; indexed by trial number.
    events : sequence of str
        Events in the order they have in a trial; those without a column mask nothing.
    parameters : MagnitudeParameters

    Returns
    -------
    ndarray of float64, (e, n)
        z, in the order of the events and trials of the responses; not a number where no sample of the window or of the baseline is left.
    """
    order = [event for event in events if event in trials]
    masked = mask_after_next_event(responses, trials, order)
    return magnitudes(subtract_baseline(masked, parameters.baseline_window_s), parameters.early_window_s)
