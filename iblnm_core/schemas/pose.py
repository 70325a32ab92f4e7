"""Schema of the table about movement in the video."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID
from iblnm_core.table_schema import Column, TableSchema

_THIRDS = {"early": "first", "mid": "second", "late": "last"}


def _delta(name: str, description: str, unit: str = "") -> Column:
    return Column(name, "number", f"{description}, less that before the stimulus", unit, nullable=True)


POSE = TableSchema(
    "pose",
    PurePosixPath("metadata/pose.pqt"),
    "Movement of paws and face in the left camera's video: one row per session that has trials and camera times.",
    ("eid",),
    (
        EID,
        Column("lp_exists", "truth", "whether there is a LightningPose that could be used"),
        Column("motion_energy_exists", "truth", "whether there is a motion energy that could be used"),
        Column("mean_rt", "number", "mean time from stimulus to feedback", "s", nullable=True),
        _delta("paw", "speed of both paws after the first movement", "px/s"),
        _delta("nose", "speed of the nose after the stimulus", "px/s"),
        _delta("tongue_speed", "speed of both ends of the tongue after feedback", "px/s"),
        _delta("tongue_likelihood", "likelihood of the tongue (0-1) after feedback"),
        _delta("motion_energy", "motion energy after the stimulus", "arbitrary units"),
        Column("drift", "number", "peak_lag_late minus peak_lag_early", "s", nullable=True),
        *(
            Column(
                f"peak_lag_{third}",
                "number",
                f"by how much paws lead the wheel in the {words} third; null without a peak",
                "s",
                nullable=True,
            )
            for third, words in _THIRDS.items()
        ),
        *(
            Column(
                f"peak_val_{third}",
                "number",
                f"largest correlation of paw and wheel speed in the {words} third",
                nullable=True,
            )
            for third, words in _THIRDS.items()
        ),
    ),
)
