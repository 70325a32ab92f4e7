"""Schemas of the tables about behaviour: trials, performance, what models take from a trial."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID
from iblnm_core.table_schema import Column, TableSchema


def _fit_columns(prefix: str, trials: str) -> tuple[Column, ...]:
    """Return the columns of one psychometric fit."""
    return (
        Column(f"{prefix}_bias", "number", f"contrast of equal choice, {trials}", "%", nullable=True),
        Column(
            f"{prefix}_threshold", "number", "width of the psychometric function; larger is flatter", "%", nullable=True
        ),
        Column(
            f"{prefix}_lapse_left", "number", "lapse named for the choice: left of strong right stimuli", nullable=True
        ),
        Column(
            f"{prefix}_lapse_right", "number", "lapse named for the choice: right of strong left stimuli", nullable=True
        ),
        Column(f"{prefix}_r_squared", "number", "R² over contrast levels, each of equal weight", nullable=True),
        Column(f"{prefix}_n_trials", "integer", "trials in the fit", "trials", nullable=True),
        Column(f"{prefix}_log_likelihood", "number", "of the choices; natural logarithm", nullable=True),
        Column(f"{prefix}_at_bound", "texts", "parameters that ended on a bound: they are no estimates"),
        Column(
            f"{prefix}_status",
            "text",
            "ok, thin data or no trials; null for a block that was not fitted",
            nullable=True,
        ),
    )


PERFORMANCE = TableSchema(
    "performance",
    PurePosixPath("data/performance.pqt"),
    "How well the mouse did the task: one row per session.",
    ("eid",),
    (
        EID,
        Column("n_trials", "integer", "trials of the session", "trials"),
        Column("contrasts", "numbers", "contrasts used, unsigned", "%"),
        Column("fraction_correct", "number", "correct choices among all choices (0-1)", nullable=True),
        Column(
            "fraction_correct_easy", "number", "the same over easy trials (contrast of 50 % or more)", nullable=True
        ),
        Column("nogo_fraction", "number", "trials without choice (0-1)", nullable=True),
        *_fit_columns("psych_50", "unbiased block"),
        *_fit_columns("psych_20", "block with a fifth of the stimuli on the left"),
        *_fit_columns("psych_80", "block with four fifths of the stimuli on the left"),
        Column(
            "bias_shift", "number", "psych_80_bias minus psych_20_bias; expected to be positive", "%", nullable=True
        ),
        Column(
            "blocks",
            "text",
            "as recorded, repaired from the task's plan, unknown (doubtful and no plan), or none",
        ),
        Column("status", "text", "ok, or not applicable to a session without choices"),
    ),
)

TRIAL = Column("trial", "integer", "number of the trial in its session, from 0")
CHOICE = Column("choice", "number", "-1 right, +1 left, 0 no choice", nullable=True)
FEEDBACK_TYPE = Column("feedbackType", "number", "1 reward, -1 error", nullable=True)
BLOCK = Column(
    "probabilityLeft",
    "number",
    "probability of a stimulus on the left in this block, repaired where the task's plan says otherwise",
    nullable=True,
)
STIMULUS = (
    Column("signed_contrast", "number", "negative on the left; the sign of zero carries the side, too", "%"),
    Column("contrast", "number", "unsigned stimulus contrast", "%"),
    Column("stim_side", "text", "left or right"),
)
TIMINGS = (
    Column("reaction_time", "number", "first movement minus stimulus", "s", nullable=True),
    Column("movement_time", "number", "feedback minus first movement", "s", nullable=True),
    Column("response_time", "number", "feedback minus stimulus", "s", nullable=True),
)

TRIAL_TIMING = TableSchema(
    "trial_timing",
    PurePosixPath("data/trial_timing.pqt"),
    "How long the parts of a trial took: one row per session and trial.",
    ("eid", "trial"),
    (EID, TRIAL, *TIMINGS),
)

TRIAL_REGRESSORS = TableSchema(
    "trial_regressors",
    PurePosixPath("results/responses/trial_regressors.pqt"),
    "What models of the responses take from a trial: one row per session and trial.",
    ("eid", "trial"),
    (
        EID,
        TRIAL,
        *STIMULUS,
        CHOICE,
        FEEDBACK_TYPE,
        BLOCK,
        *TIMINGS,
        Column(
            "peak_velocity", "number", "largest speed of the wheel from stimulus to feedback", "rad/s", nullable=True
        ),
    ),
)

TRIALS = TableSchema(
    "trials",
    PurePosixPath("data/trials.pqt"),
    "The trials of all sessions that have any: one row per session and trial.",
    ("eid", "trial"),
    (
        CHOICE,
        STIMULUS[1],
        FEEDBACK_TYPE,
        Column("feedback_times", "number", "reward valve or error noise, session clock", "s", nullable=True),
        Column("firstMovement_times", "number", "onset of the first movement, session clock", "s", nullable=True),
        BLOCK,
        Column("probabilityLeft_original", "number", "the same as recorded", nullable=True),
        Column("response_times", "number", "wheel at a threshold, or time over, session clock", "s", nullable=True),
        STIMULUS[0],
        STIMULUS[2],
        Column("stimOn_times", "number", "stimulus onset, session clock", "s", nullable=True),
        EID,
        Column("subject", "text", "subject nickname"),
        Column("session_n", "number", "dense rank of the date within the subject, from 1"),
        Column("session_type", "text", "training, biased, ephys, habituation, ...", nullable=True),
        TRIAL,
    ),
)
