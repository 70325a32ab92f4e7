"""What the rules said about one session: collecting verdicts while its stages run, and their tabular form."""

import contextlib
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from iblnm_core.errors import SessionError, UnexpectedError, family
from iblnm_core.rules import RULES, Consequence, Severity
from iblnm_core.session.outputs import OUTPUTS


@dataclass(frozen=True)
class Finding:
    """One typed error of one rule, as it is stored.

    `measured` and `threshold` are texts, because rules measure numbers, names and lists alike; null when a rule
    measures nothing.
    """

    error_type: str
    error_message: str
    severity: Severity
    blocks_analysis: bool
    error_family: str
    measured: str | None = None
    threshold: str | None = None
    traceback: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What one rule said: it holds when there is no finding."""

    rule: str
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the rule holds."""
        return not self.findings

    @property
    def asset(self) -> str:
        """The output that the rule belongs to."""
        return RULES[self.rule].asset

    @property
    def fatal(self) -> bool:
        """Whether a finding is fatal."""
        return any(finding.severity is Severity.FATAL for finding in self.findings)


@dataclass
class Judge:
    """Collects the verdicts of one session, and knows what they stop.

    Parameters
    ----------
    verdicts : dict of str to Verdict
        Verdicts that stand already: those of stored outputs that are not computed again.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    """Outputs that will not be produced, and the error type that stops each."""

    def __post_init__(self) -> None:
        """Let standing verdicts stop what they stopped when they were made."""
        for name, verdict in self.verdicts.items():
            for finding in verdict.findings:
                for consequence in RULES[name].consequences:
                    if consequence.error.__name__ in finding.error_family.split():
                        self._stop(consequence.stops, finding.error_type)

    def rule(self, name: str) -> "_RuleBlock":
        """Judge one rule: it holds when the block ends, and fails when the block raises an error that it lists.

        Other exceptions pass; they are not verdicts.
        """
        return _RuleBlock(self, name)

    def record(self, name: str, errors: Sequence[SessionError]) -> None:
        """Add what a rule found; a rule that is judged in several steps keeps all its findings."""
        found = list(self.verdicts[name].findings) if name in self.verdicts else []
        for error in errors:
            consequence = RULES[name].consequence(error)
            found.append(_finding(error, consequence))
            self._stop(consequence.stops, type(error).__name__)
        self.verdicts[name] = Verdict(name, tuple(found))

    def unexpected(self, exception: BaseException, outputs: Iterable[str]) -> None:
        """Record what no rule foresees; it stops the given outputs and those made from them."""
        error = UnexpectedError(f"{type(exception).__name__}: {exception}")
        error.__traceback__ = exception.__traceback__
        self.record("no_unexpected_error", [error])
        text = "".join(traceback.format_exception(exception))
        verdict = self.verdicts["no_unexpected_error"]
        last = verdict.findings[-1]
        with_traceback = Finding(**{**vars(last), "traceback": text})
        self.verdicts["no_unexpected_error"] = Verdict(verdict.rule, (*verdict.findings[:-1], with_traceback))
        stopped = set(outputs)
        for name, output in OUTPUTS.items():
            if name != "session_errors" and stopped.intersection(output.depends):
                stopped.add(name)
        self._stop(stopped, UnexpectedError.__name__)

    def _stop(self, outputs: Iterable[str], error_type: str) -> None:
        for name in outputs:
            self.stopped.setdefault(name, error_type)


class _RuleBlock(contextlib.AbstractContextManager[None]):
    """A block of code whose outcome is the verdict of a rule."""

    def __init__(self, judge: Judge, name: str) -> None:
        self.judge = judge
        self.name = name

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        if error is None:
            self.judge.record(self.name, [])
        elif isinstance(error, SessionError):
            self.judge.record(self.name, [error])
        return isinstance(error, SessionError)


def _finding(error: SessionError, consequence: Consequence) -> Finding:
    return Finding(
        error_type=type(error).__name__,
        error_message=error.message,
        severity=consequence.severity,
        blocks_analysis=consequence.blocks_analysis,
        error_family=" ".join(family(type(error))),
        measured=_text(error.measured),
        threshold=_text(error.threshold),
    )


def _text(value: float | str | None) -> str | None:
    return value if value is None or isinstance(value, str) else f"{value:g}"


ERROR_COLUMNS = (
    "eid",
    "error_type",
    "error_message",
    "traceback",
    "asset",
    "rule",
    "stage",
    "severity",
    "blocks_analysis",
    "error_family",
    "measured",
    "threshold",
)
"""Columns of an error row: the four that users know first, in the documented order."""


def error_rows(eid: str, verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Return one row per finding, in the order of the rules."""
    by_rule = {verdict.rule: verdict for verdict in verdicts}
    rows: list[dict[str, Any]] = []
    for name, rule in RULES.items():
        for finding in by_rule[name].findings if name in by_rule else ():
            common = {"eid": eid, "asset": rule.asset, "rule": name, "stage": OUTPUTS[rule.asset].stage}
            row = {**common, **vars(finding), "severity": str(finding.severity)}
            rows.append({column: row[column] for column in ERROR_COLUMNS})
    return rows


def verdicts_from(passed: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> dict[str, Verdict]:
    """Return verdicts from their stored form.

    Parameters
    ----------
    passed : iterable of str
        Names of rules that held. Rules that this version does not know are left out.
    rows : iterable of mapping
        Error rows, as `error_rows` makes them.
    """
    verdicts = {name: Verdict(name) for name in passed if name in RULES}
    found: dict[str, list[Finding]] = {}
    for row in rows:
        name = str(row["rule"])
        if name in RULES:
            finding = Finding(
                error_type=str(row["error_type"]),
                error_message=str(row["error_message"]),
                severity=Severity(row["severity"]),
                blocks_analysis=bool(row["blocks_analysis"]),
                error_family=str(row["error_family"]),
                measured=row["measured"],
                threshold=row["threshold"],
                traceback=row["traceback"],
            )
            found.setdefault(name, []).append(finding)
    verdicts |= {name: Verdict(name, tuple(findings)) for name, findings in found.items()}
    return {name: verdicts[name] for name in RULES if name in verdicts}
