"""What came out of the synthetic cohort against what was planted in it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from iblnm_core.demo.plan import SessionPlan
from iblnm_core.rules import Severity
from iblnm_core.session.fingerprint import Provenance
from iblnm_core.session.outputs import ORDINARY
from iblnm_core.session.verdicts import Finding, Verdict

NOT_PLANTED = frozenset({"corrections", "transients", "pose"})
"""Outputs whose rules say something about every session, which stops nothing: opinions on corrections, and pose, which most have none of."""


@dataclass(frozen=True)
class Surprise:
    """One difference between plan and outcome of one session."""

    eid: str
    plant: str | None
    text: str


def surprises(
    plan: SessionPlan, eid: str, provenance: Mapping[str, Provenance], verdicts: Mapping[str, Verdict]
) -> list[Surprise]:
    """Return how a session's outcome differs from its plan: errors that should be there, errors and gaps that should not.

    Parameters
    ----------
    plan : SessionPlan
    eid : str
    provenance, verdicts
        As stored.
    """
    texts = list(_error_surprises(plan, verdicts.values()))
    stored = {name for name in ORDINARY if name in provenance and provenance[name].state == "stored"}
    expected = frozenset(ORDINARY) - plan.absent
    texts += [f"{name} should exist and does not" for name in sorted(expected - stored)]
    texts += [f"{name} should not exist and does" for name in sorted(stored - expected)]
    return [Surprise(eid, plan.plant, text) for text in texts]


def _error_surprises(plan: SessionPlan, verdicts: Iterable[Verdict]) -> Iterable[str]:
    unexplained = [
        (verdict.asset, finding)
        for verdict in verdicts
        if verdict.asset not in NOT_PLANTED
        for finding in verdict.findings
    ]
    for error in plan.expected:
        found = [
            entry
            for entry in unexplained
            if entry[0] == error.asset
            and entry[1].error_type == error.error_type
            and (entry[1].severity is Severity.FATAL) == error.fatal
            and re.search(error.message_pattern, entry[1].error_message)
        ]
        if found:
            unexplained.remove(found[0])
        else:
            yield f"{error.error_type} of {error.asset} ({error.message_pattern}) was planted and not found"
    for asset, finding in unexplained:
        yield f"{asset} has {_described(finding)}, which was not planted"


def _described(finding: Finding) -> str:
    return f"{finding.severity} {finding.error_type}: {finding.error_message}"
