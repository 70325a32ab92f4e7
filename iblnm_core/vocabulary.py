"""Lookup tables of the project: targets, session types, dataset categories, names. No logic beyond looking up."""

import re
from collections.abc import Mapping
from types import MappingProxyType

PROJECT = "ibl_fibrephotometry"

NEUROMODULATOR_OF_REGION = MappingProxyType(
    {"VTA": "DA", "SNc": "DA", "DR": "5HT", "MR": "5HT", "LC": "NE", "NBM": "ACh", "SI": "ACh", "PPT": "ACh"}
)
"""Target regions and the neuromodulator recorded there."""

MIDLINE_REGIONS = frozenset({"DR", "MR"})
"""Targets on the midline, which have no hemisphere."""

TARGETS = tuple(f"{region}-{neuromodulator}" for region, neuromodulator in NEUROMODULATOR_OF_REGION.items())

_REGION_SPELLINGS = MappingProxyType({"DRN": "DR", "SNC": "SNc"})

STRAINS = (
    "B6.Cg",
    "B6.129S2",
    "B6J.Cg-Gt",
    "B6.Cg-Igs7",
    "C57BL/6J",
    "B6.129(Cg)-Slc6a4",
    "B6.SJL-Slc6a3t",
    "B6;129S6-Chat",
    "B6.Cg-Dbh",
)
"""Mouse strains of the project."""

NEUROMODULATOR_OF_GENETICS = MappingProxyType(
    {
        "Ai148xSERTCre": "5HT",
        "Ai95xSERTCre": "5HT",
        "Ai148xDATCre": "DA",
        "Ai148xDbhCre": "NE",
        "Ai148xDbh-Cre": "NE",
        "Ai148xTHCre": "NE",
        "Ai148xChATCre": "ACh",
        "Ai148xSert": "5HT",
        "Ai148xDat": "DA",
        "Ai148xDbh": "NE",
        "Ai148xTh": "NE",
        "Ai148xChat": "ACh",
        "Ai148cdhxChat": "ACh",
        "Ai148-G6f-cdh x Chat-cre": "ACh",
    }
)
"""Crosses of the project, as strain or line of a mouse, and the neuromodulator whose neurons they label."""

SESSION_TYPES = (
    "habituation",
    "training",
    "advanced",
    "neuromodulator",
    "biased",
    "ephys",
    "passive",
)
"""Session types that a protocol names as `<type>ChoiceWorld`."""

ANALYSED_SESSION_TYPES = ("training", "biased", "ephys")
"""Session types that cohort analyses use."""

PROTOCOL_RED_FLAGS = ("RPE", "DELAY", "delay")

QC_OUTCOMES: Mapping[int, str] = MappingProxyType({0: "NOT_SET", 10: "PASS", 30: "WARNING", 40: "FAIL", 50: "CRITICAL"})
"""Outcomes of quality control by their number in Alyx, from good to bad; NOT_SET says nothing."""

VIDEO_QUALITY = tuple(
    f"qc_videoLeft_{name}" for name in ("focus", "position", "brightness", "resolution", "wheel_alignment")
)
"""What the acquisition's quality control says of the left camera's pictures, as keys of the extended quality control."""

VIDEO_PROBLEMS: Mapping[str, str] = MappingProxyType(
    {f"video_{name}": f"qc_videoLeft_{name}" for name in ("timestamps", "dropped_frames", "pin_state")}
)
"""What it says of the camera's timing, by the rule that judges it."""

VIDEO_LABELS = (*VIDEO_QUALITY, *VIDEO_PROBLEMS.values())

OTHER_SESSIONS = "other sessions"
TABLE_OF_FIBERS = "table of fibres"
"""Where the regions of a session come from that no dataset of its own names: of the same subject, one or the other."""

EXCLUDED_SUBJECTS = frozenset(
    {
        "SP066",
        "SP072",
        "SP073",
        "SP074",
        "SP075",
        "SP076",
        "VIV-45585",
        "VIV-45598",
        "VIV-47615",
        "VIV-47627",
        "photometry_test_subject_A",
        "photometry_test_subject_B",
        "test_mouse",
    }
)

DATASET_CATEGORIES = MappingProxyType(
    {
        "raw_task": r"raw_(behavior_data|task_data_\d\d)/_iblrig_taskData\.raw\.jsonable",
        "raw_video": r"raw_video_data/_iblrig_leftCamera\.raw\.mp4",
        "raw_photometry_channels": r"raw_photometry_data/_neurophotometrics_fpData\.channels\.csv",
        "raw_photometry_signals": r"raw_photometry_data/_neurophotometrics_fpData\.raw\.pqt",
        "extracted_task": r"alf/(task_\d\d/)?_ibl_trials\.table\.pqt",
        "extracted_wheel": r"alf/(task_\d\d/)?_ibl_wheel\.position\.npy",
        "extracted_photometry_signal": r"alf/photometry/photometry\.signal\.pqt",
        "extracted_photometry_locations": r"alf/photometry/photometryROI\.locations\.pqt",
    }
)
"""Dataset categories and the regular expression of their path below the session folder."""


def split_region(name: str) -> tuple[str, str]:
    """Return the bare region and the hemisphere (`l`, `r` or empty) of a region name such as `VTA-l`."""
    bare, separator, side = name.rpartition("-")
    return (bare, side) if separator and side in {"l", "r"} else (name, "")


def normalise_region(name: str) -> str:
    """Return the project's spelling of a region name, its hemisphere suffix kept.

    The one normaliser for session metadata, signal columns and fibre tables: `DRN-l` becomes `DR-l`, `SNC` `SNc`.
    """
    bare, side = split_region(name.strip())
    bare = _REGION_SPELLINGS.get(bare, bare)
    return f"{bare}-{side}" if side else bare


_SAFE_NAME = re.compile(r"[^\W_][\w .+()&;,#-]{0,99}")


def is_safe_name(name: str) -> bool:
    """Whether a name from the source can serve as a folder or group name: no separator, no control character."""
    return bool(_SAFE_NAME.fullmatch(name)) and ".." not in name
