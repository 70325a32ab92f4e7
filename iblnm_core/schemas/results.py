"""Which tables every cohort analysis makes, and the schemas of how its groups came out."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from iblnm_core.schemas import (
    dataset_overview,
    learning,
    models,
    pose,
    psychometric,
    qc_overview,
    recording_models,
    response_curves,
    rig_watch,
    sensitivity,
    similarity,
    task_encoding,
    time_courses,
)
from iblnm_core.schemas.analyses import MEAN_TRACES, MODELLING_FRAME
from iblnm_core.schemas.keys import EVENT, TARGET, result_table
from iblnm_core.schemas.models import N_SUBJECTS, N_TRIALS
from iblnm_core.schemas.recording_models import RECORDING
from iblnm_core.table_schema import Column, TableSchema


def _outcomes(analysis: str, folder: str, of_each: tuple[Column, ...] = ()) -> TableSchema:
    """Return the schema of the outcomes of an analysis: one row per group, whether a result came out or why not."""
    return result_table(
        folder,
        f"{analysis}_outcomes",
        f"How every {'recording' if of_each else 'group'} of `{analysis}` came out, or why it has no result.",
        ("target_NM", "event", *(column.name for column in of_each[:2]), "analysis", "contrast", "variable"),
        (
            Column("analysis", "text", "the analysis"),
            TARGET,
            EVENT,
            *(replace(column, nullable=True) for column in of_each),
            Column("contrast", "number", "when the group is of one contrast", "%", nullable=True),
            Column("variable", "text", "when there are several: variable, coding or family", nullable=True),
            Column("status", "text", "ok, boundary (no variance between mice), or why there is no result"),
            N_TRIALS,
            N_SUBJECTS,
            Column("detail", "text", "what else to know", nullable=True),
        ),
    )


RESULTS: Mapping[str, tuple[TableSchema, ...]] = MappingProxyType(
    {
        "modelling_frame": (MODELLING_FRAME,),
        "mean_traces": (MEAN_TRACES,),
        "response_curves": (
            response_curves.CONTRAST_CURVES,
            response_curves.TRACES_BY_TARGET,
            _outcomes("response_curves", "responses"),
        ),
        "response_similarity": (
            similarity.SIMILARITY_TARGETS,
            similarity.SIMILARITY_PAIRS,
            similarity.SIMILARITY_MATRIX,
            _outcomes("response_similarity", "responses"),
        ),
        "target_decoding": (
            similarity.DECODING_SCORES,
            similarity.DECODING_CONFUSION,
            similarity.DECODING_COEFFICIENTS,
            similarity.DECODING_CONTRIBUTIONS,
            similarity.DECODING_PREDICTIONS,
            _outcomes("target_decoding", "target_decoding"),
        ),
        "task_lmm": (
            models.LMM_COEFFICIENTS,
            models.LMM_VARIANCE,
            models.LMM_PREDICTIONS,
            models.LMM_MEANS,
            models.LMM_SLOPES,
            models.LMM_INTERACTIONS,
            _outcomes("task_lmm", "responses"),
        ),
        "sensitivity": (sensitivity.SENSITIVITY, _outcomes("sensitivity", "responses")),
        "time_courses": (
            time_courses.TIME_COURSES,
            time_courses.TIME_COURSES_SUBJECTS,
            _outcomes("time_courses", "responses"),
        ),
        "response_anova": (models.ANOVA, _outcomes("response_anova", "responses")),
        "contrast_coding": (models.CONTRAST_CODING, _outcomes("contrast_coding", "responses")),
        "model_families": (
            models.FAMILY_VARIANCE,
            models.FAMILY_COEFFICIENTS,
            models.FAMILY_MEANS,
            models.FAMILY_CROSS_VALIDATION,
            models.FAMILY_JACKKNIFE,
            _outcomes("model_families", "responses"),
        ),
        "drop_one": (
            recording_models.DROP_ONE,
            recording_models.SESSION_COEFFICIENTS,
            recording_models.DROP_ONE_MICE,
            _outcomes("drop_one", "responses", RECORDING),
        ),
        "swap_null": (
            recording_models.SWAP_MICE,
            recording_models.SWAP_RECORDINGS,
            _outcomes("swap_null", "responses", RECORDING),
        ),
        "variance_components": (
            recording_models.VARIANCE_SUMMARY,
            recording_models.VARIANCE_DENSITIES,
            _outcomes("variance_components", "responses"),
        ),
        "baseline_coding": (
            recording_models.BASELINE_PERFORMANCE,
            recording_models.BASELINE_REACTION_TIME,
            recording_models.BASELINE_MICE,
            recording_models.BASELINE_SHARES,
            _outcomes("baseline_coding", "baseline", RECORDING),
        ),
        "movement_encoding": (
            models.MOVEMENT_LOSO,
            models.MOVEMENT_LOSO_SUMMARY,
            models.TIMING_SLOPES,
            _outcomes("movement_encoding", "movement_encoding"),
        ),
        "wheel_lmm": (models.WHEEL_LMM, _outcomes("wheel_lmm", "movement_encoding")),
        "glm_coefficients": (
            task_encoding.GLM_COEFFICIENTS,
            _outcomes("glm_coefficients", "task_encoding", RECORDING),
        ),
        "behavioural_view": (
            task_encoding.BEHAVIOURAL_VIEW,
            _outcomes("behavioural_view", "task_encoding", RECORDING),
        ),
        "coefficient_components": (
            task_encoding.COMPONENTS,
            task_encoding.COMPONENT_SCORES,
            task_encoding.COMPONENT_SUBJECTS,
            task_encoding.COMPONENT_TESTS,
            _outcomes("coefficient_components", "task_encoding"),
        ),
        "cohort_cca": (
            task_encoding.CCA_SUMMARY,
            task_encoding.CCA_WEIGHTS,
            task_encoding.CCA_SCORES,
            task_encoding.CCA_CROSS_PROJECTION,
            task_encoding.CCA_WEIGHT_SIMILARITY,
            _outcomes("cohort_cca", "task_encoding"),
        ),
        "two_block_cca": (
            *task_encoding.TWO_BLOCK_CCA,
            task_encoding.TWO_BLOCK_COEFFICIENTS,
            task_encoding.DISPERSION,
            task_encoding.DISPERSION_TESTS,
            _outcomes("two_block_cca", "task_encoding", RECORDING),
        ),
        "encoding_summary": (
            task_encoding.TARGET_DELTA_R2,
            task_encoding.TARGET_FITS,
            task_encoding.TARGET_KERNELS,
            _outcomes("encoding_summary", "task_encoding"),
        ),
        "dataset_overview": (
            dataset_overview.SESSION_MATRIX,
            dataset_overview.COMPLETE_RECORDINGS,
            _outcomes("dataset_overview", "dataset_overview"),
        ),
        "learning": (
            learning.LEARNING_CURVES,
            learning.PERFORMANCE_TRAJECTORY,
            learning.PSYCHOMETRIC_TRAJECTORIES,
            learning.BIAS_SHIFT_TRAJECTORIES,
            learning.STAGE_PROGRESS,
            learning.STAGE_CURVES,
            _outcomes("learning", "task_performance"),
        ),
        "target_comparison": (
            learning.TARGET_COMPARISON,
            learning.TARGET_SUBJECTS,
            learning.TARGET_SESSIONS,
            _outcomes("target_comparison", "task_performance"),
        ),
        "psychometric_curves": (
            psychometric.PSYCHOMETRIC_CURVES,
            psychometric.PSYCHOMETRIC_MEANS,
            psychometric.MOUSE_PARAMETERS,
            psychometric.REACTION_TIMES,
            psychometric.REACTION_TIME_MEANS,
            _outcomes("psychometric_curves", "task_performance"),
        ),
        "qc_overview": (
            qc_overview.QC_MONTHLY,
            qc_overview.QC_SIGNALS,
            qc_overview.QC_DISTRIBUTIONS,
            qc_overview.QC_SCORES,
            qc_overview.QC_CORRELATIONS,
            qc_overview.QC_PCA,
            qc_overview.QC_PCA_LOADINGS,
            _outcomes("qc_overview", "qc_overview"),
        ),
        "rig_watch": (rig_watch.RIG_DRIFT, rig_watch.RIG_WEEKLY),
        "pose_summary": (pose.POSE_SESSIONS, pose.POSE_CORRELATIONS, _outcomes("pose_summary", "qc_overview")),
    }
)
"""Tables of every analysis by its name: the main one first; the outcomes, where there are such, last."""
