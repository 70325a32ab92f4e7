"""The outputs of the session step: what each is made from, where it is stored, and when it is out of date.

One table (`OUTPUTS`), from which the pipeline, the storage layout and the asset graph are all made.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from iblnm_core.vocabulary import VIDEO_LABELS

ALL_STAGES = "all"
"""The stage of what belongs to no single one."""


@dataclass(frozen=True)
class SessionOutput:
    """One output of the session step.

    Attributes
    ----------
    name : str
    description : str
    stage : str
        The stage of the command line that it belongs to.
    depends : tuple of str
        Outputs of the same session that it is made from.
    datasets : tuple of str
        Kinds of input datasets (keys of `datasets.DATASET_KINDS`) that it reads.
    parameters : tuple of str
        Sections of the parameters that shape it.
    row_fields : tuple of str
        Columns of the session's catalogue row that shape it; `*` stands for all.
    part : str
        Regular expression of the paths of its parts in the session file.
    steps : tuple of str
        Timed steps of the pipeline that make it.
    code_version : str
        Raised whenever the computation changes in a way that changes results.
    on_request : bool
        Made only when it is asked for by name; what was made so is kept current with the others.
    """

    name: str
    description: str
    stage: str
    depends: tuple[str, ...]
    datasets: tuple[str, ...]
    parameters: tuple[str, ...]
    row_fields: tuple[str, ...]
    part: str
    steps: tuple[str, ...] = ()
    code_version: str = "1"
    on_request: bool = False


OF_RESPONSES = (
    "responses",
    "response_magnitudes",
    "response_vector",
    "condition_traces",
    "response_cells",
    "response_measures",
    "time_course_sums",
    "trial_mean_measures",
    "encoding_model",
)
"""Outputs that are made of what follows events."""

MAY_BE_EMPTY = frozenset({*OF_RESPONSES, "region_pairs"})
"""Outputs that are there even when they have no part: no responses without a complete event, no pair of a single fibre."""

_MADE = (
    SessionOutput(
        "session_metadata",
        "The catalogue row that the session was processed with, and what is doubtful about it.",
        "query_database",
        depends=(),
        datasets=(),
        parameters=("metadata",),
        row_fields=("*",),
        part="metadata",
        code_version="2",
    ),
    SessionOutput(
        "trials",
        "One row per trial: events, stimulus, choice, outcome, block.",
        "task",
        depends=(),
        datasets=("trials_table", "raw_task"),
        parameters=("trials", "responses"),
        row_fields=("subject", "session_type", "planned_blocks"),
        part="trials",
        steps=("trials",),
        code_version="2",
    ),
    SessionOutput(
        "task_performance",
        "How well the mouse did: fractions, psychometric functions by block, bias shift; one row.",
        "task",
        depends=("trials",),
        datasets=(),
        parameters=("psychometric", "performance"),
        row_fields=("session_type",),
        part="performance",
        steps=("performance",),
    ),
    SessionOutput(
        "photometry_qc",
        "Quality of the recording: one row per fibre and band.",
        "photometry",
        depends=("trials",),
        datasets=("signal", "locations", "raw_frames"),
        parameters=(
            "photometry",
            "raw_quality",
            "signal_quality",
            "bleaching_fit",
            "preprocessing",
            "corrections",
            "responses",
        ),
        row_fields=("subject", "brain_region"),
        part=r"photometry/[^/]+/qc",
        steps=("raw_frames", "load", "signal_quality"),
        code_version="4",
    ),
    SessionOutput(
        "corrections",
        "The signal under every stored correction, as relative change, with fits and diagnostics.",
        "photometry",
        depends=("trials",),
        datasets=("signal", "locations", "raw_frames"),
        parameters=("photometry", "raw_quality", "preprocessing", "corrections", "responses"),
        row_fields=("subject", "brain_region"),
        part=r"photometry/[^/]+/corrections",
        steps=("preprocess",),
        code_version="2",
    ),
    SessionOutput(
        "preprocessed_signal",
        "The signal under the primary correction, z-scored, on a regular grid; the recorded bands beside it.",
        "photometry",
        depends=("trials", "corrections"),
        datasets=("signal", "locations", "raw_frames"),
        parameters=("photometry", "raw_quality", "preprocessing", "corrections"),
        row_fields=("subject", "brain_region"),
        part=r"photometry/[^/]+/(preprocessed|bands)",
        code_version="4",
    ),
    SessionOutput(
        "transients",
        "Peaks of the signal that rise above its noise: their kinetics, and how many there are around events.",
        "photometry",
        depends=("trials", "corrections"),
        datasets=(),
        parameters=("transients", "responses"),
        row_fields=(),
        part=r"photometry/[^/]+/transients",
        steps=("transients",),
    ),
    SessionOutput(
        "responses",
        "Peri-event responses: event x trial x time, per fibre.",
        "photometry",
        depends=("trials", "preprocessed_signal"),
        datasets=(),
        parameters=("responses",),
        row_fields=(),
        part=r"photometry/[^/]+/responses",
        steps=("responses",),
        code_version="2",
    ),
    SessionOutput(
        "response_magnitudes",
        "One number per event, trial and fibre: the mean of the response in the early window, less its baseline.",
        "responses",
        depends=("trials", "responses"),
        datasets=(),
        parameters=("magnitudes",),
        row_fields=(),
        part=r"photometry/[^/]+/magnitudes",
        steps=("magnitudes",),
        code_version="2",
    ),
    SessionOutput(
        "response_vector",
        "The mean size of the responses of a fibre for each event, contrast, side and outcome.",
        "responses",
        depends=("trials", "response_magnitudes"),
        datasets=(),
        parameters=("modelling", "vectors"),
        row_fields=("hemisphere",),
        part=r"photometry/[^/]+/vector",
        steps=("vectors",),
    ),
    SessionOutput(
        "condition_traces",
        "The mean course of the responses of a fibre for each event, contrast and outcome.",
        "responses",
        depends=("trials", "responses"),
        datasets=(),
        parameters=("magnitudes", "modelling"),
        row_fields=(),
        part=r"photometry/[^/]+/traces",
        steps=("traces",),
    ),
    SessionOutput(
        "response_cells",
        "The sizes of the responses under other corrections and baselines, added up over like trials.",
        "responses",
        depends=("trials", "corrections"),
        datasets=(),
        parameters=("responses", "magnitudes", "modelling", "corrections", "trials"),
        row_fields=(),
        part=r"photometry/[^/]+/cells",
        steps=("cells",),
    ),
    SessionOutput(
        "response_measures",
        "The shape of every response as relative change: peak, latency, slope, area, width.",
        "responses",
        depends=("trials", "corrections"),
        datasets=(),
        parameters=("responses", "magnitudes", "response_measures", "trials"),
        row_fields=(),
        part=r"photometry/[^/]+/measures",
        steps=("measures",),
    ),
    SessionOutput(
        "time_course_sums",
        "Responses at every time around an event, added up over like trials: what models of whole time courses need.",
        "responses",
        depends=("trials", "corrections"),
        datasets=(),
        parameters=("responses", "magnitudes", "modelling", "trials"),
        row_fields=(),
        part=r"photometry/[^/]+/course_sums",
        steps=("course_sums",),
    ),
    SessionOutput(
        "trial_mean_measures",
        "The shape of the mean responses of every condition, with intervals over trials.",
        "responses",
        depends=("trials", "corrections"),
        datasets=(),
        parameters=("responses", "magnitudes", "response_measures", "modelling", "trials"),
        row_fields=(),
        part=r"photometry/[^/]+/mean_measures",
        steps=("mean_measures",),
        # thousands of draws of trials
        on_request=True,
    ),
    SessionOutput(
        "region_pairs",
        "How the signals of every two fibres go together: correlation, lag, coherence, and what events and movement make of it.",
        "responses",
        depends=("trials", "corrections"),
        datasets=(),
        parameters=("region_pairs", "responses"),
        row_fields=(),
        part="region_pairs",
        steps=("pairs",),
        on_request=True,
    ),
    SessionOutput(
        "wheel_velocity",
        "Velocity of the wheel from stimulus to feedback: trial x time.",
        "wheel",
        depends=("trials",),
        datasets=("wheel_times", "wheel_position", "raw_encoder"),
        parameters=("wheel",),
        row_fields=(),
        part="wheel/responses",
        steps=("wheel",),
    ),
    SessionOutput(
        "trial_regressors",
        "What models take from a trial: task variables, timings, peak velocity; one row per trial.",
        "wheel",
        depends=("trials", "wheel_velocity"),
        datasets=(),
        parameters=(),
        row_fields=(),
        part="trial_regressors",
        steps=("regressors",),
    ),
    SessionOutput(
        "encoding_model",
        "The signal of every fibre as a sum of responses to all events: kernels, and what each adds.",
        "task_encoding",
        depends=("trials", "preprocessed_signal"),
        datasets=("wheel_times", "wheel_position"),
        parameters=("encoding", "wheel"),
        row_fields=("hemisphere",),
        part=r"photometry/[^/]+/encoding",
        steps=("encoding",),
        # three times as long as all else of a session
        on_request=True,
    ),
    SessionOutput(
        "video_qc",
        "Quality of the left camera's video: its times, and what the acquisition's quality control says; one row.",
        "video",
        depends=(),
        datasets=("camera_times",),
        parameters=("video",),
        row_fields=("subject", "session_type", "session_length", *VIDEO_LABELS),
        part="video_qc",
        steps=("video",),
    ),
    SessionOutput(
        "pose",
        "Movement of paws and face in the left camera's video: courses around events, timing of paws and wheel; one row.",
        "video",
        depends=("trials", "video_qc"),
        datasets=("camera_times", "lightning_pose", "motion_energy", "wheel_times", "wheel_position"),
        parameters=("responses", "magnitudes", "wheel"),
        row_fields=(),
        part="video",
        steps=("pose",),
    ),
)

_ERRORS = SessionOutput(
    "session_errors",
    "Every typed error of the session's latest run.",
    ALL_STAGES,
    depends=tuple(output.name for output in _MADE),
    datasets=(),
    parameters=(),
    row_fields=(),
    part="errors|verdicts|provenance",
)

OUTPUTS: Mapping[str, SessionOutput] = MappingProxyType({output.name: output for output in (*_MADE, _ERRORS)})
"""All outputs by name, in the order in which a session makes them."""

STAGES = (
    "query_database",
    "photometry",
    "task",
    "wheel",
    "video",
    "dataset_overview",
    "responses",
    "movement_encoding",
    "task_encoding",
    "task_performance",
    "qc_overview",
)
"""Stages of the command line, in the order that users know."""

COMPUTED: tuple[str, ...] = tuple(name for name in OUTPUTS if name != "session_errors")
"""Outputs that are computed from inputs; `session_errors` follows from every run."""

ON_REQUEST = frozenset(output.name for output in OUTPUTS.values() if output.on_request)
"""Outputs that are made only when they are asked for by name."""

ORDINARY: tuple[str, ...] = tuple(name for name in COMPUTED if name not in ON_REQUEST)
"""Outputs that every session has made of it."""


def upstream(names: Iterable[str]) -> frozenset[str]:
    """Return the named outputs and all that they are made from."""
    wanted = set(names)
    for name in reversed(tuple(OUTPUTS)):
        if name in wanted:
            wanted.update(OUTPUTS[name].depends)
    return frozenset(wanted)


def owner_of_part(path: str) -> str | None:
    """Return the output that owns a part of the session file, None for parts of no known output."""
    for name, output in OUTPUTS.items():
        if re.fullmatch(output.part, path):
            return name
    return None
