"""Planted against recovered, what single recordings code: coefficients of the task, and kernels of the encoding model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from iblnm_core.analyses.encoding_summary import over_mice
from iblnm_core.analyses.outcomes import Status
from iblnm_core.analyses.session_glm import session_glm
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.planted_kernels import DemoRecording, demo_recordings, kernel_of, planted_gain, planted_kernel
from iblnm_core.demo.recovery_cca import cca_statistics, recover_cca
from iblnm_core.demo.recovery_models import CODING, LEVELS, PLANTED_ROWS, planted_effects
from iblnm_core.demo.statistic import LEAST_P, Statistic, joint_p_value, listed
from iblnm_core.encoding.model import EncodingModel
from iblnm_core.encoding.terms import event_values, kernel_name
from iblnm_core.parameters import PRESETS
from iblnm_core.workers import results_of

_EVENTS = ("stimOn", "feedback")
_LEAST_RIGHT = 0.95
_PARAMETERS = PRESETS["default"].encoding
_STIMULUS, _REWARD = "stimulus", "reward"
_BASELINE = "stimOn_times|baseline"
_CORRECT, _WRONG = (f"feedback_times|feedbackType={outcome}|baseline" for outcome in ("1", "-1"))
_LEAST_CORRELATION = 0.95
_LARGEST_ERROR_Z = 0.3
"""Three standard deviations of what the states of six sessions add to the effect of reward in their mean."""
_LARGE_Z = 0.5
"""Predictors that are planted to move the signal as much must add to the prediction; noise may hide smaller ones."""
_MIDDLE_Z = 0.25
_TIMES_LARGER = 3
_MOST_ADDED_BY_NOTHING = 1e-3


@dataclass(frozen=True)
class EncodingRecovered:
    """What the models of single recordings, and what goes with behaviour, find of what was planted.

    Attributes
    ----------
    coefficients : DataFrame
        One row per recording, event and term that gains are made of: the coefficient table, and `planted` (by target).
    n_not_fitted : int
        Recordings and events whose trials do not determine the model.
    kernels : DataFrame
        Mean over mice: target_NM, kernel (stimulus or reward), lag_s, mean, and `shape` and `gain`, which are planted.
    delta_r2 : DataFrame
        Mean over mice: target_NM, block, mean, and `size`, the standard deviation of what is planted, z.
    cca : DataFrame
        See `recovery_cca.recover_cca`.
    """

    coefficients: pd.DataFrame
    n_not_fitted: int
    kernels: pd.DataFrame
    delta_r2: pd.DataFrame
    cca: pd.DataFrame


def recover_encoding(
    frame: pd.DataFrame, recordings: pd.DataFrame, plans: Sequence[SessionPlan], seed: int, *, workers: int = 1
) -> EncodingRecovered:
    """Fit models to single recordings, and correlate simulated cohorts with their behaviour.

    Parameters
    ----------
    frame, recordings : DataFrame
        See `recovery_models.recover_effects`.
    plans : sequence of SessionPlan
        Sessions for the encoding model, long ones.
    seed : int
        Of everything that is simulated.
    workers : int
    """
    coefficients, n_not_fitted = recover_coefficients(frame, recordings)
    kernels, delta_r2 = recover_kernels(plans, seed, workers=workers)
    return EncodingRecovered(coefficients, n_not_fitted, kernels, delta_r2, recover_cca(seed))


def recover_coefficients(frame: pd.DataFrame, recordings: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Fit the model of the task to every recording.

    Parameters
    ----------
    frame, recordings : DataFrame
        See `recovery_models.recover_effects`.

    Returns
    -------
    coefficients : DataFrame
    n_not_fitted : int
        See `EncodingRecovered`.
    """
    found = session_glm(frame, recordings, CODING, LEVELS, events=_EVENTS)
    terms = pd.DataFrame(PLANTED_ROWS, columns=["event", "term", "title"])
    planted = planted_effects(frame, recordings).merge(terms, on=["event", "term"])
    coefficients = found.coefficients.merge(planted, on=["target_NM", "event", "term"])
    return coefficients, int((found.outcomes["status"] != Status.OK).sum())


