"""What a user sees and does in the web interface: the graph, a batch with a failed session, mending that session."""

import os
from pathlib import Path

import pytest
from conftest import TRIALS

from iblnm_core.cohort.collect import COLLECTED
from iblnm_core.root import create_root
from iblnm_core.schemas import SESSION_STATUS, SESSIONS
from iblnm_core.session.outputs import OUTPUTS
from iblnm_core.storage.tables import read_table

SESSION_GROUP = "/asset-groups~group:%22session%22"
RESPONSES = "/assets/responses?view=partitions"
CHECK = "/assets/trials?view=checks&checkDetail=enough_trials"
