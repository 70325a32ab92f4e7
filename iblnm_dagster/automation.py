"""What runs by itself: schedules for the catalogue and the tables, and the sensor that requests runs of due sessions."""

import hashlib
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from iblnm_core.errors import ConfigurationError
from iblnm_core.session.outputs import ON_REQUEST, OUTPUTS
from iblnm_dagster.partitions import SESSIONS
from iblnm_dagster.resources import RootResource
from iblnm_dagster.session_step import SESSIONS_PER_RUN

WAITS_S = (600, 3_600, 21_600, 86_400, 259_200)
"""Waits after the first, second, ... attempt at a session of which nothing changed; the last one repeats."""

READING_S = 20.0
"""How long a tick reads datasets to see whether their contents changed, s; Dagster ends a tick after 60 s."""

_MADE = [dg.AssetKey(name) for name in OUTPUTS if name not in ON_REQUEST]
"""Outputs that a tick requests."""

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Attempt:
    """What was tried at a session that is due: its state then, how often, and when to try again (s since the epoch)."""

    state: str
    attempts: int
    again_s: float


@dataclass(frozen=True)
class Plan:
    """What one tick does.

    Attributes
    ----------
    eids : tuple of str
        Sessions to run now, in the order of the partitions.
    attempts : mapping of str to Attempt
        Of all sessions that are due, these included.
    """

    eids: tuple[str, ...]
    attempts: Mapping[str, Attempt]


def plan_tick(due: Mapping[str, str], order: Sequence[str], known: Mapping[str, Attempt], now_s: float) -> Plan:
    """Decide which due sessions to run now: what is new or changed at once, what was tried already after a wait.

    Parameters
    ----------
    due : mapping of str to str
        By session id, a hash of all that makes the session due.
    order : sequence of str
        All partitions in their order.
    known : mapping of str to Attempt
        From the last tick.
    now_s : float
        Seconds since the epoch.
    """
    attempts, chosen = {}, set()
    for eid, state in due.items():
        last = known.get(eid)
        before = last.attempts if last is not None and last.state == state else 0
        if last is not None and before and now_s < last.again_s:
            attempts[eid] = last
            continue
        chosen.add(eid)
        wait = WAITS_S[min(before, len(WAITS_S) - 1)]
        attempts[eid] = Attempt(state, before + 1, now_s + wait)
    return Plan(tuple(eid for eid in order if eid in chosen), attempts)


def run_requests(plan: Plan, order: Sequence[str]) -> list[dg.RunRequest]:
    """Return the runs over the sessions of a plan: ranges when they lie together, else scattered sets."""
    place = {eid: position for position, eid in enumerate(order)}
    together = all(place[b] - place[a] == 1 for a, b in itertools.pairwise(plan.eids))
    requests = []
    for start in range(0, len(plan.eids), SESSIONS_PER_RUN):
        eids = plan.eids[start : start + SESSIONS_PER_RUN]
        key = json.dumps([[eid, plan.attempts[eid].state, plan.attempts[eid].attempts] for eid in eids])
        run_key = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        if together:
            ends = {"dagster/asset_partition_range_start": eids[0], "dagster/asset_partition_range_end": eids[-1]}
            requests.append(dg.RunRequest(run_key=run_key, tags=ends, asset_selection=_MADE))
        else:
            config = {"ops": {"session": {"config": {"eids": list(eids)}}}}
            requests.append(dg.RunRequest(run_key=run_key, run_config=config, asset_selection=_MADE))
    return requests


@dg.sensor(job_name="session_batch", minimum_interval_seconds=60)
def due_sessions(context: dg.SensorEvaluationContext, root: RootResource) -> dg.SensorResult | dg.SkipReason:
    """Request runs of the sessions that are new, changed, or could not be had before. Looks at local tables only."""
    under_way = context.instance.get_runs(dg.RunsFilter(job_name="session_batch", statuses=_UNDER_WAY), limit=1)
    if under_way:
        return dg.SkipReason(f"run {under_way[0].run_id} over sessions is under way")
    try:
        catalogue = root.catalogue()
    except ConfigurationError as error:
        return dg.SkipReason(str(error))
    name = str(SESSIONS.name)
    registered = list(context.instance.get_dynamic_partitions(name))
    new = sorted(set(catalogue.sessions).difference(registered))
    reported = context.instance.event_log_storage.get_materialized_partitions(dg.AssetKey("session_errors"))
    # what a killed run had stored but not reported is adopted
    eids = dict.fromkeys([*catalogue.due(READING_S), *(eid for eid in catalogue.sessions if eid not in reported)])
    known = {eid: Attempt(*entry) for eid, entry in json.loads(context.cursor or "{}").items()}
    order = [*registered, *new]
    plan = plan_tick({eid: catalogue.state(eid) for eid in eids}, order, known, time.time())
    cursor = json.dumps({eid: [a.state, a.attempts, a.again_s] for eid, a in plan.attempts.items()})
    additions = [SESSIONS.build_add_request(new)] if new else []
    waiting = len(plan.attempts) - len(plan.eids)
    skip = f"nothing is due; {waiting} sessions wait for another attempt" if waiting else "nothing is due"
    return dg.SensorResult(
        run_requests=run_requests(plan, order),
        dynamic_partitions_requests=additions,
        cursor=cursor,
        skip_reason=None if plan.eids else dg.SkipReason(skip),
    )


catalogue_daily = dg.ScheduleDefinition(
    name="catalogue_daily",
    job_name="catalogue",
    cron_schedule="0 4 * * *",
    execution_timezone="UTC",
    description="Ask the source for new and changed sessions.",
)

tables_hourly = dg.ScheduleDefinition(
    name="tables_hourly",
    job_name="collect",
    cron_schedule="30 * * * *",
    execution_timezone="UTC",
    description="Bring the collected tables, the standing of all sessions, the analyses and the figures up to date.",
)
