"""The one partition dimension of the graph: the session id."""

import dagster as dg

SESSIONS = dg.DynamicPartitionsDefinition(name="eid")
