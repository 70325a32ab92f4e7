"""What lies in a session file, part by part, as a reader with plain `h5py` finds it. How it reads as a page is `documentation`."""

from types import MappingProxyType

from iblnm_core.schemas import ERRORS, SESSIONS, TABLES
from iblnm_core.session.layout import METADATA_LISTS, METADATA_SCALARS, TRIAL_COLUMNS
from iblnm_core.session.outputs import OUTPUTS
from iblnm_core.session.verdicts import ERROR_COLUMNS
from iblnm_core.session_file_entries import FIBER_INDEX, KINDS, Entry, FilePart
from iblnm_core.session_file_signals import POSE_PART, SIGNAL_PARTS
from iblnm_core.table_schema import Column

_SESSION_COLUMNS = {column.name: column for column in SESSIONS.columns}
_TRIALS = MappingProxyType(
    {
        "stimOn_times": ("stimulus onset", "s"),
        "response_times": ("wheel at a threshold, or time over; absent in sessions without choices", "s"),
        "firstMovement_times": ("onset of the first movement; absent in sessions without choices", "s"),
        "feedback_times": ("reward valve or error noise", "s"),
        "choice": ("-1 right, +1 left, 0 no choice; absent in sessions without choices", ""),
        "feedbackType": ("1 reward, -1 error", ""),
        "probabilityLeft": ("probability of a stimulus on the left in this block; repaired, or unknown", ""),
        "probabilityLeft_original": ("the same as recorded", ""),
        "block_repaired": ("whether the two differ", ""),
        "stim_side": ("left or right", ""),
        "contrast": ("stimulus contrast, unsigned", "%"),
        "signed_contrast": ("negative on the left; at zero contrast the sign bit carries the side", "%"),
        "intervals_0": ("start of the trial", "s"),
        "intervals_1": ("end of the trial", "s"),
    }
)


def _metadata_part() -> FilePart:
    def entry(column: Column, kind: str, shape: str = "") -> Entry:
        return Entry(column.name, kind, column.description, shape, column.unit)

    return FilePart(
        "metadata",
        "The row of `metadata/sessions.pqt` that the session was processed with.",
        tuple(entry(_SESSION_COLUMNS[name], "text", "(k,)") for name in METADATA_LISTS),
        tuple(entry(_SESSION_COLUMNS[name], KINDS[_SESSION_COLUMNS[name].kind]) for name in METADATA_SCALARS),
    )


def _trials_part() -> FilePart:
    datasets = []
    for name in TRIAL_COLUMNS:
        description, unit = _TRIALS[name]
        kind = {"stim_side": "text", "block_repaired": "bool"}.get(name, "float64")
        datasets.append(Entry(name, kind, description, "(n,)", unit))
    return FilePart("trials", "One entry per trial; times in the session clock.", tuple(datasets))


def _qc_part() -> FilePart:
    table = TABLES["qc_photometry"]
    datasets = tuple(
        Entry(column.name, KINDS[column.kind], column.description, "(2,)", column.unit)
        for column in table.columns
        if column.name != "eid"
    )
    return FilePart(
        "photometry/REGION/qc",
        "The fibre's rows of `data/qc_photometry.pqt`. Kept for a session that fails, too. Counts are float64 with "
        "not-a-number where what they are counted in could not be read.",
        datasets,
    )


def _performance_part() -> FilePart:
    columns = [column for column in TABLES["performance"].columns if column.name != "eid"]
    lists = [column for column in columns if column.kind in {"texts", "numbers"}]
    return FilePart(
        "performance",
        "The session's row of `data/performance.pqt`.",
        tuple(Entry(c.name, "text" if c.kind == "texts" else "float64", c.description, "(k,)", c.unit) for c in lists),
        tuple(Entry(c.name, KINDS[c.kind], c.description, unit=c.unit) for c in columns if c not in lists),
    )


def _wheel_part() -> FilePart:
    return FilePart(
        "wheel/responses",
        "Velocity of the wheel from stimulus to feedback. Rows are as wide as the longest trial; not a number after a "
        "trial's own end, and for trials that are not completely recorded.",
        (Entry("velocity", "float32", "sample k is k / fs after the stimulus", "(n, w)", "rad/s"),),
        (
            Entry("fs", "int64", "sampling rate", unit="Hz"),
            Entry("t0_event", "text", "event at which a row starts"),
            Entry("t1_event", "text", "event at which it ends"),
        ),
    )


