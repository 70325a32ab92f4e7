"""Why each session passes or fails each filter of a selection, in words. Which it passes is decided by `selection` alone."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.cohort.selection import FIBER_LISTS, Selected, Selection, blocking_errors, select
from iblnm_core.root import Root
from iblnm_core.schemas import CORRECTIONS, ERRORS, LABELS, PERFORMANCE, SESSION_STATUS, SESSIONS
from iblnm_core.storage.tables import stored_or_empty

FILTER_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "lists_parallel": "regions, sides and targets do not match one by one",
        "session_types": "session type is not analysed",
        "excluded_subjects": "subject is excluded from the project",
        "excluded_eids": "signal is known to be ruined by an artefact",
        "lab": "other laboratory",
        "first_session_from": "subject began too early",
        "minimum_session_length_s": "session is too short",
        "processed": "an output that analyses need is not there or out of date",
        "blockers": "a blocking check failed",
        "labels": "a person's last word on every fibre is one that is left out",
        "correction": "the primary correction could be computed for no fibre, or another one stands in",
        "targets": "no fibre in a target of the project",
        "minimum_performance": "too few correct choices for its session type",
        "required_contrasts": "contrasts are not exactly those of the task",
        "duplicates": "another session of that mouse and day is used",
    }
)
"""What each filter of a selection removes, in words."""

DECIDED_BY: Mapping[str, str] = MappingProxyType(
    {
        "session_types": "selection.session_types",
        "excluded_eids": "selection.artefact_sessions",
        "minimum_session_length_s": "selection.minimum_session_length_s",
        "labels": "selection.excluded_labels",
        "correction": "corrections.primary",
        "targets": "selection.targets",
        "minimum_performance": "selection.minimum_training_performance",
        "duplicates": "selection.duplicates",
    }
)
"""The parameter behind each filter; what is not here is fixed."""

FIXED = "fixed"
"""Stands for the parameter of a filter that has none."""

CRITERIA: Mapping[str, str] = MappingProxyType(
    {
        "bad": "soundness",
        "n_trials": "trials",
        "session_length": "length (s)",
        "start_time": "start",
        "eid": "order of the ids",
    }
)
"""By what one of several sessions of a day is preferred, in words."""

UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Account:
    """The tables that a selection is made of, and what it came to.

    Attributes
    ----------
    selection : Selection
    sessions, errors, statuses, performance, labels, corrections : DataFrame
        Stored tables; without rows when they are not there.
    chosen : Selected
    """

    selection: Selection
    sessions: pd.DataFrame
    errors: pd.DataFrame
    statuses: pd.DataFrame
    performance: pd.DataFrame
    labels: pd.DataFrame
    corrections: pd.DataFrame
    chosen: Selected

    @cached_property
    def first_failing(self) -> dict[str, str]:
        """By session that is left out, the first filter that it fails."""
        passes = self.chosen.passes
        out = passes[~passes.all(axis=1)]
        names = [str(name) for name in passes.columns]
        return {str(eid): names[int(np.argmin(row))] for eid, row in zip(out.index, out.to_numpy(), strict=True)}


def read_account(root: Root) -> Account:
    """Read the stored tables of a root and select as its analyses do.

    Parameters
    ----------
    root : Root

    Raises
    ------
    CorruptArtifact
    """
    sessions, errors, statuses, performance, labels, corrections = (
        stored_or_empty(root.path, schema)
        for schema in (SESSIONS, ERRORS, SESSION_STATUS, PERFORMANCE, LABELS, CORRECTIONS)
    )
    return account_of(
        Selection.of(root.parameters),
        sessions,
        errors,
        statuses,
        performance=performance,
        labels=labels,
        corrections=corrections,
    )


def account_of(
    selection: Selection,
    sessions: pd.DataFrame,
    errors: pd.DataFrame,
    statuses: pd.DataFrame,
    *,
    performance: pd.DataFrame,
    labels: pd.DataFrame,
    corrections: pd.DataFrame,
) -> Account:
    """Select, and keep beside the result what it is made of.

    Parameters
    ----------
    selection : Selection
    sessions, errors, statuses, performance, labels, corrections : DataFrame
        The tables `sessions`, `errors`, `session_status`, `performance`, `labels` and `corrections`.
    """
    chosen = select(sessions, errors, selection, performance, statuses, labels, corrections)
    return Account(selection, sessions, errors, statuses, performance, labels, corrections, chosen)


VERDICT_COLUMNS = ("eid", "filter", "passed", "found", "needed", "decided_by")


def verdicts_of(account: Account, eids: Collection[str] | None = None) -> pd.DataFrame:
    """Return, by session and filter, whether the session passes, what was found and what is needed.

    Parameters
    ----------
    account : Account
    eids : collection of str, optional
        Sessions of the catalogue; all of them by default.

    Returns
    -------
    DataFrame
        `eid`, `filter` (in the order of the selection), `passed`, `found`, `needed` and `decided_by`, the parameter behind the filter.
        Texts of the data are in it as they are.
    """
    sessions = account.sessions if eids is None else account.sessions[account.sessions["eid"].isin(list(eids))]
    wanted = set(sessions["eid"])
    beside = _Beside(
        account,
        _by_session(blocking_errors(account.errors, account.selection), wanted),
        _by_session(account.statuses, wanted),
        _by_session(account.labels[account.labels["current"].astype(bool)], wanted),
        _by_session(account.corrections[account.corrections["is_primary"].astype(bool)], wanted),
        _by_session(account.performance, wanted),
    )
    passes = account.chosen.passes
    rows = []
    for session in sessions.to_dict("records"):
        eid = session["eid"]
        for name, passed in zip(passes.columns, passes.loc[eid], strict=True):
            found, needed = _WORDS[name](session, beside)
            rows.append((eid, name, bool(passed), found, needed, DECIDED_BY.get(name, FIXED)))
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS)).astype({"passed": bool})


def _by_session(rows: pd.DataFrame, eids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows[rows["eid"].isin(list(eids))].to_dict("records"):
        found.setdefault(row["eid"], []).append({str(name): value for name, value in row.items()})
    return found


@dataclass(frozen=True, eq=False)
class _Beside:
    """What is known of sessions beside the catalogue: rows by session."""

    account: Account
    blocking: Mapping[str, list[dict[str, Any]]]
    statuses: Mapping[str, list[dict[str, Any]]]
    labels: Mapping[str, list[dict[str, Any]]]
    corrections: Mapping[str, list[dict[str, Any]]]
    performance: Mapping[str, list[dict[str, Any]]]

    @property
    def selection(self) -> Selection:
        return self.account.selection


_Session = Mapping[Any, Any]
_Words = tuple[str, str]


def _lists_parallel(session: _Session, _beside: _Beside) -> _Words:
    counts = [(len(session[name]), word) for name, word in zip(FIBER_LISTS, ("region", "side", "target"), strict=True)]
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts), "equally many of each"


def _session_types(session: _Session, beside: _Beside) -> _Words:
    return _text(session["session_type"]), f"one of {', '.join(beside.selection.session_types)}"


def _excluded_subjects(session: _Session, beside: _Beside) -> _Words:
    return _text(session["subject"]), f"none of the {len(beside.selection.excluded_subjects)} subjects left out"


def _excluded_eids(session: _Session, beside: _Beside) -> _Words:
    known = session["eid"] in beside.selection.excluded_eids
    return "a known artefact" if known else "no known artefact", "no known artefact"


def _lab(session: _Session, beside: _Beside) -> _Words:
    return _text(session["lab"]), _text(beside.selection.lab)


def _first_session_from(session: _Session, beside: _Beside) -> _Words:
    sessions = beside.account.sessions
    earliest = sessions.loc[sessions["subject"] == session["subject"], "start_time"].min()
    return f"first session of the subject on {_text(earliest)[:10]}", f"{beside.selection.first_session_from} or later"


def _minimum_session_length_s(session: _Session, beside: _Beside) -> _Words:
    found, needed = _compared(session["session_length"], beside.selection.minimum_session_length_s)
    return f"{found} s", f"at least {needed} s"


def _processed(session: _Session, beside: _Beside) -> _Words:
    required = beside.selection.required_outputs
    standing = {row["asset"]: row for row in beside.statuses.get(session["eid"], ())}
    lacking: dict[str, list[str]] = {}
    for name in required:
        row = standing.get(name, {"state": "never run", "reason": None})
        if row["state"] != "ok":
            reason = "" if pd.isna(row["reason"]) else f" ({row['reason']})"
            lacking.setdefault(f"{row['state']}{reason}", []).append(name)
    found = "; ".join(f"{', '.join(names)} {state}" for state, names in lacking.items())
    return found or "all ok", f"{', '.join(required)} ok"


def _blockers(session: _Session, beside: _Beside) -> _Words:
    found = []
    for row in beside.blocking.get(session["eid"], ()):
        values = [
            f"{_text(row[name])} {word}"
            for name, word in (("measured", "found"), ("threshold", "needed"))
            if pd.notna(row[name])
        ]
        found.append(f"{row['error_type']}{': ' if values else ''}{', '.join(values)}")
    return "; ".join(dict.fromkeys(found)) or "none", "no blocking error"


def _labels(session: _Session, beside: _Beside) -> _Words:
    said = [
        f"fibre {int(row['fiber_idx'])}: {row['verdict']}"
        for row in sorted(beside.labels.get(session["eid"], ()), key=lambda row: int(row["fiber_idx"]))
    ]
    return "; ".join(
        said
    ) or "no label", f"a fibre in a target that is not {' or '.join(beside.selection.excluded_labels)}"


def _correction(session: _Session, beside: _Beside) -> _Words:
    said = [
        f"fibre {int(row['fiber_idx'])}: {row['correction']}"
        + ("" if row["status"] == "ok" else f" {row['status']} ({row['reason']})")
        for row in sorted(beside.corrections.get(session["eid"], ()), key=lambda row: int(row["fiber_idx"]))
    ]
    return "; ".join(said) or "not corrected", f"{beside.selection.primary} of a fibre in a target"


def _targets(session: _Session, beside: _Beside) -> _Words:
    found = ", ".join(_text(target) for target in session["target_NM"]) or "no fibre"
    return found, f"one of {', '.join(beside.selection.targets)}"


def _minimum_performance(session: _Session, beside: _Beside) -> _Words:
    kind = session["session_type"]
    fraction = next((row["fraction_correct"] for row in beside.performance.get(session["eid"], ())), None)
    found, needed = _compared(fraction, beside.selection.minimum_performance.get(kind))
    return found, f"at least {needed} for {kind}" if needed else f"no limit for {_text(kind)}"


def _required_contrasts(session: _Session, beside: _Beside) -> _Words:
    used = next((row["contrasts"] for row in beside.performance.get(session["eid"], ())), None)
    found = _percents(used) if np.iterable(used) else UNKNOWN
    return found, f"exactly {_percents(beside.selection.required_contrasts)}"


def _duplicates(session: _Session, beside: _Beside) -> _Words:
    needed = (
        "the first by id of its mouse and day"
        if beside.selection.duplicates == "reference"
        else "the best of its mouse and day"
    )
    gave_way = beside.account.chosen.gave_way
    eid = session["eid"]
    if eid in gave_way.index:
        (row,) = gave_way.loc[[eid]].to_dict("records")
        return f"{row['kept']} is used: {why_kept(row)}", needed
    beaten = [str(other) for other in gave_way.index[gave_way["kept"] == eid]]
    if beaten:
        return f"preferred to {', '.join(beaten)}", needed
    return (UNKNOWN if pd.isna(session["day_n"]) else "no other to choose from"), needed


def why_kept(row: Mapping[Any, Any]) -> str:
    """Return by what one session was preferred to another.

    Parameters
    ----------
    row : mapping
        A row of `Selected.gave_way`.
    """
    name = row["decided_by"]
    if name == "bad":
        return "this one is not sound, that one is"
    if name == "eid":
        return "equal in all else; the first by id"
    own, theirs = (_text(_plain(row[column])) for column in ("value", "value_kept"))
    return f"{CRITERIA[name]} {theirs} there, {own} here"


_WORDS: Mapping[str, Callable[[_Session, _Beside], _Words]] = MappingProxyType(
    {
        "lists_parallel": _lists_parallel,
        "session_types": _session_types,
        "excluded_subjects": _excluded_subjects,
        "excluded_eids": _excluded_eids,
        "lab": _lab,
        "first_session_from": _first_session_from,
        "minimum_session_length_s": _minimum_session_length_s,
        "processed": _processed,
        "blockers": _blockers,
        "labels": _labels,
        "correction": _correction,
        "targets": _targets,
        "minimum_performance": _minimum_performance,
        "required_contrasts": _required_contrasts,
        "duplicates": _duplicates,
    }
)


def _text(value: Any) -> str:
    return UNKNOWN if value is None or pd.isna(value) or value == "" else str(value)


def _plain(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) and not np.isnan(value) else value


def _compared(value: Any, limit: float | None) -> tuple[str, str]:
    """Return a value and its limit with as many digits as tell them apart; nothing for a limit that is none."""
    needed = "" if limit is None else f"{limit:.4g}"
    if value is None or pd.isna(value):
        return UNKNOWN, needed
    short = f"{value:.4g}"
    return (str(float(value)) if short == needed and value != limit else short), needed


def _percents(contrasts: Any) -> str:
    return f"{', '.join(f'{value:g}' for value in sorted(set(contrasts)))} %"
