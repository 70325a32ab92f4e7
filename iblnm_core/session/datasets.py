"""Kinds of input datasets of a session: where each lies, and what it is called. What is made of them stands in `outputs`."""

from collections.abc import Mapping
from types import MappingProxyType

DATASET_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "trials_table": r"alf/(task_\d\d/)?_ibl_trials\.table\.pqt",
        "raw_task": r"raw_(behavior_data|task_data_\d\d)/_iblrig_taskData\.raw\.jsonable",
        "signal": r"alf/photometry/photometry\.signal\.pqt",
        "locations": r"alf/photometry/photometryROI\.locations\.pqt",
        "raw_frames": r"raw_photometry_data/_neurophotometrics_fpData\.raw\.pqt",
        "wheel_times": r"alf/(task_\d\d/)?_ibl_wheel\.timestamps\.npy",
        "wheel_position": r"alf/(task_\d\d/)?_ibl_wheel\.position\.npy",
        "raw_encoder": r"raw_(behavior_data|task_data_\d\d)/_iblrig_encoderPositions\.raw\.ssv",
        "camera_times": r"alf/(task_\d\d/)?_ibl_leftCamera\.times\.npy",
        "lightning_pose": r"alf/(task_\d\d/)?_ibl_leftCamera\.lightningPose\.pqt",
        "motion_energy": r"alf/(task_\d\d/)?leftCamera\.ROIMotionEnergy\.npy",
    }
)
"""Kinds of input datasets and the regular expression of their path below the session folder."""

DATASET_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "trials_table": "_ibl_trials.table.pqt",
        "raw_task": "_iblrig_taskData.raw.jsonable",
        "signal": "photometry.signal.pqt",
        "locations": "photometryROI.locations.pqt",
        "raw_frames": "_neurophotometrics_fpData.raw.pqt",
        "wheel_times": "_ibl_wheel.timestamps.npy",
        "wheel_position": "_ibl_wheel.position.npy",
        "raw_encoder": "_iblrig_encoderPositions.raw.ssv",
        "camera_times": "_ibl_leftCamera.times.npy",
        "lightning_pose": "_ibl_leftCamera.lightningPose.pqt",
        "motion_energy": "leftCamera.ROIMotionEnergy.npy",
    }
)
"""What messages call a dataset of each kind."""
