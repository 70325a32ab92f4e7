"""Two states of a root: which sessions came, went or changed and why, which tables changed, and which numbers moved."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from iblnm_core.cohort.collect import COLLECTED
from iblnm_core.freezing.rows import RowChanges, compare_rows
from iblnm_core.freezing.storing import State
from iblnm_core.reports.texts import listed
from iblnm_core.session.outputs import OUTPUTS, upstream

_LONGEST_VALUE = 60
_SHORT_HASH = 8
_NONE = "none"


@dataclass(frozen=True)
class SessionChange:
    """What became of one session.

    Attributes
    ----------
    eid, name : str
        The name is subject, date and the beginning of the id.
    kind : {'came', 'went', 'changed'}
    reasons : tuple of str
    """

    eid: str
    name: str
    kind: Literal["came", "went", "changed"]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class TableChange:
    """What became of one table.

    Attributes
    ----------
    name : str
    kind : {'came', 'went', 'changed'}
    n_before, n_after : int
        Its rows.
    reasons : tuple of str
        What it is made of that changed.
    by_summary : bool
        Whether only summaries of its columns could be compared.
    rows : RowChanges or None
        None for a table that came or went.
    """

    name: str
    kind: Literal["came", "went", "changed"]
    n_before: int
    n_after: int
    reasons: tuple[str, ...] = ()
    by_summary: bool = False
    rows: RowChanges | None = None


@dataclass(frozen=True)
class Comparison:
    """What is different between two states.

    Attributes
    ----------
    before, after : str
        Their names.
    notices : tuple of str
        What was not current in one of them.
    settings : mapping of str to tuple of str
        What changed of the parameters, code, libraries and labels, in words.
    n_sessions : int
        Sessions that are in both.
    sessions : tuple of SessionChange
    n_tables : int
        Tables that are in both.
    tables : tuple of TableChange
        In the order of the most important row of each.
    rounded : tuple of str
        Tables whose numbers differ by rounding only.
    figures : tuple of str
        Families of figures that changed, in words.
    moved : DataFrame
        All rows that moved, as in `RowChanges`, with the `table` in front; the most important first.
    """

    before: str
    after: str
    notices: tuple[str, ...]
    settings: Mapping[str, tuple[str, ...]]
    n_sessions: int
    sessions: tuple[SessionChange, ...]
    n_tables: int
    tables: tuple[TableChange, ...]
    rounded: tuple[str, ...]
    figures: tuple[str, ...]
    moved: pd.DataFrame

    @property
    def nothing(self) -> bool:
        """Whether nothing changed."""
        return not (self.sessions or self.tables or self.figures or any(self.settings.values()))


def compare(before: State, after: State) -> Comparison:
    """Return what is different between two states of a root.

    Parameters
    ----------
    before, after : State

    Raises
    ------
    ConfigurationError
        When a table of a freeze is not what was frozen.
    CorruptArtifact
        When a table of the present state cannot be read.
    """
    old, new = before.manifest, after.manifest
    names = {eid: session_name(eid, entry) for side in (old, new) for eid, entry in side["sessions"].items()}
    compared = [_table(before, after, name, names) for name in _both(old["tables"], new["tables"])]
    changed = [table for table in compared if table is not None]
    # a summary that is the same does not say that the rows are
    rounded = tuple(
        table.name for table in changed if table.rows is not None and table.rows.nothing and not table.by_summary
    )
    told = [table for table in changed if table.name not in rounded]
    moved = _ranked(told)
    place = {name: number for number, name in enumerate(moved["table"].unique())}
    tables = tuple(sorted(told, key=lambda table: place.get(table.name, len(place))))
    states = (before, after)
    notices = (f"{state.name}: {text}" for state in states for text in _not_current(state.manifest))
    return Comparison(
        before.name,
        after.name,
        tuple(notices),
        {
            "Parameters": (
                *differences({"preset": old["preset"]}, {"preset": new["preset"]}),
                *differences(old["parameters"], new["parameters"]),
            ),
            "Code": tuple(differences(old["code"], new["code"])),
            "Libraries": tuple(differences(old["libraries"], new["libraries"])),
            "Labels": tuple(_label_words(old["labels"], new["labels"], names)),
        },
        len(old["sessions"].keys() & new["sessions"].keys()),
        tuple(_sessions(old, new, names)),
        len(old["tables"].keys() & new["tables"].keys()),
        tables,
        rounded,
        tuple(_figures(old["figures"], new["figures"])),
        moved,
    )


def session_name(eid: str, entry: Mapping[str, Any]) -> str:
    """Return a session as people call it: subject, date and the beginning of its id."""
    return " ".join(part for part in (entry["subject"], entry["date"], eid[:_SHORT_HASH]) if part)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values that differ, `section.name: from → to`; what is missing on one side is `none`.

    Parameters
    ----------
    before, after : mapping
        Of names to values, or to mappings of such.
    """
    for name in _both(before, after):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            yield from (f"{name}.{text}" for text in differences(old or {}, new or {}))
        elif old != new:
            yield f"{name}: {_shown(old)} → {_shown(new)}"


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return names of both sides, each once, in their order."""
    return list(dict.fromkeys([*before, *after]))


def _shown(value: Any) -> str:
    text = _NONE if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _not_current(manifest: Mapping[str, Any]) -> list[str]:
    return [*manifest["behind"], *manifest["unsettled"]]


def _label_words(before: Mapping[str, str], after: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    for recording in sorted(before.keys() | after.keys()):
        if before.get(recording) != after.get(recording):
            eid, _, fiber = recording.partition(" ")
            yield f"{names.get(eid, eid)} fibre {fiber}: {_label_change(before, after, recording)}"


def _label_change(before: Mapping[str, str], after: Mapping[str, str], recording: str) -> str:
    return f"{_shown(before.get(recording))} → {_shown(after.get(recording))}"


def _sessions(old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[SessionChange]:
    before, after = old["sessions"], new["sessions"]
    for eid in sorted(before.keys() | after.keys(), key=lambda eid: names[eid]):
        if eid not in after:
            yield SessionChange(eid, names[eid], "went", (_use(before[eid]),))
        elif eid not in before:
            yield SessionChange(eid, names[eid], "came", (_use(after[eid]),))
        else:
            causes = (*_session_causes(before[eid], after[eid], old, new), *_session_labels(eid, old, new))
            reasons = (*causes, *_session_outcomes(before[eid], after[eid]))
            if reasons:
                yield SessionChange(eid, names[eid], "changed", tuple(dict.fromkeys(reasons)))


def _use(entry: Mapping[str, Any]) -> str:
    n_used = len(entry["fibers"])
    return f"analyses used {n_used} of its recordings" if n_used else "no analysis of recordings used it"


def _session_causes(
    before: Mapping[str, Any], after: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what a session is made from that changed."""
    for path in _both(before["inputs"], after["inputs"]):
        was, now = before["inputs"].get(path), after["inputs"].get(path)
        if was != now:
            yield f"input {path}: {_hash_words(was)} → {_hash_words(now)}"
    outputs = before["outputs"].keys() & after["outputs"].keys()
    differing = {
        part: {name for name in outputs if before["outputs"][name][part] != after["outputs"][name][part]}
        for part in ("parameters", "code")
    }
    steps = upstream(differing["parameters"] & OUTPUTS.keys())
    sections = {section for step in steps for section in OUTPUTS[step].parameters}
    for text in differences(old["parameters"], new["parameters"]):
        if text.partition(".")[0] in sections:
            yield f"parameter {text}"
    own = tuple(differences(old["code"]["outputs"], new["code"]["outputs"]))
    if differing["code"]:
        yield from (f"code of {text}" for text in own)
        by_hand = {name for name in differing["code"] if "by hand" in _codes(before, after, name)}
        yield from (f"code of {name}: {' → '.join(_codes(before, after, name))}" for name in sorted(by_hand))
    yield from (f"library {text}" for text in differences(before["libraries"], after["libraries"]))
    yield from (f"catalogue {text}" for text in differences(before["row"], after["row"]))


