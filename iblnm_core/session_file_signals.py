"""What lies in a session file of corrections, of what is found in corrected signals, and of pose. All else is in `session_file_description`."""

from iblnm_core.schemas import TABLES
from iblnm_core.schemas.response_measures import RESPONSE_MEASURES
from iblnm_core.session.pose import EVENT_OF
from iblnm_core.session_file_entries import FIBER_INDEX, KINDS, Entry, FilePart
from iblnm_core.table_schema import Column

_OF_FIBER = ("eid", "fiber_idx", "brain_region")
_CORRECTION = Entry("correction", "text", "that they were found in")
_UNIT = Entry("unit", "text", "dff: relative change, a fraction")


def _corrections_part() -> FilePart:
    numbers = {column.name: column for column in TABLES["corrections"].columns}
    of_fiber = ("dark_signal", "dark_reference", "dark_source", "dark_source_reference")
    events = {column.name: column for column in TABLES["event_reference"].columns}

    def described(column: Column, name: str = "", shape: str = "") -> Entry:
        return Entry(name or column.name, KINDS[column.kind], column.description, shape, column.unit)

    return FilePart(
        "photometry/REGION/corrections",
        "The signal under every stored correction, CORRECTION being its name. Each has the attributes `status`, `reason`, `message`, `steps` "
        "(what it does, as JSON) and those of its row in `data/corrections.pqt`; one that could not be computed has no arrays. "
        "z is (dff - mean) / sd. `diagnostics` has the measures of `data/qc_photometry.pqt` as attributes.",
        (
            Entry("times", "float64", "regular grid, session clock", "(m,)", "s"),
            Entry("mask", "uint8", "why a sample next to a point was not used; 0: it was", "(m,)"),
            Entry("CORRECTION/dff", "float32", "relative change, a fraction; not a number inside long gaps", "(m,)"),
            Entry("CORRECTION/fit/times", "float64", "of the baselines, session clock", "(b,)", "s"),
            Entry(
                "CORRECTION/fit/baseline_signal", "float32", "baseline above the dark offset", "(b,)", "camera units"
            ),
            Entry(
                "CORRECTION/fit/baseline_reference", "float32", "that of the isosbestic band", "(b,)", "camera units"
            ),
            Entry("CORRECTION/fit/motion_times", "float64", "of motion and weights, session clock", "(k,)", "s"),
            Entry("CORRECTION/fit/motion", "float32", "what was subtracted, relative change", "(k,)"),
            Entry(
                "CORRECTION/fit/weight", "float32", "final weight of the robust fit; absent where there is none", "(k,)"
            ),
        ),
        (
            Entry("fs", "int64", "sampling rate", unit="Hz"),
            FIBER_INDEX,
            Entry("primary", "text", "the correction that all else is made from"),
            Entry("names", "list of text", "all of them"),
            *(described(numbers[name]) for name in of_fiber),
        ),
        tuple(described(events[name], f"event_reference/{name}", "(e,)") for name in ("event", "t", "share", "n")),
    )


def _pose_part() -> FilePart:
    columns = {column.name: column for column in TABLES["pose"].columns if column.name != "eid"}
    events = {"traces": "around its own event", "baseline_traces": "around the stimulus"}
    traces = tuple(
        Entry(f"{group}/{name}", *entry)
        for group, where in events.items()
        for name, entry in {
            "times": ("float64", "middles of the samples, relative to the event", "(w,)", "s"),
            "trials": ("int64", "trial numbers", "(n,)"),
            **{
                name: (
                    "float32",
                    f"{columns[name].description.partition(',')[0]}: course {where}",
                    "(n, w)",
                    columns[name].unit,
                )
                for name in EVENT_OF
            },
        }.items()
    )
    timing = (
        Entry("crosscorr/lags", "float64", "positive where paws lead the wheel", "(m,)", "s"),
        Entry("crosscorr/functions", "float64", "correlation of paw and wheel speed in each third", "(3, m)"),
        Entry("crosscorr/peak_lags", "float64", "where each is largest", "(3,)", "s"),
    )
    return FilePart(
        "video",
        "Movement in the left camera's video, as far as there is pose and motion energy; attributes are the session's row of "
        "`metadata/pose.pqt`. `traces` and `baseline_traces` have the attributes `fs` (Hz) and `response_window` (s), "
        "`crosscorr` has `drift` (s).",
        traces + timing,
        tuple(Entry(c.name, KINDS[c.kind], c.description, unit=c.unit) for c in columns.values()),
    )


