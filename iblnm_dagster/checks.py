"""Asset checks, generated from the registry of validation rules; what a check says is made of a session's verdict."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from iblnm_core.rules import RULES, Rule, Severity
from iblnm_core.session.verdicts import Verdict
from iblnm_dagster.partitions import SESSIONS


def session_check_specs() -> list[dg.AssetCheckSpec]:
    """Return one partitioned check per rule."""
    return [
        dg.AssetCheckSpec(
            rule.name,
            asset=rule.asset,
            description=_description(rule),
            blocking=rule.blocking,
            partitions_def=SESSIONS,
        )
        for rule in RULES.values()
    ]


def _description(rule: Rule) -> str:
    errors = ", ".join(f"{c.error.__name__} ({c.severity})" for c in rule.consequences)
    return f"{rule.description} Otherwise: {errors}."


def check_severity(verdict: Verdict) -> dg.AssetCheckSeverity:
    """Return how loud a failed check is: errors stop outputs, warnings do not."""
    return dg.AssetCheckSeverity.ERROR if verdict.fatal else dg.AssetCheckSeverity.WARN


def check_metadata(verdict: Verdict) -> Mapping[str, Any]:
    """Return what a reader of a check wants to know."""
    if verdict.passed:
        return {}
    findings = verdict.findings
    metadata: dict[str, Any] = {
        "error_type": ", ".join(dict.fromkeys(finding.error_type for finding in findings)),
        "message": "; ".join(finding.error_message for finding in findings),
        "blocks_analysis": any(finding.blocks_analysis for finding in findings),
    }
    for name in ("measured", "threshold"):
        values = [getattr(finding, name) for finding in findings if getattr(finding, name) is not None]
        if values:
            metadata[name] = ", ".join(values)
    tracebacks = [finding.traceback for finding in findings if finding.traceback]
    if tracebacks:
        metadata["traceback"] = dg.MetadataValue.md(f"```\n{tracebacks[-1]}\n```")
    return metadata


def stops_outputs(verdict: Verdict) -> bool:
    """Whether a failed check is of the kind that stops outputs."""
    return any(finding.severity is Severity.FATAL for finding in verdict.findings)
