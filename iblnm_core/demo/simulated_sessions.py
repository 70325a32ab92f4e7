"""What the stages of single sessions leave of a cohort that never was: behaviour, quality of signals, encoding models. For benchmarks and tests."""

import uuid
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.cohort.selection import Selection
from iblnm_core.parameters import EncodingParameters
from iblnm_core.schemas import (
    CORRECTIONS,
    ENCODING_DELTA_R2,
    ENCODING_FITS,
    ENCODING_KERNELS,
    ERRORS,
    LABELS,
    PERFORMANCE,
    QC_PHOTOMETRY,
    SESSION_STATUS,
    SESSIONS,
    TRIAL_TIMING,
    TRIALS,
)
from iblnm_core.session.performance import FITTED_BLOCKS
from iblnm_core.table_schema import TableSchema

LAGS_S = np.round(np.arange(-2.5, 2.5, 0.1), 6)
SIGNAL = "alf/photometry/photometry.signal.pqt"
DAYS = pd.date_range("2024-01-01T10:00:00", periods=200).strftime("%Y-%m-%dT%H:%M:%S").to_numpy()
_FITTED = (
    ("bias", 0.0, 8.0),
    ("threshold", 18.0, 4.0),
    ("lapse_left", 0.06, 0.02),
    ("lapse_right", 0.06, 0.02),
    ("r_squared", 0.97, 0.01),
    ("log_likelihood", -60.0, 8.0),
)


def simulate_session_tables(
    recordings: pd.DataFrame, training_sessions: int = 10, failing_share: float = 0.05, seed: int = 0
) -> dict[str, pd.DataFrame]:
    """Return the collected tables that analyses of behaviour, of quality and of encoding read.

    Parameters
    ----------
    recordings : DataFrame
        The `recordings` table of `simulate_tables`.
    training_sessions : int
        Sessions of training that each mouse had before those recorded.
    failing_share : float
        Sessions with an error that blocks their analysis, and signals that fail the tests of quality.
    seed : int

    Returns
    -------
    dict of str to DataFrame
        sessions, performance, errors, session_status, labels (none), corrections (none), qc_photometry, encoding_fits, encoding_kernels,
        encoding_delta_r2.
    """
    # a stream of its own: ids are not those that `simulate_tables` drew from the same seed
    random = np.random.default_rng([seed, 1])
    sessions = _sessions(random, recordings, training_sessions)
    return {
        "sessions": sessions,
        "performance": _performance(random, sessions),
        "errors": _errors(sessions.loc[random.random(len(sessions)) < failing_share, "eid"]),
        "session_status": _standing(sessions),
        "labels": _rows(LABELS, 0),
        "corrections": _rows(CORRECTIONS, 0),
        "qc_photometry": _quality(random, recordings, failing_share),
        **_encoding(random, recordings),
    }