def _transients_part() -> FilePart:
    columns = {column.name: column for column in TABLES["transients"].columns}
    rows = [
        name for name in columns if name not in {"eid", "fiber_idx", "brain_region", "correction", "transient", "unit"}
    ]
    stored = {"trial": "float64"}
    summary = [
        column
        for column in TABLES["transient_summary"].columns
        if column.name not in {"eid", "fiber_idx", "brain_region", "correction"}
    ]
    return FilePart(
        "photometry/REGION/transients",
        "The transients of the primary correction, and how many there are in windows around events.",
        (
            Entry("windows/event", "text", "the events", "(e,)"),
            Entry("windows/window", "text", "pre, post and late: before, just after and later after an event", "(w,)"),
            Entry(
                "windows/count", "float64", "transients before the next event of any kind", "(e, w, n)", "transients"
            ),
            Entry("windows/exposure_s", "float64", "time in which one could be found", "(e, w, n)", "s"),
            Entry("windows/mean_amplitude", "float64", "mean of their amplitudes", "(e, w, n)", "dff"),
        ),
        (
            FIBER_INDEX,
            _CORRECTION,
            *(Entry(column.name, KINDS[column.kind], column.description, unit=column.unit) for column in summary),
        ),
        tuple(
            Entry(
                name, stored.get(name, KINDS[columns[name].kind]), columns[name].description, "(t,)", columns[name].unit
            )
            for name in rows
        ),
    )


def _cells_part() -> FilePart:
    columns = [column for column in TABLES["response_cells"].columns if column.name not in {"eid", "fiber_idx"}]
    return FilePart(
        "photometry/REGION/cells",
        "Sizes of the responses under other corrections and baselines, added up over trials that models cannot tell apart.",
        attributes=(FIBER_INDEX,),
        rows=tuple(Entry(c.name, KINDS[c.kind], c.description, "(c,)", c.unit) for c in columns),
    )


def _measures_part() -> FilePart:
    return FilePart(
        "photometry/REGION/measures",
        "The shape of every response in the primary correction, masked from the next event on, less its baseline.",
        (
            Entry("event", "text", "the events", "(e,)"),
            Entry("trial", "int64", "trial numbers", "(n,)"),
            Entry("polarity", "float64", "1 or -1: direction of the mean response, which peaks follow", "(e,)"),
            Entry("baseline_sd", "float64", "robust standard deviation before the events", "(e,)", "dff"),
            *(
                Entry(
                    column.name,
                    "float32" if column.kind == "number" else "bool",
                    column.description,
                    "(e, n)",
                    column.unit.replace("unit", "dff"),
                )
                for column in RESPONSE_MEASURES
            ),
        ),
        (FIBER_INDEX, _CORRECTION, _UNIT),
    )


def _mean_measures_part() -> FilePart:
    columns = [column for column in TABLES["trial_mean_measures"].columns if column.name not in _OF_FIBER]
    return FilePart(
        "photometry/REGION/mean_measures",
        "The shape of mean responses in the primary correction, with 95 % intervals.",
        attributes=(FIBER_INDEX,),
        rows=tuple(Entry(c.name, KINDS[c.kind], c.description, "(m,)", c.unit) for c in columns),
    )


def _course_sums_part() -> FilePart:
    columns = {column.name: column for column in TABLES["time_course_sums"].columns}
    shapes = {
        "event": "(e,)",
        "stim_side": "(c,)",
        **dict.fromkeys(("n_trials", "start_s", "sampling_rate_hz"), "(e,)"),
        **dict.fromkeys(("contrast", "feedbackType", "cell_trials"), "(e, c)"),
        **dict.fromkeys(("counts", "totals", "squares"), "(e, t c)"),
        "residual_covariance": "(e, t (t + 1) / 2)",
    }
    kinds = {"event": "text", "stim_side": "text", "n_trials": "int64"}
    return FilePart(
        "photometry/REGION/course_sums",
        "Responses in the primary correction, added up at each of t times over the trials of each of c cells.",
        tuple(
            Entry(name, kinds.get(name, "float64"), columns[name].description, shape, columns[name].unit)
            for name, shape in shapes.items()
        ),
        (FIBER_INDEX, _CORRECTION, _UNIT),
    )


def _pairs_part() -> FilePart:
    columns = [column for column in TABLES["region_pairs"].columns if column.name != "eid"]
    kinds = {"suspect": "float64"}
    return FilePart(
        "region_pairs",
        "How the corrected traces of every two fibres go together.",
        rows=tuple(
            Entry(column.name, kinds.get(column.name, KINDS[column.kind]), column.description, "(p,)", column.unit)
            for column in columns
        ),
    )


_EXCLUSIONS = FilePart(
    "photometry/REGION/exclusions",
    "What a person marked in the recording, in files in which one did; no run changes it.",
    (
        Entry("start_s", "float64", "of stretches that are left out, session clock", "(x,)", "s"),
        Entry("end_s", "float64", "their ends", "(x,)", "s"),
        Entry("steps_s", "float64", "where the level changes for good, session clock", "(y,)", "s"),
    ),
    by_hand=True,
)

SIGNAL_PARTS = (
    _EXCLUSIONS,
    _corrections_part(),
    _transients_part(),
    _cells_part(),
    _measures_part(),
    _course_sums_part(),
    _mean_measures_part(),
    _pairs_part(),
)
"""The parts that are made of the bands and of nothing but corrected signals."""

POSE_PART = _pose_part()
