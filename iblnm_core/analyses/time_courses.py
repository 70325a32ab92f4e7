"""At which times around an event the task changes the signal, over mice: from stored sums to tables. The models stand in `time_course_bands`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from iblnm_core.analyses.cca_permutation import stable_seed
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.task_design import EVENT_ORDER, TERMS
from iblnm_core.analyses.time_course_bands import (
    MINIMUM_SUBJECTS,
    CourseStatus,
    GroupCourses,
    random_intercept,
    two_stage,
)
from iblnm_core.analyses.time_course_sums import CourseSums, sums_of_row
from iblnm_core.cohort_parameters import AnalysisParameters, ModellingParameters
from iblnm_core.errors import SingularDesign, UnitError

ANALYSIS = "time_courses"

_GROUP = ["target_NM", "event", "correction"]
_GRID = ["start_s", "sampling_rate_hz", "n_times"]
_STATUS: dict[CourseStatus, Status] = {
    "ok": Status.OK,
    "too_few_subjects": Status.TOO_FEW_SUBJECTS,
    "no_variation": Status.NO_VARIATION,
}
_MODELS = {"two_stage": two_stage, "random_intercept": random_intercept}
_COURSE_COLUMNS = (
    *_GROUP,
    *("method", "coefficient", "time", "estimate", "se", "lower", "upper", "joint_lower", "joint_upper"),
    *("significant", "n_subjects", "n_sessions", "n_trials", "joint_quantile", "p_joint", "p_floor", "unit"),
)
_SUBJECT_COLUMNS = (*_GROUP, "subject", "coefficient", "time", "estimate", "n_sessions", "n_trials", "unit")


@dataclass(frozen=True, eq=False)
class TimeCourses:
    """Courses of all groups.

    Attributes
    ----------
    courses : DataFrame
        Rows of the `time_courses` table.
    subjects : DataFrame
        Rows of the `time_courses_subjects` table: also of groups that are too small for more.
    outcomes : DataFrame
        One row per group and method.
    """

    courses: pd.DataFrame
    subjects: pd.DataFrame
    outcomes: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Group:
    """The sums of one target, event and correction, and whose they are."""

    target: str
    event: str
    correction: str
    unit: str
    rows: pd.DataFrame
    sums: list[CourseSums]

    @property
    def labels(self) -> dict[str, str]:
        return dict(zip(_GROUP, (self.target, self.event, self.correction), strict=True))


def time_courses(
    sums: pd.DataFrame, recordings: pd.DataFrame, modelling: ModellingParameters, analyses: AnalysisParameters
) -> TimeCourses:
    """Return the courses of the effects of contrast, side and outcome over mice, for every target, event and correction.

    See `docs/methods/time_courses.md`.

    Parameters
    ----------
    sums : DataFrame
        The `time_course_sums` table.
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    modelling : ModellingParameters
    analyses : AnalysisParameters
        The seed is that of signs and draws, with the names of target, event, correction and method.

    Raises
    ------
    UnitError
        When sums of a group are of responses in different units, or at different times.
    """
    courses, subjects, outcomes = [], [], []
    for group in _groups(sums, recordings, modelling, analyses):
        for name, model in _MODELS.items():
            if not group.rows["n_trials"].any():
                outcomes.append(_outcome(group, name, Status.NO_DATA, "no trial of known side and contrast"))
                continue
            seed_of_group = stable_seed(analyses.seed, (group.target, group.event, group.correction, name))
            try:
                found = model(group.sums, group.rows["subject"].tolist(), seed_of_group)
            except SingularDesign as error:
                outcomes.append(_outcome(group, name, Status.SINGULAR_DESIGN, str(error)))
                continue
            outcomes.append(_outcome(group, name, _STATUS[found.status], _detail(group, found)))
            if found.status == "ok":
                courses.append(_course_rows(group, found))
            if len(found.curves) and len(found.times):
                subjects.append(_subject_rows(group, found))
    return TimeCourses(
        _concatenated(courses, _COURSE_COLUMNS), _concatenated(subjects, _SUBJECT_COLUMNS), outcome_table(outcomes)
    )


def _groups(
    sums: pd.DataFrame, recordings: pd.DataFrame, modelling: ModellingParameters, analyses: AnalysisParameters
) -> Iterator[_Group]:
    """Yield groups: targets by name, events as in a trial, corrections by name."""
    selected = recordings[["eid", "fiber_idx", "subject", "target_NM", "hemisphere"]]
    rows = sums.merge(selected, on=["eid", "fiber_idx"], how="inner")
    rows["n_times"] = rows["counts"].map(len) // rows["contrast"].map(len)
    order = {event: place for place, event in enumerate(EVENT_ORDER)}
    groups = {tuple(map(str, key)): found for key, found in rows.groupby(_GROUP, observed=True)}
    for key in sorted(groups, key=lambda k: (k[0], order.get(k[1], len(order)), k[1], k[2])):
        found = groups[key].sort_values(["subject", "eid", "fiber_idx"], ignore_index=True)
        for names, what in ((["unit"], "unit"), (_GRID, "start, rate and number of samples")):
            different = found[names].drop_duplicates().to_numpy().tolist()
            if len(different) > 1:
                raise UnitError(
                    f"responses to {' '.join(key)} differ in {what}: {different}; expected one for all sessions"
                )
        unit = str(found["unit"].iloc[0])
        target, event, correction = key
        sums_of = [sums_of_row(row, row["hemisphere"], modelling, analyses) for _, row in found.iterrows()]
        # those that the model uses: side and contrast are known
        found["n_trials"] = [one.n_trials for one in sums_of]
        yield _Group(target, event, correction, unit, found, sums_of)


def _outcome(group: _Group, method: str, status: Status, detail: str | None) -> Outcome:
    return Outcome(
        ANALYSIS,
        group.target,
        group.event,
        status,
        int(group.rows["n_trials"].sum()),
        int(group.rows["subject"].nunique()),
        variable=f"{group.correction}, {method}",
        detail=detail,
    )


def _detail(group: _Group, found: GroupCourses) -> str | None:
    texts = []
    if found.status == "too_few_subjects":
        texts.append(f"{len(found.subjects)} mice with enough trials; expected {MINIMUM_SUBJECTS}")
        if found.method == "two_stage":
            texts.append(f"smallest possible p {found.p_floor:.3g}")
    elif found.status == "no_variation":
        texts.append("what the estimates are compared with does not vary")
    n_times = int(group.rows["n_times"].iloc[0])
    if len(found.times) < n_times:
        texts.append(f"{n_times - len(found.times)} of {n_times} times left out, which too few trials have")
    if found.left_out:
        texts.append("left out: " + ", ".join(f"{name} ({why})" for name, why in found.left_out.items()))
    return "; ".join(texts) or None


def _course_rows(group: _Group, found: GroupCourses) -> pd.DataFrame:
    n_times = len(found.times)
    entered = group.rows["subject"].isin(found.subjects)
    over_times = {"joint_quantile": found.quantile, "p_joint": found.p_joint}
    curves = ("estimate", "se", "lower", "upper", "joint_lower", "joint_upper", "significant")
    return pd.DataFrame(
        {
            **group.labels,
            "method": found.method,
            "coefficient": np.repeat(TERMS, n_times),
            "time": np.tile(found.times, len(TERMS)),
            **{name: getattr(found, name).ravel() for name in curves},
            "n_subjects": len(found.subjects),
            "n_sessions": group.rows.loc[entered, "eid"].nunique(),
            "n_trials": found.n_trials,
            **{name: np.repeat(values, n_times) for name, values in over_times.items()},
            "p_floor": found.p_floor,
            "unit": group.unit,
        },
        columns=list(_COURSE_COLUMNS),
    )


def _subject_rows(group: _Group, found: GroupCourses) -> pd.DataFrame:
    n_times = len(found.times)
    of_subject = group.rows.groupby("subject").agg(n_sessions=("eid", "nunique"), n_trials=("n_trials", "sum"))
    counts = of_subject.loc[list(found.subjects)]
    per_subject = len(TERMS) * n_times
    return pd.DataFrame(
        {
            **group.labels,
            "subject": np.repeat(np.array(found.subjects, dtype=object), per_subject),
            "coefficient": np.tile(np.repeat(TERMS, n_times), len(found.subjects)),
            "time": np.tile(found.times, len(TERMS) * len(found.subjects)),
            "estimate": found.curves.ravel(),
            **{name: np.repeat(counts[name].to_numpy(), per_subject) for name in ("n_sessions", "n_trials")},
            "unit": group.unit,
        },
        columns=list(_SUBJECT_COLUMNS),
    )


def _concatenated(parts: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns))
