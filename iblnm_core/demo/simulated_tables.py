"""Tables of a cohort that never was: what analyses of responses read, without the sessions behind it. For benchmarks and tests."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.cca_permutation import stable_seed
from iblnm_core.analyses.coding import stimulus_side
from iblnm_core.analyses.frame import usable_trials
from iblnm_core.analyses.response_vectors import MATRIX_LEVELS, VECTOR_EVENTS, response_vector
from iblnm_core.analyses.time_course_sums import session_course_sums
from iblnm_core.analyses.trial_cells import TrialCells
from iblnm_core.cohort_parameters import ModellingParameters
from iblnm_core.schemas import RECORDINGS, TIME_COURSE_SUMS, TRIAL_REGRESSORS
from iblnm_core.session.responses import Responses

Random = np.random.Generator

TARGETS = ("VTA-DA", "SNc-DA", "DR-5HT", "LC-NE", "NBM-ACh")
# in the order of the table, which is that of their names
EVENTS = ("feedback_times", "firstMovement_times", "stimOn_times")
CONTRASTS = np.array([0.0, 6.25, 12.5, 25.0, 100.0])
CONTRAST_SHARES = np.array([1, 2, 2, 2, 2]) / 9
ACCURACY = np.array([0.5, 0.68, 0.82, 0.92, 0.975])
UNBIASED_TRIALS = 90
BLOCK_LENGTHS = (20, 100)
EARLY_WINDOW_START_S = 0.1
_COURSE_RATE_HZ = 30


class CohortTables(NamedTuple):
    """The collected tables of a cohort.

    Attributes
    ----------
    responses, regressors, recordings : DataFrame
        The tables `responses`, `trial_regressors` and `recordings`.
    """

    responses: pd.DataFrame
    regressors: pd.DataFrame
    recordings: pd.DataFrame


def simulate_tables(
    n_sessions: int = 1000, n_subjects: int = 40, seed: int = 0, mean_trials: int = 650
) -> CohortTables:
    """Return the tables of a cohort with effects of contrast, side, outcome and reaction time; a fifth of the mice have a second fibre.

    Parameters
    ----------
    n_sessions, n_subjects : int
    seed : int
    mean_trials : int
        Of a session; between 250 and 1,100.
    """
    random = np.random.default_rng(seed)
    eids = np.array(sorted(str(uuid.UUID(bytes=random.bytes(16))) for _ in range(n_sessions)), dtype=object)
    subjects = random.permutation(np.arange(n_sessions) % n_subjects)
    lengths = np.clip(random.normal(mean_trials, 150, n_sessions), 250, 1100).astype(int)
    regressors = _trials(random, eids, subjects, lengths)
    recordings, sessions = _recordings(eids, subjects, n_subjects)
    responses = _responses(random, regressors, recordings, sessions, lengths)
    return CohortTables(responses, regressors, recordings)


def _trials(
    random: Random, eids: NDArray[np.object_], subjects: NDArray[np.int64], lengths: NDArray[np.int64]
) -> pd.DataFrame:
    """Return the `trial_regressors` of all sessions."""
    session, size = np.repeat(np.arange(len(eids)), lengths), int(lengths.sum())
    trial = np.arange(size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    left = np.concatenate([_blocks(random, length) for length in lengths])
    on_left = random.random(size) < left
    level = random.choice(len(CONTRASTS), size, p=CONTRAST_SHARES)
    skill = random.normal(0, 0.3, subjects.max() + 1)[subjects][session]
    odds = np.log(ACCURACY / (1 - ACCURACY))[level] + np.where(level > 0, skill, 0)
    correct = random.random(size) < 1 / (1 + np.exp(-odds))
    no_go = random.random(size) < 0.01
    slowness = random.normal(0, 0.2, len(eids))[session]
    reaction = np.exp(np.log(0.3) - 0.1 * level + slowness + 0.5 * random.normal(size=size))
    movement = np.exp(np.log(0.25) + 0.6 * random.normal(size=size))
    reaction[no_go], movement[no_go] = np.nan, np.nan
    # a wheel that was not recorded
    velocity = np.where((random.random(len(eids)) < 0.03)[session], np.nan, random.gamma(4, 1.5, size))
    columns = {
        "eid": eids[session],
        "trial": trial,
        "signed_contrast": np.where(on_left, -1.0, 1.0) * CONTRASTS[level],
        "contrast": CONTRASTS[level],
        "stim_side": np.array(["right", "left"], dtype=object)[on_left.astype(int)],
        "choice": np.where(no_go, 0.0, np.where(on_left == correct, 1.0, -1.0)),
        "feedbackType": np.where(correct & ~no_go, 1.0, -1.0),
        "probabilityLeft": left,
        "reaction_time": reaction,
        "movement_time": movement,
        "response_time": np.where(no_go, 60.0, reaction + movement),
        "peak_velocity": velocity,
    }
    return pd.DataFrame(columns)[TRIAL_REGRESSORS.column_names]


def _blocks(random: Random, length: int) -> NDArray[np.float64]:
    """Return the probability of the left in every trial of a session."""
    sizes = [UNBIASED_TRIALS, *(20 + random.exponential(40, length // BLOCK_LENGTHS[0])).astype(int)]
    lengths = np.minimum(sizes, [UNBIASED_TRIALS] + [BLOCK_LENGTHS[1]] * (len(sizes) - 1))
    first = int(random.integers(2))
    probabilities = np.array([0.2, 0.8])[(first + np.arange(len(lengths))) % 2]
    probabilities[0] = 0.5
    return np.repeat(probabilities, lengths)[:length]


def _recordings(
    eids: NDArray[np.object_], subjects: NDArray[np.int64], n_subjects: int
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return the `recordings`, and the number of each one's session."""
    rows, sessions = [], []
    for session, (eid, subject) in enumerate(zip(eids, subjects, strict=True)):
        for fiber in range(1 + (subject < n_subjects // 5)):
            target = TARGETS[(subject + fiber) % len(TARGETS)]
            rows.append(
                {
                    "eid": eid,
                    "fiber_idx": fiber,
                    "subject": f"mouse_{subject:02d}",
                    "start_time": "2024-01-01T10:00:00",
                    "session_type": "biased",
                    "lab": "lab",
                    "day_n": 0,
                    "session_n": 1.0,
                    "session_length": 3600.0,
                    "brain_region": target.split("-")[0],
                    "hemisphere": "lr"[(subject // len(TARGETS) + fiber) % 2],
                    "target_NM": target,
                }
            )
            sessions.append(session)
    return pd.DataFrame(rows)[RECORDINGS.column_names], np.array(sessions)


def _responses(
    random: Random,
    regressors: pd.DataFrame,
    recordings: pd.DataFrame,
    sessions: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> pd.DataFrame:
    """Return a row per recording, event and trial."""
    n_events, own = len(EVENTS), lengths[sessions]
    starts = (np.cumsum(lengths) - lengths)[sessions]
    recording = np.repeat(np.arange(len(recordings)), own * n_events)
    event = np.repeat(np.tile(np.arange(n_events), len(recordings)), np.repeat(own, n_events))
    block = np.repeat(own, n_events)
    trial = np.arange(len(recording)) - np.repeat(np.cumsum(block) - block, block)
    row = starts[recording] + trial
    size, target = len(recording), pd.Index(TARGETS).get_indexer(pd.Index(recordings["target_NM"]))[recording]
    column = {name: regressors[name].to_numpy()[row] for name in regressors.columns[2:]}
    contra = (column["stim_side"] == "right") == (recordings["hemisphere"].to_numpy() == "l")[recording]
    effect = random.normal(0, 1, (len(TARGETS), n_events, 5))[target, event]
    level = np.searchsorted(CONTRASTS, column["contrast"])
    reward = np.where(column["feedbackType"] > 0, 0.5, -0.5) * (event == EVENTS.index("feedback_times"))
    size_of_response = (
        0.3 * effect[:, 0] + 0.1 * effect[:, 1] * level + 0.2 * effect[:, 2] * np.where(contra, 0.5, -0.5)
    )
    size_of_response += 0.5 * effect[:, 3] * reward
    size_of_response += 0.2 * effect[:, 4] * np.nan_to_num(np.log10(column["reaction_time"]), nan=0.0)
    mouse = pd.factorize(recordings["subject"])[0]
    size_of_response += random.normal(0, 0.3, mouse.max() + 1)[mouse][recording]
    size_of_response += random.normal(0, 0.2, (len(recordings), n_events))[recording, event]
    size_of_response += random.normal(size=size)
    # what comes next leaves no sample of the window
    until_next = np.stack([np.full(size, np.inf), column["movement_time"], column["reaction_time"]])
    unknown = ~(until_next[event, np.arange(size)] > EARLY_WINDOW_START_S) | (random.random(size) < 0.002)
    # slow: neighbours are alike, which is why trials are not shuffled
    drift = np.cumsum(random.normal(0, 0.05, size)) % 2 - 1
    before = drift + random.normal(0, 0.5, size)
    before[random.random(size) < 0.002] = np.nan
    of_recording = {
        name: recordings[name].to_numpy()[recording]
        for name in ("eid", "fiber_idx", "subject", "session_type", "target_NM", "brain_region", "hemisphere")
    }
    names = np.array([target.split("-")[1] for target in recordings["target_NM"]], dtype=object)
    of_trial = {
        name: values
        for name, values in column.items()
        if name not in ("response_time", "movement_time", "peak_velocity")
    }
    return pd.DataFrame(
        {
            **of_recording,
            "NM": names[recording],
            "event": np.array(EVENTS, dtype=object)[event],
            "trial": trial,
            **of_trial,
            "response_early": np.where(unknown, np.nan, size_of_response),
            "pre_event": before,
        },
        copy=False,
    )


def vector_table(tables: CohortTables, blocks: Literal["unbiased", "all"] = "unbiased") -> pd.DataFrame:
    """Return the `response_matrix` table of a cohort.

    Parameters
    ----------
    tables : CohortTables
    blocks : {'unbiased', 'all'}
        Trials that count.
    """
    wanted = tables.responses["event"].isin(VECTOR_EVENTS)
    sizes = tables.responses[wanted].rename(columns={"response_early": "response"})
    of_recording = sizes.groupby(["eid", "fiber_idx"], sort=False).indices
    of_session = tables.regressors.groupby("eid", sort=False).indices
    used = usable_trials(tables.regressors, ModellingParameters(blocks=blocks))
    vectors, keys = [], []
    for recording in tables.recordings.itertuples(index=False):
        own = of_recording.get((recording.eid, recording.fiber_idx))
        rows = of_session.get(recording.eid)
        if own is None or rows is None:
            continue
        trials = tables.regressors.iloc[rows].set_index("trial")
        side = stimulus_side(trials["stim_side"], pd.Series(recording.hemisphere, index=trials.index))
        vectors.append(response_vector(sizes.iloc[own], trials.assign(side=side), used[rows]))
        keys.append((recording.eid, recording.target_NM, recording.fiber_idx))
    identity = pd.DataFrame(keys, columns=list(MATRIX_LEVELS))
    return pd.concat([identity, pd.DataFrame(vectors).reset_index(drop=True)], axis=1)


def trace_table(recordings: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return a `condition_traces` table of noise.

    Parameters
    ----------
    recordings : DataFrame
    seed : int
    """
    conditions = pd.MultiIndex.from_product(
        [EVENTS, CONTRASTS.tolist(), [-1, 1]], names=["event", "contrast", "feedbackType"]
    )
    rows = recordings[["eid", "fiber_idx"]].merge(conditions.to_frame(index=False), how="cross")
    courses = np.random.default_rng(seed).normal(size=(len(rows), 60))
    return rows.assign(n_trials=10, start_s=-1.0, sampling_rate_hz=30.0, response=list(courses))


def course_sum_table(tables: CohortTables, n_times: int = 12, seed: int = 0) -> pd.DataFrame:
    """Return a `time_course_sums` table: the sizes of the responses come up slowly after the event, in noise.

    Parameters
    ----------
    tables : CohortTables
    n_times : int
        Samples of a course, the event in their middle.
    seed : int
    """
    times = np.arange(-(n_times // 2), n_times - n_times // 2) / _COURSE_RATE_HZ
    rising = np.clip(times / times[-1], 0, 1)
    sessions = {str(eid): rows for eid, rows in tables.regressors.sort_values("trial").groupby("eid", sort=False)}
    own = tables.responses.groupby(["eid", "fiber_idx"], sort=True)
    recordings = {(str(eid), int(str(fiber))): rows for (eid, fiber), rows in own}
    frames = []
    for (eid, fiber), rows in recordings.items():
        if eid in sessions:
            trials = sessions[eid].set_index("trial")
            wide = rows.pivot_table(index="event", columns="trial", values="response_early", aggfunc="first")
            sizes = wide.where(np.isfinite(wide)).reindex(columns=trials.index)
            random = np.random.default_rng(stable_seed(seed, (eid, str(fiber))))
            values = sizes.to_numpy()[:, :, None] * rising + random.standard_normal((*sizes.shape, n_times))
            window = float(times[0]), float(times[-1])
            responses = Responses(tuple(sizes.index), times, trials.index.to_numpy(), values, _COURSE_RATE_HZ, window)
            used = usable_trials(trials, ModellingParameters())
            sums = session_course_sums(responses, trials, used)
            if len(sums):
                frames.append(sums.assign(eid=eid, fiber_idx=fiber))
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=TIME_COURSE_SUMS.column_names)
    return table.assign(correction="robust", unit="dff")


def cell_table(
    responses: pd.DataFrame, regressors: pd.DataFrame, factors: Mapping[tuple[str, str], float]
) -> pd.DataFrame:
    """Return the `response_cells` table of a cohort whose responses are so many times as large under other choices.

    Parameters
    ----------
    responses, regressors : DataFrame
        See `CohortTables`.
    factors : mapping of (correction, baseline) to float
    """
    recordings = responses[["eid", "fiber_idx"]].drop_duplicates()
    frames = []
    for (correction, baseline), factor in factors.items():
        varied = responses.assign(response_early=factor * responses["response_early"])
        cells = TrialCells.of(varied, regressors, [recordings], [ModellingParameters()]).cells
        frames.append(cells.drop(columns="kind").assign(correction=correction, baseline=baseline))
    return pd.concat(frames, ignore_index=True)


OTHER_CHOICES: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("reference", "-0.1 to 0 s"): 0.9,
        ("dff_exp", "-0.1 to 0 s"): -1.0,
        ("robust", "-0.2 to 0 s"): 1.1,
        ("robust", "none"): 3.0,
    }
)
"""Corrections and baselines other than those of the preset `default`, and how large responses are under each."""
