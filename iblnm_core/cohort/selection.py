"""Which sessions and recordings of the catalogue analyses use: the one place that chooses, and accounts for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from iblnm_core import errors as error_classes
from iblnm_core.cohort.fiber_filters import FiberKeys, keeps_a_fiber, without_primary
from iblnm_core.cohort.labels import VERDICTS, Verdict, labelled_as
from iblnm_core.errors import ConfigurationError, SessionError
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import RECORDINGS, SESSIONS
from iblnm_core.vocabulary import ANALYSED_SESSION_TYPES, EXCLUDED_SUBJECTS

ARTEFACT_SESSIONS = frozenset(
    {
        "cd9d071e-c798-4900-891f-b65640ec22b1",
        "16aa7570-578f-4daa-8244-844716fb1320",
        "f4f1d7fe-d7c8-442b-a7d6-e214223febaf",
        "a60531cd-e1e8-4b3b-b4d9-94b76ccc69c2",
        "1c09046e-48d8-47f3-9d07-2241e3f3a136",
    }
)
"""Sessions whose signal is known to be ruined by a huge artefact."""

ANALYSIS_BLOCKERS = (
    "MissingExtractedData",
    "MissingRawData",
    "InsufficientTrials",
    "IncompleteEventTimes",
    "TrialsNotInPhotometryTime",
    "QCValidationError",
    "AmbiguousRegionMapping",
    "MissingBlockInfo",
)
"""Error classes with which a session is of no use to analyses."""

REFERENCE_DISQUALIFIERS = ("MissingRawData", "InsufficientTrials", "TrialsNotInPhotometryTime")
"""Error classes with which the `reference` rule passes over a session of several on one day."""

FIBER_LISTS = ("brain_region", "hemisphere", "target_NM")
"""Columns of the catalogue that hold one element per fibre."""

DuplicateRule = Literal["resolved", "kept", "reference"]
_Mask = npt.NDArray[np.bool_]
_RANKS = ("bad", "n_trials", "session_length", "start_time", "eid")
"""By what one of several sessions of a day is preferred, in order."""

_ASCENDING = {"bad": True, "n_trials": False, "session_length": False, "start_time": True, "eid": True}
_ERROR_NAMES = {
    name for name, kind in vars(error_classes).items() if isinstance(kind, type) and SessionError in kind.__mro__[1:]
}


@dataclass(frozen=True)
class Selection:
    """The decisions that shape a selection; None or an empty value switches a filter off.

    Raises
    ------
    ConfigurationError
        When a blocker, a label, the duplicate rule or the date is none: a misspelt one would remove nothing, unnoticed.
    """

    session_types: tuple[str, ...] = ANALYSED_SESSION_TYPES
    excluded_subjects: frozenset[str] = EXCLUDED_SUBJECTS
    excluded_eids: frozenset[str] = ARTEFACT_SESSIONS
    lab: str | None = None
    first_session_from: str | None = None
    """ISO date; only subjects whose earliest session in the whole catalogue is not before it."""
    minimum_session_length_s: float | None = None
    required_outputs: tuple[str, ...] = ("trials", "preprocessed_signal", "responses")
    """Outputs that must stand as ok: a session that was never processed has no errors either."""
    blockers: tuple[str, ...] = ANALYSIS_BLOCKERS
    """Error classes; each stands for its special cases too."""
    blocking_stages: tuple[str, ...] = ("query_database", "photometry", "task", "all")
    """Stages whose errors count: a missing wheel is no reason to do without a recording."""
    targets: tuple[str, ...] = Parameters().selection.targets
    """Target labels, of which a session must have one and a recording must be one."""
    minimum_performance: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"training": 0.70}))
    """Smallest fraction of correct trials (0-1) by session type; other types need none."""
    required_contrasts: frozenset[float] = frozenset({0.0, 6.25, 12.5, 25.0, 100.0})
    """Contrasts in percent; a session must have used exactly these."""
    excluded_labels: tuple[Verdict, ...] = ("reject",)
    """A recording is left out whose last label is one of these, and a session that has no other."""
    primary: str | None = None
    """A recording is left out that has corrections but not this one as primary, and a session that has no other."""
    duplicates: DuplicateRule = "resolved"
    """One session per subject and day: the best, or by the `reference` rule the first good one of all by id; or all."""

    @classmethod
    def of(cls, parameters: Parameters) -> "Selection":
        """Return the selection that the parameters of a root describe: the section `selection`, and its primary correction."""
        options = parameters.selection
        return cls(
            primary=parameters.corrections.primary,
            session_types=options.session_types,
            targets=options.targets,
            minimum_performance={"training": options.minimum_training_performance},
            minimum_session_length_s=options.minimum_session_length_s or None,
            duplicates=options.duplicates,
            excluded_labels=options.excluded_labels,
            excluded_eids=ARTEFACT_SESSIONS if options.artefact_sessions == "left_out" else frozenset(),
        )

    def __post_init__(self) -> None:
        unknown = set(self.blockers) - _ERROR_NAMES
        if unknown:
            raise ConfigurationError(f"blockers {sorted(unknown)} are unknown; known are {sorted(_ERROR_NAMES)}")
        if not set(self.excluded_labels) <= set(VERDICTS):
            raise ConfigurationError(f"excluded_labels = {self.excluded_labels!r}; known are {', '.join(VERDICTS)}")
        if self.duplicates not in get_args(DuplicateRule):
            raise ConfigurationError(f"duplicates = {self.duplicates!r}; expected one of {get_args(DuplicateRule)}")
        try:
            date.fromisoformat(self.first_session_from or "2000-01-01")
        except ValueError as error:
            raise ConfigurationError(f"first_session_from = {self.first_session_from!r} is no ISO date") from error


@dataclass(frozen=True, eq=False)
class Selected:
    """What a selection came to.

    Attributes
    ----------
    sessions : DataFrame
        Rows of the catalogue, in its order.
    recordings : DataFrame
        One row per fibre of these sessions with an asked-for target: the columns of the catalogue that are no lists,
        `fiber_idx` (position in the session's lists, from 0), and the fibre's own `brain_region`, `hemisphere`, `target_NM`.
    account : DataFrame
        One row per filter that was on, in order: `filter`, sessions that it `removes_alone` of the whole catalogue,
        sessions `removed_in_order` after the filters before it, and those `left`.
    passes : DataFrame of bool
        Whether each session of the catalogue (index, by id) passes each filter (columns, in the order of the account).
    gave_way : DataFrame
        One row per session (index, by id) to which another one of its subject and day is preferred: `kept`, the id of that
        one, `decided_by`, the first criterion in which the two differ, and in it `value` and `value_kept`.
    """

    sessions: pd.DataFrame
    recordings: pd.DataFrame
    account: pd.DataFrame
    passes: pd.DataFrame
    gave_way: pd.DataFrame


def select(
    catalogue: pd.DataFrame,
    errors: pd.DataFrame,
    selection: Selection,
    performance: pd.DataFrame | None = None,
    statuses: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
    corrections: pd.DataFrame | None = None,
) -> Selected:
    """Return the sessions and recordings that pass all filters, and what each filter removed.

    Parameters
    ----------
    catalogue : DataFrame
        The `sessions` table.
    errors : DataFrame
        The `errors` table.
    selection : Selection
    performance : DataFrame, optional
        One row per session: `eid`, `fraction_correct`, `contrasts` (list of percent), and `n_trials` if known. Without
        the table the filters on performance and contrasts are off; with it, a session that it lacks fails them.
    statuses : DataFrame, optional
        The `session_status` table. Without it the filter on required outputs is off.
    labels : DataFrame, optional
        The `labels` table. Without it the filter on labels is off.
    corrections : DataFrame, optional
        The `corrections` table. Without it the filter on the primary correction is off.

    Returns
    -------
    Selected
    """
    if catalogue.empty:
        catalogue = SESSIONS.arrow().empty_table().to_pandas()
    catalogue = catalogue.reset_index(drop=True)
    structural = _structural_masks(catalogue, selection)
    rejected = None if labels is None else labelled_as(labels, selection.excluded_labels)
    lost = None
    if corrections is not None and selection.primary is not None:
        lost = without_primary(corrections, selection.primary)
    sound = _soundness_masks(catalogue, errors, selection, statuses, rejected, lost)
    behaviour = _behaviour_masks(catalogue, selection, performance)
    masks = {**structural, **_optional_masks(catalogue, selection), **sound, **behaviour}
    discarded = pd.DataFrame(columns=["kept", "decided_by", "value", "value_kept"])
    if selection.duplicates == "resolved":
        eligible = catalogue[_all_of(structural, len(catalogue))]
        unsound = set(catalogue["eid"][~_all_of(sound, len(catalogue))])
        discarded = _gave_way(eligible, unsound, _RANKS, _trial_counts(catalogue, performance))
        masks["duplicates"] = ~_is_in(catalogue["eid"], discarded.index)
    elif selection.duplicates == "reference":
        bad = set(_rows_of_types(errors, REFERENCE_DISQUALIFIERS)["eid"])
        discarded = _gave_way(catalogue, bad, ("bad", "eid"))
        masks["duplicates"] = ~_is_in(catalogue["eid"], discarded.index) & catalogue["day_n"].notna().to_numpy()
    sessions = catalogue[_all_of(masks, len(catalogue))].reset_index(drop=True)
    return Selected(
        sessions,
        _recordings(sessions, selection.targets, (rejected or set()) | (lost or set())),
        _account(masks, len(catalogue)),
        pd.DataFrame(masks, index=pd.Index(catalogue["eid"], name="eid")),
        discarded,
    )


def account_table(selected: Selected) -> pd.DataFrame:
    """Return the account of a selection as the `selection` table: its filters in their order."""
    return selected.account.assign(position=range(len(selected.account)))


def recordings_table(selected: Selected) -> pd.DataFrame:
    """Return the recordings of a selection as the `recordings` table."""
    return selected.recordings[RECORDINGS.column_names]


def resolve_duplicates(catalogue: pd.DataFrame, bad: Collection[str], n_trials: pd.Series | None = None) -> pd.Series:
    """Return which sessions give way to a better one of the same subject and day.

    Parameters
    ----------
    catalogue : DataFrame
        The sessions that compete: `eid`, `subject`, `day_n`, `session_length`, `start_time`.
    bad : collection of str
        Ids of sessions that are used only for want of a good one.
    n_trials : Series, optional
        Trials by session id.

    Returns
    -------
    Series
        Id of the session that is kept, by the id of the one discarded for it. Of sessions that are equally good, the one
        with more trials wins, then the longer, then the earlier, then the first by id; unknown loses against known.
    """
    return _gave_way(catalogue, bad, _RANKS, n_trials)["kept"]


def _gave_way(
    catalogue: pd.DataFrame, bad: Collection[str], criteria: Sequence[str], n_trials: pd.Series | None = None
) -> pd.DataFrame:
    """Return the sessions that give way to the best of their subject and day, with what decided: `Selected.gave_way`."""
    trials = np.nan if n_trials is None else catalogue["eid"].map(n_trials)
    candidates = catalogue.assign(bad=_is_in(catalogue["eid"], bad), n_trials=trials)
    names = list(criteria)
    ranked = candidates.sort_values(names, ascending=[_ASCENDING[name] for name in names], ignore_index=True)
    best = ranked.groupby(["subject", "day_n"])["eid"].transform("first")
    # without a day there is no duplicate
    behind = np.flatnonzero(best.notna() & (best != ranked["eid"]))
    kept = pd.Index(ranked["eid"]).get_indexer(best.to_numpy()[behind])
    decided, own, theirs = (np.empty(len(behind), dtype=object) for _ in range(3))
    for name in reversed(names):
        # one kind of unknown, that equals itself
        values = ranked[name].to_numpy(object, copy=True)
        values[ranked[name].isna()] = None
        differ = values[behind] != values[kept]
        decided[differ], own[differ], theirs[differ] = name, values[behind][differ], values[kept][differ]
    eids = ranked["eid"].to_numpy(object)
    found = {"kept": eids[kept], "decided_by": decided, "value": own, "value_kept": theirs}
    return pd.DataFrame(found, index=pd.Index(eids[behind], name="eid")).sort_index()


def _structural_masks(catalogue: pd.DataFrame, selection: Selection) -> dict[str, _Mask]:
    """Return the filters that a session passes or fails whatever became of its data."""
    n_elements = [[len(value) for value in catalogue[name]] for name in FIBER_LISTS]
    parallel = [len(set(lengths)) == 1 for lengths in zip(*n_elements, strict=True)]
    masks = {"lists_parallel": np.array(parallel, dtype=bool)}
    if selection.session_types:
        masks["session_types"] = _is_in(catalogue["session_type"], selection.session_types)
    if selection.excluded_subjects:
        masks["excluded_subjects"] = ~_is_in(catalogue["subject"], selection.excluded_subjects)
    if selection.excluded_eids:
        masks["excluded_eids"] = ~_is_in(catalogue["eid"], selection.excluded_eids)
    return masks


def _optional_masks(catalogue: pd.DataFrame, selection: Selection) -> dict[str, _Mask]:
    masks = {}
    if selection.lab:
        masks["lab"] = _is_in(catalogue["lab"], [selection.lab])
    if selection.first_session_from:
        first_day = date.fromisoformat(selection.first_session_from).isoformat()
        earliest = catalogue.groupby("subject")["start_time"].min()
        masks["first_session_from"] = _is_in(catalogue["subject"], earliest.index[earliest >= first_day])
    if selection.minimum_session_length_s is not None:
        lengths = catalogue["session_length"].to_numpy(dtype=float)
        masks["minimum_session_length_s"] = lengths >= selection.minimum_session_length_s
    return masks


def _soundness_masks(
    catalogue: pd.DataFrame,
    errors: pd.DataFrame,
    selection: Selection,
    statuses: pd.DataFrame | None,
    rejected: FiberKeys | None,
    lost: FiberKeys | None,
) -> dict[str, _Mask]:
    masks = {}
    required = set(selection.required_outputs)
    if statuses is not None and required:
        sound = statuses[statuses["asset"].isin(required) & (statuses["state"] == "ok")]
        n_sound = sound.groupby("eid")["asset"].nunique()
        masks["processed"] = _is_in(catalogue["eid"], n_sound.index[n_sound == len(required)])
    if selection.blockers:
        masks["blockers"] = ~_is_in(catalogue["eid"], set(blocking_errors(errors, selection)["eid"]))
    if rejected is not None and selection.excluded_labels:
        masks["labels"] = keeps_a_fiber(catalogue, rejected, rejected, selection.targets)
    if lost is not None:
        masks["correction"] = keeps_a_fiber(catalogue, lost, lost | (rejected or set()), selection.targets)
    return masks


def _behaviour_masks(
    catalogue: pd.DataFrame, selection: Selection, performance: pd.DataFrame | None
) -> dict[str, _Mask]:
    masks = {}
    if selection.targets:
        found = [not set(selection.targets).isdisjoint(labels) for labels in catalogue["target_NM"]]
        masks["targets"] = np.array(found, dtype=bool)
    if performance is not None and selection.minimum_performance:
        fraction = catalogue["eid"].map(performance.set_index("eid")["fraction_correct"])
        threshold = catalogue["session_type"].map(dict(selection.minimum_performance))
        masks["minimum_performance"] = (threshold.isna() | (fraction >= threshold)).to_numpy(dtype=bool)
    if performance is not None and selection.required_contrasts:
        contrasts = dict(zip(performance["eid"], performance["contrasts"], strict=True))
        used = [contrasts.get(eid) for eid in catalogue["eid"]]
        exact = [np.iterable(values) and set(values) == selection.required_contrasts for values in used]
        masks["required_contrasts"] = np.array(exact, dtype=bool)
    return masks


def _is_in(column: pd.Series, values: Collection[str] | pd.Index) -> _Mask:
    return column.isin(list(values)).to_numpy(dtype=bool)


def _all_of(masks: Mapping[str, _Mask], n_sessions: int) -> _Mask:
    passes = np.ones(n_sessions, dtype=bool)
    for mask in masks.values():
        passes &= mask
    return passes


def blocking_errors(errors: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Return the rows of the `errors` table for which the filter on blockers removes sessions.

    Parameters
    ----------
    errors : DataFrame
    selection : Selection
    """
    return _rows_of_types(errors[_is_in(errors["stage"], selection.blocking_stages)], selection.blockers)


def _rows_of_types(errors: pd.DataFrame, error_types: Collection[str]) -> pd.DataFrame:
    wanted = set(error_types)
    return errors[np.array([not wanted.isdisjoint(names.split()) for names in errors["error_family"]], dtype=bool)]


def _trial_counts(catalogue: pd.DataFrame, performance: pd.DataFrame | None) -> pd.Series | None:
    table = performance if performance is not None and "n_trials" in performance else catalogue
    return table.set_index("eid")["n_trials"] if "n_trials" in table else None


def _account(masks: Mapping[str, _Mask], n_sessions: int) -> pd.DataFrame:
    left, rows = np.ones(n_sessions, dtype=bool), []
    for name, passes in masks.items():
        alone, removed = int((~passes).sum()), int((left & ~passes).sum())
        left &= passes
        rows.append({"filter": name, "removes_alone": alone, "removed_in_order": removed, "left": int(left.sum())})
    return pd.DataFrame(rows)


def _recordings(
    sessions: pd.DataFrame, targets: Collection[str], excluded: Collection[tuple[str, int]]
) -> pd.DataFrame:
    lists = {column.name for column in SESSIONS.columns if column.kind == "texts"}
    # exploding an empty list would make a recording without a fibre
    with_fibers = sessions[sessions["brain_region"].map(len).to_numpy(dtype=int) > 0]
    positions = [position for regions in with_fibers["brain_region"] for position in range(len(regions))]
    recordings = with_fibers.explode(list(FIBER_LISTS), ignore_index=True)
    recordings["fiber_idx"] = np.array(positions, dtype=np.int64)
    scalars = [name for name in sessions.columns if name not in lists]
    wanted = _is_in(recordings["target_NM"], targets or recordings["target_NM"])
    keys = zip(recordings["eid"], recordings["fiber_idx"], strict=True)
    wanted &= np.array([key not in excluded for key in keys], dtype=bool)
    return recordings.loc[wanted, [*scalars, "fiber_idx", *FIBER_LISTS]].reset_index(drop=True)
