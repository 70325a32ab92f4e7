"""Plans of synthetic sessions, and what the library makes of their raw frames."""

import datetime as dt

from iblnm_core.demo.plan import CLINIC_PACE, SessionPlan
from iblnm_core.demo.presets import SUBJECTS

SEED = 1


def plan(name="DEMO-DA1", day=0, *, minutes=3.0, kind="biased", **fields):
    subject = SUBJECTS[name]
    fields = {"pace": CLINIC_PACE, **fields}
    return SessionPlan(subject, subject.first_day + dt.timedelta(days=day), 1, kind, minutes, **fields)


def extracted_by_library(raw):
    """What ibl-photometry makes of raw frames, the first left out."""
    # its two modules import each other and only start this way round
    import iblphotometry.fpio  # noqa: F401
    from iblphotometry.neurophotometrics import from_neurophotometrics_df_to_photometry_df

    return from_neurophotometrics_df_to_photometry_df(raw.copy())
