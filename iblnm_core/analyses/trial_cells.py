"""Trials that models cannot tell apart, counted and summed: all that models of the task need of a million trials. No models here."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import deviation_reward, deviation_side, stimulus_side
from iblnm_core.analyses.frame import known_hemisphere, usable_trials
from iblnm_core.analyses.places import row_places
from iblnm_core.analyses.task_design import event_labels
from iblnm_core.cohort_parameters import ModellingParameters

CELL = ("contrast", "side", "reward")
"""What trials of a cell have in common, beside recording and event."""

_RECORDING = ["eid", "fiber_idx"]
_SUMS = ("n", "total", "squares")


@dataclass(frozen=True, eq=False)
class TrialCells:
    """All trials of some recordings that any of several ways to choose trials uses.

    Attributes
    ----------
    cells : DataFrame
        eid, fiber_idx, event, on_right (whether the stimulus was there), contrast (percent), reward (deviation code), kind (a bit for
        each way that uses the trials), and of the responses n, total, squares (sum of them), lowest, highest.
    ways : tuple of ModellingParameters
        By bit.
    """

    cells: pd.DataFrame
    ways: tuple[ModellingParameters, ...]

    @classmethod
    def of(
        cls,
        responses: pd.DataFrame,
        regressors: pd.DataFrame,
        selections: Iterable[pd.DataFrame],
        ways: Iterable[ModellingParameters],
    ) -> "TrialCells":
        """Count and sum trials.

        Parameters
        ----------
        responses : DataFrame
            Of the `responses` table: eid, fiber_idx, event, trial, response_early.
        regressors : DataFrame
            The `trial_regressors` table.
        selections : iterable of DataFrame
            Recordings, of which a trial must be in any: eid, fiber_idx.
        ways : iterable of ModellingParameters
            How trials are chosen, of which any must use a trial.
        """
        every = tuple(dict.fromkeys(ways))
        recordings = pd.concat([rows[_RECORDING] for rows in selections]).drop_duplicates(ignore_index=True)
        kind = np.sum([usable_trials(regressors, way).astype(np.int64) << bit for bit, way in enumerate(every)], axis=0)
        usable = np.flatnonzero(kind)
        sessions = pd.Index(recordings["eid"].unique())
        recording = row_places(sessions, recordings, "fiber_idx", responses)
        trial = row_places(sessions, regressors.iloc[usable], "trial", responses)
        value = responses["response_early"].to_numpy(np.float64)
        kept = np.flatnonzero((recording >= 0) & (trial >= 0) & np.isfinite(value))
        of_trial, names = _trial_kinds(regressors.iloc[usable].assign(kind=kind[usable]))
        event, events = pd.factorize(event_labels(responses["event"].iloc[kept]), sort=True)
        code, sums = _summed((recording[kept] * len(events) + event) * len(names) + of_trial[trial[kept]], value[kept])
        found = names.iloc[code % len(names)].reset_index(drop=True)
        of_recording = (
            recordings.iloc[code // len(names) // len(events)].reset_index(drop=True)
            if len(code)
            else recordings.head(0)
        )
        labels = np.asarray(events, dtype=object)[code // len(names) % max(len(events), 1)]
        return cls(pd.concat([of_recording, found, sums], axis=1).assign(event=labels), every)

    def under(self, recordings: pd.DataFrame, way: ModellingParameters) -> pd.DataFrame:
        """Return the cells of mice that a selection and a way to choose trials leave.

        Parameters
        ----------
        recordings : DataFrame
            eid, fiber_idx, subject, target_NM, hemisphere.
        way : ModellingParameters
            One of those that trials were counted for.

        Returns
        -------
        DataFrame
            target_NM, event, subject, contrast, side (deviation code; unknown with the hemisphere), reward, n, total, squares, lowest,
            highest.
        """
        used = self.cells[(self.cells["kind"].to_numpy() >> self.ways.index(way)) & 1 == 1]
        hemisphere = known_hemisphere(recordings["hemisphere"], way)
        ends = {
            name: deviation_side(stimulus_side(pd.Series([name] * len(recordings), index=hemisphere.index), hemisphere))
            for name in ("left", "right")
        }
        known = recordings[[*_RECORDING, "subject", "target_NM"]].assign(**ends)
        rows = used.merge(known, on=_RECORDING)
        rows["side"] = rows["right"].where(rows["on_right"], rows["left"])
        key = ["target_NM", "event", "subject", *CELL]
        grouped = rows.groupby(key, sort=True, dropna=False)
        merged = grouped[list(_SUMS)].sum()
        found: pd.DataFrame = merged.assign(lowest=grouped["lowest"].min(), highest=grouped["highest"].max())
        return found.reset_index()


def _trial_kinds(regressors: pd.DataFrame) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Return of each trial which of the kinds of trial it is, and what these are."""
    rewarded = pd.Series(deviation_reward(regressors["feedbackType"]), index=regressors.index)
    described = pd.DataFrame(
        {
            "on_right": (regressors["stim_side"] == "right").to_numpy(),
            "contrast": regressors["contrast"].to_numpy(np.float64),
            # an unknown outcome is none
            "reward": rewarded.where(regressors["feedbackType"].notna()).to_numpy(np.float64),
            "kind": regressors["kind"].to_numpy(),
        }
    )
    groups = described.groupby(list(described), sort=True, dropna=False)
    names = groups.size().index.to_frame(index=False)
    return np.asarray(groups.ngroup(), dtype=np.int64), names


def _summed(codes: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Return the codes that occur, and what their values add up to."""
    found, place = np.unique(codes, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    ordered = values[order]
    sums = {
        "n": np.bincount(place, minlength=len(found)),
        "total": np.bincount(place, values, minlength=len(found)),
        "squares": np.bincount(place, values**2, minlength=len(found)),
        "lowest": np.minimum.reduceat(ordered, starts) if len(found) else ordered,
        "highest": np.maximum.reduceat(ordered, starts) if len(found) else ordered,
    }
    return found.astype(np.int64), pd.DataFrame(sums)