def _session_outcomes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what followed: outputs that came out differently, and fibres that analyses use or not any more."""
    for name in _both(before["outputs"], after["outputs"]):
        was, now = (_outcome(side["outputs"].get(name)) for side in (before, after))
        if was != now:
            yield f"output {name}: {was} → {now}"
    if before["fibers"] != after["fibers"]:
        yield f"fibres that analyses use: {_fibers(before['fibers'])} → {_fibers(after['fibers'])}"


def _codes(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> tuple[str, str]:
    return str(before["outputs"][name]["code"]), str(after["outputs"][name]["code"])


def _hash_words(digest: str | None) -> str:
    return "absent" if digest is None else digest[:_SHORT_HASH]


def _outcome(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "not made"
    return str(entry["state"]) if entry["stopped_by"] is None else f"{entry['state']} by {entry['stopped_by']}"


def _fibers(fibers: Sequence[int]) -> str:
    return ", ".join(str(fiber) for fiber in fibers) or "none"


def _session_labels(eid: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = old["labels"], new["labels"]
    for recording in sorted(before.keys() | after.keys()):
        if recording.startswith(f"{eid} ") and before.get(recording) != after.get(recording):
            yield f"label of fibre {recording.partition(' ')[2]}: {_label_change(before, after, recording)}"


def _table(before: State, after: State, name: str, names: Mapping[str, str]) -> TableChange | None:
    """Return what became of a table; None when its content is the same."""
    old, new = (state.manifest["tables"].get(name) for state in (before, after))
    if old is None or new is None:
        n_before, n_after = (0 if entry is None else entry["n_rows"] for entry in (old, new))
        return TableChange(name, "came" if old is None else "went", n_before, n_after)
    if old["content_hash"] == new["content_hash"]:
        return None
    by_summary = not (old["kept"] and new["kept"]) or old["key"] != new["key"]
    if by_summary:
        rows = compare_rows(_summary_rows(before, name), _summary_rows(after, name), ("column",))
    else:
        rows = compare_rows(before.read(name), after.read(name), old["key"], names)
    reasons = ("session files",) if name in COLLECTED else tuple(_table_reasons(old, new))
    return TableChange(name, "changed", old["n_rows"], new["n_rows"], reasons, by_summary, rows)


def _summary_rows(state: State, name: str) -> pd.DataFrame:
    """Return the summary of a table as a table: one row per column."""
    summary = state.summary(name)
    numbers = {number: None for column in summary.values() for number in column}
    columns = {number: [column.get(number) for column in summary.values()] for number in numbers}
    return pd.DataFrame(columns, dtype=float).assign(column=list(summary))


def _table_reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a table is made of that changed; nothing for one that is no analysis."""
    old, new = before["made_from"], after["made_from"]
    if old and new:
        names = _both(old["inputs"], new["inputs"])
        inputs = [name for name in names if old["inputs"].get(name) != new["inputs"].get(name)]
        if inputs:
            yield f"made from changed {', '.join(inputs)}"
        yield from (f"parameter {text}" for text in differences(old["parameters"], new["parameters"]))
        yield from (
            f"code {text}" for text in differences({"version": old["code_version"]}, {"version": new["code_version"]})
        )
    yield from (f"library {text}" for text in differences(before["libraries"] or {}, after["libraries"] or {}))


def _figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in _both(before, after):
        if name not in before or name not in after:
            yield f"{name}: {'came' if name in after else 'went'}"
        elif before[name]["content_hash"] != after[name]["content_hash"]:
            old, new = before[name]["pictures"], after[name]["pictures"]
            drawn = [picture for picture in _both(old, new) if old.get(picture) != new.get(picture)]
            yield f"{name}: {listed(drawn) or 'same numbers, other look or words'}"


def _ranked(tables: Sequence[TableChange]) -> pd.DataFrame:
    """Return the rows of all tables that moved: changes of significance first, then the largest changes."""
    frames = [table.rows.moved.assign(table=table.name) for table in tables if table.rows is not None]
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame(columns=["table", "row", "column", "significance"])
    rows = pd.concat(filled, ignore_index=True)
    rows["same_side"] = rows["significance"] == ""
    rows = rows.sort_values(
        ["same_side", "importance", "table"], ascending=[True, False, True], kind="stable", ignore_index=True
    )
    return rows[["table", *rows.columns.drop(["table", "same_side"])]]