def trial_tables(regressors: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables `trials` and `trial_timing` of trials.

    Parameters
    ----------
    regressors : DataFrame
        The `trial_regressors` table of `simulate_tables`.
    """
    made = {}
    for schema in (TRIALS, TRIAL_TIMING):
        known = {name: regressors[name].to_numpy() for name in schema.column_names if name in regressors}
        made[schema.name] = _rows(schema, len(regressors), **known)
    return made


def _rows(schema: TableSchema, n_rows: int, /, **columns: object) -> pd.DataFrame:
    """Return rows of a table of which only some columns matter; others are null, or empty where null is refused."""
    rows = pd.DataFrame(columns, index=range(n_rows))
    others: dict[str, Any] = {
        "text": "",
        "integer": 0,
        "number": 0.0,
        "truth": False,
        "texts": np.array([], dtype=object),
        "numbers": np.array([]),
    }
    for column in schema.columns:
        if column.name not in rows:
            filler = None if column.nullable else others[column.kind]
            rows[column.name] = pd.Series([filler] * n_rows, dtype=object)
    return rows[schema.column_names]


def _sessions(random: np.random.Generator, recordings: pd.DataFrame, training_sessions: int) -> pd.DataFrame:
    """Return a row per session: training, then those recorded; the last fifth of these are of the rig for electrophysiology."""
    of_eid = recordings.groupby("eid", sort=True).agg({"subject": "first", "target_NM": list, "hemisphere": list})
    rows: list[tuple[str, str, str, int, list[str], list[str]]] = []
    for subject, own in of_eid.groupby("subject", sort=True):
        before = [str(uuid.UUID(bytes=random.bytes(16))) for _ in range(training_sessions)]
        n_biased = len(own) - len(own) // 5
        types = ["training"] * training_sessions + ["biased"] * n_biased + ["ephys"] * (len(own) - n_biased)
        targets = [own["target_NM"].iloc[0]] * training_sessions + own["target_NM"].tolist()
        sides = [own["hemisphere"].iloc[0]] * training_sessions + own["hemisphere"].tolist()
        in_order = enumerate(zip([*before, *own.index], types, targets, sides, strict=True))
        rows += [(eid, str(subject), name, day, of_fibers, at) for day, (eid, name, of_fibers, at) in in_order]
    return _rows(
        SESSIONS,
        len(rows),
        eid=[row[0] for row in rows],
        subject=[row[1] for row in rows],
        session_type=[row[2] for row in rows],
        start_time=DAYS[[row[3] for row in rows]],
        day_n=[row[3] for row in rows],
        session_n=[row[3] + 1.0 for row in rows],
        session_length=3600.0,
        number=1,
        target_NM=pd.Series([np.array(of, dtype=object) for *_, of, _ in rows]),
        brain_region=pd.Series([np.array([name.split("-")[0] for name in of], dtype=object) for *_, of, _ in rows]),
        hemisphere=pd.Series([np.array(at, dtype=object) for *_, at in rows]),
        datasets=pd.Series([np.array([SIGNAL], dtype=object)] * len(rows)),
    )


def _standing(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return that every session has what analyses need."""
    outputs = Selection().required_outputs
    rows = sessions.loc[sessions.index.repeat(len(outputs))]
    of_session = {"eid": rows["eid"].to_numpy(), "subject": rows["subject"].to_numpy()}
    date = rows["start_time"].str.slice(stop=10).to_numpy()
    return _rows(SESSION_STATUS, len(rows), asset=list(outputs) * len(sessions), **of_session, date=date, state="ok")


def _performance(random: np.random.Generator, sessions: pd.DataFrame) -> pd.DataFrame:
    """Return performance that grows with training, and fits of the blocks a session has."""
    n_rows, trained = len(sessions), sessions["session_type"].to_numpy() != "training"
    correct = np.clip(0.5 + 0.03 * sessions["session_n"].to_numpy() + random.normal(0, 0.03, n_rows), 0.3, 0.95)
    columns: dict[str, object] = {
        "eid": sessions["eid"].to_numpy(),
        "n_trials": 600,
        "contrasts": pd.Series([np.array([0.0, 6.25, 12.5, 25.0, 100.0])] * n_rows),
        "fraction_correct": correct,
        "fraction_correct_easy": np.minimum(correct + 0.05, 1.0),
        "nogo_fraction": random.uniform(0, 0.05, n_rows),
        "status": "ok",
        "blocks": "as recorded",
    }
    for block in FITTED_BLOCKS:
        fitted = trained | (block == "psych_50")
        for name, mean, spread in _FITTED:
            columns[f"{block}_{name}"] = np.where(fitted, random.normal(mean, spread, n_rows), np.nan)
        columns[f"{block}_status"] = np.where(fitted, "ok", "too few trials")
    columns["bias_shift"] = np.where(trained, random.normal(12, 4, n_rows), np.nan)
    return _rows(PERFORMANCE, n_rows, **columns)


def _errors(eids: pd.Series) -> pd.DataFrame:
    """Return one blocking error for each of some sessions."""
    return _rows(
        ERRORS,
        len(eids),
        eid=eids.to_numpy(),
        error_type="InsufficientTrials",
        error_family="InsufficientTrials",
        rule="trials",
        stage="task",
        blocks_analysis=True,
    )


def _quality(random: np.random.Generator, recordings: pd.DataFrame, failing_share: float) -> pd.DataFrame:
    """Return metrics of both bands of every recording."""
    both = recordings.loc[recordings.index.repeat(2), ["eid", "fiber_idx", "brain_region"]].reset_index(drop=True)
    n_rows = len(both)
    names = ("median_absolute_deviance", "percentile_distance", "percentile_asymmetry", "ar_score", "bleaching_tau")
    drawn = {name: random.gamma(4.0, size=n_rows) for name in (*names, "iso_correlation")}
    failing = random.random(n_rows) < failing_share
    return _rows(
        QC_PHOTOMETRY,
        n_rows,
        eid=both["eid"],
        fiber_idx=both["fiber_idx"],
        brain_region=both["brain_region"],
        band=["GCaMP", "Isosbestic"] * len(recordings),
        n_unique_samples=np.where(failing, 0.05, random.uniform(0.3, 0.9, n_rows)),
        n_band_inversions=0,
        verdict="ok",
        **drawn,
    )


def _encoding(random: np.random.Generator, recordings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return an encoding model of every recording: the blocks of the default parameters and the wheel."""
    names = [*EncodingParameters().blocks, "wheel_velocity"]
    terms = pd.DataFrame({"block": names}, index=pd.Index(range(len(names)), name="place"))
    parts = [name.split("|") for name in names]
    terms["term"] = [part[0] for part in parts]
    terms["level"] = [part[1] if len(part) > 2 else None for part in parts]
    terms["modulator"] = [part[-1] if len(part) > 1 else "baseline" for part in parts]
    identity = recordings[["eid", "fiber_idx", "target_NM"]]
    shares = identity.merge(terms, how="cross")
    kernels = shares.merge(pd.DataFrame({"lag_s": LAGS_S}), how="cross")
    n_rows = len(identity)
    return {
        "encoding_fits": _rows(
            ENCODING_FITS,
            n_rows,
            eid=identity["eid"],
            fiber_idx=identity["fiber_idx"],
            target_NM=identity["target_NM"],
            status="ok",
            alpha=1.0,
            r2_in=random.uniform(0.1, 0.4, n_rows),
            r2_cv=random.uniform(0.0, 0.3, n_rows),
            n_rows=36_000,
            n_features=len(terms) * len(LAGS_S),
        ),
        "encoding_kernels": kernels.assign(coef=random.normal(size=len(kernels)))[ENCODING_KERNELS.column_names],
        "encoding_delta_r2": shares.assign(delta_r2=random.gamma(1.0, 0.01, len(shares)), status="ok")[
            ENCODING_DELTA_R2.column_names
        ],
    }