def recover_kernels(plans: Sequence[SessionPlan], seed: int, *, workers: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit the encoding model of the preset `default` to every fibre of sessions.

    Parameters
    ----------
    plans : sequence of SessionPlan
    seed : int
        Of the cohort.
    workers : int

    Returns
    -------
    kernels, delta_r2 : DataFrame
        See `EncodingRecovered`.
    """
    found = dict(results_of(partial(_fit_session, seed), plans, workers=workers))
    ordered = [found[key] for key in sorted(found)]
    kernels, added = (pd.concat(tables, ignore_index=True) for tables in zip(*ordered, strict=True))
    keys = ["kernel", "lag_s"]
    of_target = kernels[["target_NM", *keys, "shape", "gain"]].drop_duplicates(["target_NM", *keys])
    sizes = added.groupby(["target_NM", "block"])["size"].mean().reset_index()
    return (
        over_mice(kernels, keys, "coef").merge(of_target, on=["target_NM", *keys]),
        over_mice(added, ["block"], "delta_r2").merge(sizes, on=["target_NM", "block"]),
    )


def _fit_session(seed: int, plan: SessionPlan) -> tuple[str, tuple[pd.DataFrame, pd.DataFrame]]:
    kernels, added = [], []
    for recording in demo_recordings(plan, seed):
        model = recording.fit(_PARAMETERS)
        of_recording = {"target_NM": recording.target.label, "subject": plan.subject.name}
        kernels.append(_kernels(recording, model).assign(**of_recording))
        sizes = [_size(recording, block) for block in model.delta_r2["block"]]
        added.append(model.delta_r2.assign(size=sizes, **of_recording))
    return str(plan.key), (pd.concat(kernels), pd.concat(added))


def _kernels(recording: DemoRecording, model: EncodingModel) -> pd.DataFrame:
    """Return the kernel of the stimulus, and how much larger that of feedback is in correct trials than in wrong ones."""
    (lags, stimulus), (_, correct), (_, wrong) = (kernel_of(model, name) for name in (_BASELINE, _CORRECT, _WRONG))
    found = {
        _STIMULUS: (stimulus, planted_gain(recording.target, _BASELINE)),
        _REWARD: (correct - wrong, planted_gain(recording.target, "feedback_times|reward")),
    }
    shape = planted_kernel(recording.target, lags, _PARAMETERS.bin_width_s)
    tables = [
        pd.DataFrame({"kernel": name, "lag_s": lags, "coef": values, "shape": shape, "gain": gain})
        for name, (values, gain) in found.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _size(recording: DemoRecording, block: str) -> float:
    """Return the root mean square over trials of what a predictor is planted to add to a response, z."""
    if "|" not in block:
        return 0.0
    values = event_values(recording.trials, kernel_name(block), recording.hemisphere, _PARAMETERS)
    return abs(planted_gain(recording.target, block)) * float(np.sqrt(np.mean(np.nan_to_num(values) ** 2)))


def encoding_statistics(recovered: EncodingRecovered) -> dict[str, list[Statistic]]:
    """Return the comparisons, by the table of the page that they stand in.

    Parameters
    ----------
    recovered : EncodingRecovered
    """
    coefficients = recovered.coefficients
    return {
        "coefficients": [
            *(_mean_coefficient(coefficients[coefficients["title"] == title], title) for _, _, title in PLANTED_ROWS),
            _right_sign(coefficients),
            _not_fitted(coefficients, recovered.n_not_fitted),
        ],
        "kernels": [
            *(_shape(recovered.kernels, name) for name in _TITLES),
            *_sizes(recovered.kernels),
            *_added(recovered.delta_r2),
        ],
        "cca": cca_statistics(recovered.cca),
    }


def _mean_coefficient(rows: pd.DataFrame, title: str) -> Statistic:
    means = rows.groupby("target_NM").agg(
        mean=("coef", "mean"), sem=("coef", "sem"), planted=("planted", "first"), size=("coef", "size")
    )
    means = means.reset_index()
    p_value = joint_p_value((means["mean"] - means["planted"]) / means["sem"])
    return Statistic(
        f"mean coefficient of recordings: {title}",
        listed(means, "planted"),
        f"{listed(means, 'mean')}; SE {means['sem'].mean():.3f}; p = {p_value:.3f}; {means['size'].sum()} recordings",
        f"jointly p at least {LEAST_P}",
        p_value >= LEAST_P,
    )


def _right_sign(coefficients: pd.DataFrame) -> Statistic:
    of_reward = coefficients[(coefficients["event"] == "feedback") & (coefficients["term"] == "reward")]
    right = np.sign(of_reward["coef"]) == np.sign(of_reward["planted"])
    shares = (100 * right.groupby(of_reward["target_NM"]).mean()).rename("share").reset_index()
    share = float(shares.set_index("target_NM")["share"]["VTA-DA"])
    return Statistic(
        "recordings of VTA whose coefficient of reward, feedback, has the right sign",
        "+",
        f"{share:.0f} %; of each target: {listed(shares, 'share', 0)} %",
        f"at least {100 * _LEAST_RIGHT:.0f} % in VTA",
        share >= 100 * _LEAST_RIGHT,
    )


def _not_fitted(coefficients: pd.DataFrame, n_not_fitted: int) -> Statistic:
    n_fitted = len(coefficients.drop_duplicates(["eid", "fiber_idx", "event"]))
    return Statistic(
        "recordings and events whose trials do not determine the model",
        "none",
        f"{n_not_fitted} of {n_fitted + n_not_fitted}",
        "reported: few wrong choices in so short a block",
        holds=True,
    )


_TITLES = {
    _STIMULUS: "kernel of the stimulus, mean over mice, shape",
    _REWARD: "kernel of reward at feedback, mean over mice, shape",
}


def _shape(kernels: pd.DataFrame, name: str) -> Statistic:
    rows = kernels[kernels["kernel"] == name]
    found = [
        {"target_NM": target, "r": np.sign(of["gain"].iloc[0]) * np.corrcoef(of["mean"], of["shape"])[0, 1]}
        for target, of in rows.groupby("target_NM")
    ]
    table = pd.DataFrame(found)
    return Statistic(
        _TITLES[name],
        "a response with the sign of its gain",
        f"r = {listed(table, 'r', 3)}",
        f"each r at least {_LEAST_CORRELATION}",
        bool((table["r"] >= _LEAST_CORRELATION).all()),
    )


def _sizes(kernels: pd.DataFrame) -> list[Statistic]:
    """Compare sizes in units of the planted shape."""
    products = kernels.assign(xy=kernels["mean"] * kernels["shape"], xx=kernels["shape"] ** 2)
    sums = products.groupby(["kernel", "target_NM"]).agg(xy=("xy", "sum"), xx=("xx", "sum"), gain=("gain", "first"))
    table = sums.assign(size=sums["xy"] / sums["xx"]).reset_index()
    stimulus, reward = (table[table["kernel"] == name] for name in (_STIMULUS, _REWARD))
    return [
        Statistic(
            "kernel of reward at feedback, size",
            listed(reward, "gain"),
            listed(reward, "size"),
            f"each within {_LARGEST_ERROR_Z}, as the states of sessions change it",
            bool(((reward["size"] - reward["gain"]).abs() <= _LARGEST_ERROR_Z).all()),
        ),
        Statistic(
            "kernel of the stimulus, size",
            listed(stimulus, "gain"),
            listed(stimulus, "size"),
            "reported: movements follow the stimulus at once",
            holds=True,
        ),
    ]


def _added(delta_r2: pd.DataFrame) -> list[Statistic]:
    added = delta_r2.assign(r2=1e3 * delta_r2["mean"], magnitude=1e3 * delta_r2["mean"].abs())
    large, nothing = added[added["size"] >= _LARGE_Z], added[added["size"] == 0]
    smaller = added[(added["size"] > 0) & (added["size"] < _LARGE_Z)]
    middle = smaller[smaller["size"] >= _MIDDLE_Z]
    least = large.groupby("target_NM")["r2"].min().rename("least").reset_index()
    most = nothing.groupby("target_NM").agg(most=("r2", "max"), magnitude=("magnitude", "max")).reset_index()
    both = least.merge(most, on="target_NM")
    limit = 1e3 * _MOST_ADDED_BY_NOTHING
    return [
        Statistic(
            f"ΔR² of predictors planted with {_LARGE_Z} z or more, in thousandths",
            f"more than {_TIMES_LARGER} times that of predictors not planted",
            f"smallest {listed(both, 'least', 1)}; largest magnitude of one not planted {listed(both, 'magnitude', 1)}; "
            f"{len(large)} predictors",
            f"each {_TIMES_LARGER} times the largest of its target",
            bool((both["least"] >= _TIMES_LARGER * both["magnitude"]).all()),
        ),
        Statistic(
            "ΔR² of predictors that were not planted, in thousandths",
            "0 or less",
            f"largest {listed(most, 'most', 1)}; {len(nothing)} predictors",
            f"each at most {limit:.1f}",
            bool((most["most"] <= limit).all()),
        ),
        Statistic(
            f"predictors planted with less than {_LARGE_Z} z that add to the prediction",
            "all",
            f"{(smaller['r2'] > 0).sum()} of {len(smaller)} have ΔR² above 0, {(middle['r2'] > 0).sum()} of {len(middle)} of those "
            f"planted with {_MIDDLE_Z} z or more (smallest {middle['r2'].min():.1f})",
            "reported: noise of an hour hides small ones",
            holds=True,
        ),
    ]
