"""Sizes of responses under other corrections and baselines than the root's own, summed over trials that models cannot tell apart."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from iblnm_core.analyses.trial_cells import TrialCells
from iblnm_core.parameters import Parameters
from iblnm_core.session.corrections_layout import correction_names, trace_of
from iblnm_core.session.regressors import trial_regressors
from iblnm_core.session.responses import Responses, magnitudes, mask_after_next_event, subtract_baseline
from iblnm_core.session.stages import make_responses
from iblnm_core.storage.session_file import Part

Window = tuple[float, float]

BASELINES: tuple[Window | None, ...] = ((-0.1, 0.0), (-0.2, 0.0), None)
"""Baselines of responses that are defensible beside the root's own: start and end, s from the event; None for none."""


def baseline_name(window: Window | None) -> str:
    """Return what a baseline is called."""
    return "none" if window is None else f"{window[0]:g} to {window[1]:g} s"


def response_cells(part: Part, trials: pd.DataFrame, eid: str, parameters: Parameters) -> pd.DataFrame:
    """Return the cells of one fibre under every stored correction but the primary, and under other baselines than the root's own.

    See `docs/methods/sensitivity.md`.

    Parameters
    ----------
    part : Part
        The fibre's corrections, see `corrections_layout`.
    trials : DataFrame
    eid : str
    parameters : Parameters
        The sections `responses`, `magnitudes`, `modelling`, `corrections` and `trials`.

    Returns
    -------
    DataFrame
        Columns of the table `response_cells` but brain_region; nothing for a session without choices.
    """
    if "choice" not in trials:
        return pd.DataFrame()
    fiber_idx = int(part.attributes["fiber_idx"])
    regressors = trial_regressors(trials, None).assign(eid=eid, trial=np.arange(len(trials)))
    variants = list(_variants(part, trials, parameters))
    if not variants:
        return pd.DataFrame()
    # all at once: each variant stands for a fibre of its own
    places = pd.DataFrame({"eid": eid, "fiber_idx": range(len(variants))})
    rows = pd.concat(
        [sizes.assign(eid=eid, fiber_idx=place) for place, (_, _, sizes) in enumerate(variants)], ignore_index=True
    )
    cells = TrialCells.of(rows, regressors, [places], [parameters.modelling]).cells.drop(columns="kind")
    corrections, baselines, _ = zip(*variants, strict=True)
    place = cells["fiber_idx"].to_numpy(np.intp)
    return cells.assign(
        fiber_idx=fiber_idx,
        correction=np.array(corrections, dtype=object)[place],
        baseline=np.array(baselines, dtype=object)[place],
    )


def _variants(part: Part, trials: pd.DataFrame, parameters: Parameters) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield correction, baseline and the sizes of the responses."""
    own, primary = parameters.magnitudes.baseline_window_s, str(part.attributes["primary"])
    known = [name for name in correction_names(part) if part.attributes[f"{name}/status"] == "ok"]
    order = [event for event in parameters.responses.events if event in trials]
    for name in known:
        trace = trace_of(part, name, "z")
        signal = trace.index.to_numpy(), trace.to_numpy()
        for responses in make_responses({0: signal}, trials, parameters).values():
            masked = mask_after_next_event(responses, trials, order)
            if name != primary:
                yield name, baseline_name(own), _sizes(masked, own, parameters.magnitudes.early_window_s)
                continue
            for window in BASELINES:
                if window != own:
                    # a fibre without reference band counts among those of the root's own correction, as it does elsewhere
                    called = parameters.corrections.primary
                    yield called, baseline_name(window), _sizes(masked, window, parameters.magnitudes.early_window_s)


def _sizes(responses: Responses, baseline: Window | None, early_window_s: Window) -> pd.DataFrame:
    """Return sizes of masked responses as rows, with the columns of the table `responses` that models take."""
    own = responses if baseline is None else subtract_baseline(responses, baseline)
    early = magnitudes(own, early_window_s)
    n = len(responses.trials)
    return pd.DataFrame(
        {
            "event": np.repeat(responses.events, n),
            "trial": np.tile(responses.trials, len(responses.events)),
            "response_early": early.ravel(),
        }
    )