def _regressors_part() -> FilePart:
    return FilePart(
        "trial_regressors",
        "The session's rows of `results/responses/trial_regressors.pqt`, in the order of its trials.",
        rows=tuple(
            Entry(c.name, "text" if c.kind == "text" else "float64", c.description, "(n,)", c.unit)
            for c in TABLES["trial_regressors"].columns
            if c.name not in {"eid", "trial"}
        ),
    )


def _video_part() -> FilePart:
    columns = [column for column in TABLES["video"].columns if column.name != "eid"]
    return FilePart(
        "video_qc",
        "The session's row of `metadata/video.pqt`.",
        attributes=tuple(Entry(c.name, KINDS[c.kind], c.description, unit=c.unit) for c in columns),
    )


def _errors_part() -> FilePart:
    columns = {column.name: column for column in ERRORS.columns}
    datasets = tuple(
        Entry(name, KINDS[columns[name].kind], columns[name].description, "(e,)") for name in ERROR_COLUMNS
    )
    return FilePart(
        "errors", "Every typed error of the session. An empty group says: processed, and nothing to report.", datasets
    )


FILE_PARTS: tuple[FilePart, ...] = (
    _metadata_part(),
    _trials_part(),
    _performance_part(),
    _qc_part(),
    *SIGNAL_PARTS,
    FilePart(
        "photometry/REGION/preprocessed",
        "The signal under the primary correction.",
        (
            Entry("times", "float64", "regular grid, session clock", "(m,)", "s"),
            Entry("signal", "float64", "z-scored before it was put on the grid", "(m,)", "z"),
        ),
        (
            Entry("fs", "int64", "sampling rate", unit="Hz"),
            FIBER_INDEX,
            Entry("iso_slope", "float64", "slope of the isosbestic fit"),
            Entry("iso_intercept", "float64", "intercept of the isosbestic fit", unit="dF/F"),
            Entry("mean", "float64", "mean of the corrected signal before z-scoring", unit="dF/F"),
            Entry("standard_deviation", "float64", "its standard deviation; signal x this + mean is dF/F", unit="dF/F"),
            Entry("correction", "text", "name of the correction"),
        ),
    ),
    FilePart(
        "photometry/REGION/bands",
        "The bands as recorded, cut to the session, for looking at.",
        (
            Entry("GCaMP/times", "float64", "frames under the 470 nm LED, session clock", "(g,)", "s"),
            Entry("GCaMP/signal", "float32", "fluorescence", "(g,)", "camera units"),
            Entry("Isosbestic/times", "float64", "frames under the 415 nm LED, session clock", "(i,)", "s"),
            Entry("Isosbestic/signal", "float32", "fluorescence", "(i,)", "camera units"),
        ),
        (FIBER_INDEX,),
    ),
    FilePart(
        "photometry/REGION/responses",
        "Windows of the corrected signal around events. An event that too few trials have is absent. A row whose "
        "window is not completely recorded is not a number.",
        (
            Entry("times", "float64", "time from the event", "(w,)", "s"),
            Entry("trials", "int64", "row of each response in `trials`", "(n,)"),
            Entry("stimOn_times", "float64", "responses to the stimulus", "(n, w)", "z"),
            Entry("firstMovement_times", "float64", "responses to the first movement", "(n, w)", "z"),
            Entry("feedback_times", "float64", "responses to the feedback", "(n, w)", "z"),
        ),
        (
            Entry("fs", "int64", "sampling rate", unit="Hz"),
            Entry("response_window", "float64", "start (included) and end (excluded) of the window", "(2,)", "s"),
            FIBER_INDEX,
        ),
    ),
    FilePart(
        "photometry/REGION/magnitudes",
        "The size of every response: masked from the next event on, less its baseline, mean of the early window.",
        rows=(
            Entry("trials", "int64", "row of each response in `trials`", "(n,)"),
            Entry("stimOn_times", "float64", "responses to the stimulus", "(n,)", "z"),
            Entry("firstMovement_times", "float64", "responses to the first movement", "(n,)", "z"),
            Entry("feedback_times", "float64", "responses to the feedback", "(n,)", "z"),
            Entry("pre_event/stimOn_times", "float64", "what was there before the stimulus", "(n,)", "z"),
            Entry("pre_event/firstMovement_times", "float64", "what was there before the movement", "(n,)", "z"),
            Entry("pre_event/feedback_times", "float64", "what was there before the feedback", "(n,)", "z"),
        ),
        attributes=(
            Entry("baseline_window", "float64", "start (included) and end (excluded) of the baseline", "(2,)", "s"),
            Entry("early_window", "float64", "start (included) and end (excluded) of the window", "(2,)", "s"),
            Entry("pre_event_window", "float64", "start (included) and end (excluded) of what was before", "(2,)", "s"),
            FIBER_INDEX,
        ),
    ),
    FilePart(
        "photometry/REGION/vector",
        "The response vector: the mean size of the responses in every condition.",
        rows=(
            Entry("feature", "text", "condition, such as stimOn_c6.25_ipsi_incorrect", "(f,)"),
            Entry("response", "float64", "mean over the trials that models use", "(f,)", "z"),
        ),
        attributes=(FIBER_INDEX,),
    ),
    FilePart(
        "photometry/REGION/traces",
        "The mean course of the responses in every condition.",
        (
            Entry("times", "float64", "sample times relative to the event", "(w,)", "s"),
            Entry(
                "response",
                "float64",
                "mean over the trials that models use, masked and less the baseline",
                "(c, w)",
                "z",
            ),
        ),
        (FIBER_INDEX,),
        (
            Entry("event", "text", "the event", "(c,)"),
            Entry("contrast", "float64", "unsigned stimulus contrast", "(c,)", "%"),
            Entry("feedbackType", "int64", "1 reward, -1 error", "(c,)"),
            Entry("n_trials", "int64", "trials whose first sample is known", "(c,)", "trials"),
        ),
    ),
    FilePart(
        "photometry/REGION/encoding",
        "The encoding model of the signal: kernels, what each block adds, and what the model says of the signal.",
        (
            Entry("kernels/term", "text", "event, and for which trials; or a continuous regressor", "(l,)"),
            Entry("kernels/level", "text", "trials that the kernel is of, when not of all", "(l,)"),
            Entry("kernels/modulator", "text", "what one unit of it is of", "(l,)"),
            Entry("kernels/lag_s", "float64", "relative to the event", "(l,)", "s"),
            Entry("kernels/coef", "float64", "the kernel", "(l,)", "z"),
            Entry("delta_r2/block", "text", "kernel or regressor", "(b,)"),
            Entry("delta_r2/delta_r2", "float64", "what it adds to the held-out R²", "(b,)"),
            Entry("delta_r2/status", "text", "ok, or why it is not in the model", "(b,)"),
            Entry("times", "float64", "centres of the bins, session clock", "(k,)", "s"),
            Entry("signal", "float32", "mean of the signal in a bin", "(k,)", "z"),
            Entry("prediction", "float32", "of the model of all bins", "(k,)", "z"),
            Entry("held_out", "float32", "of the model of the other folds", "(k,)", "z"),
        ),
        (
            Entry("status", "text", "ok, blocks_left_out, or why there is no model"),
            Entry("alpha", "float64", "penalty"),
            Entry("r2_in", "float64", "R² on the bins of the fit"),
            Entry("r2_cv", "float64", "R² on held-out bins"),
            Entry("n_rows", "int64", "bins that were fitted"),
            Entry("n_features", "int64", "columns of the design"),
            Entry("intercept", "float64", "signal without any event", unit="z"),
            FIBER_INDEX,
        ),
    ),
    _wheel_part(),
    _regressors_part(),
    _video_part(),
    POSE_PART,
    _errors_part(),
    FilePart("verdicts", "The rules that hold.", (Entry("passed", "text", "names of the rules", "(r,)"),)),
    FilePart(
        "provenance",
        "What each output was made from: state (`stored`, `stopped` by a typed error, `failed` unexpectedly), "
        "fingerprint, code version, hash of parameters and of the catalogue row, every input file with size, time and "
        "content hash, and the versions of the libraries.",
        attributes=tuple(Entry(name, "text", "JSON") for name in OUTPUTS if name != "session_errors"),
    ),
)
"""Everything in a session file, as a reader with plain `h5py` finds it."""
