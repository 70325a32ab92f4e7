"""The cohort analyses of behaviour and of the quality of recordings: what each reads, and the one function behind it."""

from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.analyses.analysis import Analysis, TableCheck, Tables
from iblnm_core.analyses.dataset_overview import dataset_overview
from iblnm_core.analyses.learning import learning_tables
from iblnm_core.analyses.pose_summary import READS, pose_summary
from iblnm_core.analyses.psychometric_curves import psychometric_curves
from iblnm_core.analyses.qc_overview import qc_overview
from iblnm_core.analyses.rig_watch import METRICS, judge_rigs, rig_watch
from iblnm_core.analyses.target_comparison import target_comparison
from iblnm_core.parameters import Parameters
from iblnm_core.schemas.results import RESULTS


def _dataset_overview(tables: Tables, parameters: Parameters) -> Tables:
    return dataset_overview(
        tables["sessions"],
        tables["performance"],
        tables["errors"],
        minimum_performance=parameters.selection.minimum_training_performance,
        required_contrasts=frozenset(parameters.analyses.contrasts),
    )


def _learning(tables: Tables, _parameters: Parameters) -> Tables:
    return learning_tables(tables["sessions"], tables["performance"], tables["errors"])


def _target_comparison(tables: Tables, _parameters: Parameters) -> Tables:
    return target_comparison(tables["recordings"], tables["performance"])


def _psychometric_curves(tables: Tables, parameters: Parameters) -> Tables:
    return psychometric_curves(
        tables["recordings"],
        tables["performance"],
        tables["trials"],
        tables["trial_timing"],
        parameters.psychometric,
    )


def _qc_overview(tables: Tables, parameters: Parameters) -> Tables:
    least = parameters.signal_quality.minimum_unique_samples
    return qc_overview(tables["qc_photometry"], tables["sessions"], tables["errors"], minimum_unique_samples=least)


def _rig_watch(tables: Tables, parameters: Parameters) -> Tables:
    thresholds = {"n_unique_samples": parameters.signal_quality.minimum_unique_samples}
    return rig_watch(
        tables["qc_signals"], tables["qc_photometry"], tables["sessions"], parameters.rig_watch, thresholds
    )


def _pose_summary(tables: Tables, _parameters: Parameters) -> Tables:
    return pose_summary(tables)


_OF_SESSIONS = {"sessions": None, "performance": None, "errors": None}

BEHAVIOUR_ANALYSES: Mapping[str, Analysis] = MappingProxyType(
    {
        "dataset_overview": Analysis(
            _OF_SESSIONS,
            RESULTS["dataset_overview"],
            ("selection", "analyses"),
            _dataset_overview,
            "dataset_overview",
        ),
        "learning": Analysis(_OF_SESSIONS, RESULTS["learning"], (), _learning, "task_performance"),
        "target_comparison": Analysis(
            {"recordings": None, "performance": None},
            RESULTS["target_comparison"],
            (),
            _target_comparison,
            "task_performance",
        ),
        "psychometric_curves": Analysis(
            {
                "recordings": None,
                "performance": None,
                "trials": ("eid", "trial", "choice", "contrast", "signed_contrast", "probabilityLeft"),
                "trial_timing": ("eid", "trial", "reaction_time"),
            },
            RESULTS["psychometric_curves"],
            ("psychometric",),
            _psychometric_curves,
            "task_performance",
        ),
        "qc_overview": Analysis(
            {"qc_photometry": None, "sessions": None, "errors": None},
            RESULTS["qc_overview"],
            ("signal_quality",),
            _qc_overview,
            "qc_overview",
        ),
        "rig_watch": Analysis(
            {
                "qc_signals": ("eid", "fiber_idx", "subject", "date"),
                "qc_photometry": ("eid", "fiber_idx", "band", *METRICS),
                "sessions": ("eid", "lab"),
            },
            RESULTS["rig_watch"],
            ("rig_watch", "signal_quality"),
            _rig_watch,
            "qc_overview",
            checks=(
                TableCheck("rigs_steady", "rig_drift", "No rig drifts towards the loss of recordings.", judge_rigs),
            ),
        ),
        "pose_summary": Analysis(READS, RESULTS["pose_summary"], (), _pose_summary, "qc_overview"),
    }
)
"""These analyses by name, each after those it is made from."""
