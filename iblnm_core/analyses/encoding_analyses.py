"""The cohort analyses of how the task is encoded in responses: what each reads, and the one function behind it."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from iblnm_core.analyses.analysis import Analysis, Tables
from iblnm_core.analyses.behavioural_view import behavioural_view
from iblnm_core.analyses.cohort_cca import CcaTables, cohort_cca
from iblnm_core.analyses.components import component_tables
from iblnm_core.analyses.encoding_summary import encoding_summary
from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.analyses.session_glm import coefficient_matrix, session_glm
from iblnm_core.analyses.two_block import block_cca, dispersion_tables, two_block_models
from iblnm_core.parameters import Parameters
from iblnm_core.schemas.results import RESULTS

_RECORDING = ("eid", "fiber_idx", "subject", "session_type", "target_NM", "brain_region", "hemisphere")
_FIT = ("eid", "fiber_idx", "event", "trial", "contrast", "side", "feedbackType", "response")
_MOVEMENT = ("subject", "target_NM", "brain_region", "choice_side", "log_reaction_time", "peak_velocity")
_PERFORMANCE = ("eid", "psych_50_threshold", "psych_50_bias", "psych_50_lapse_left", "psych_50_lapse_right")
_LEVELS = ["eid", "target_NM", "fiber_idx", "subject"]
_CCA_TABLES = ("summary", "weights", "scores", "cross_projection", "weight_similarity")


def _glm_coefficients(tables: Tables, parameters: Parameters) -> Tables:
    options = parameters.analyses
    least = parameters.task_encoding.minimum_trials
    found = session_glm(
        tables["modelling_frame"], tables["recordings"], options.contrast_coding, options.contrasts, least
    )
    return {"glm_coefficients": found.coefficients, "glm_coefficients_outcomes": found.outcomes}


def _matrices(tables: Tables, parameters: Parameters) -> dict[str, pd.DataFrame]:
    """Return the coefficients of all recordings by event."""
    rows = tables["glm_coefficients"]
    value = parameters.task_encoding.coefficients
    return {str(event): coefficient_matrix(rows, event, value=value) for event in sorted(rows["event"].unique())}


def _coefficient_components(tables: Tables, parameters: Parameters) -> Tables:
    found = component_tables(_matrices(tables, parameters), parameters.task_encoding.n_components)
    return {
        "encoding_components": found.components,
        "encoding_scores": found.scores,
        "encoding_subject_scores": found.subjects,
        "encoding_score_tests": found.tests,
        "coefficient_components_outcomes": found.outcomes,
    }


def _behavioural_view(tables: Tables, _parameters: Parameters) -> Tables:
    view, outcomes = behavioural_view(tables["recordings"], tables["performance"])
    return {"behavioural_view": view.reset_index(), "behavioural_view_outcomes": outcomes}


def _behaviour(tables: Tables) -> pd.DataFrame:
    return tables["behavioural_view"].set_index(_LEVELS)


def _joined(found: list[CcaTables], prefix: str) -> dict[str, pd.DataFrame]:
    """Return the tables of several correlations as one each."""
    tables = {
        f"{prefix}cca_{name}": pd.concat([getattr(part, name) for part in found], ignore_index=True)
        for name in _CCA_TABLES
    }
    summary = tables[f"{prefix}cca_summary"]
    q_values = false_discovery_rate(summary["p_session"].to_numpy(np.float64))
    return {**tables, f"{prefix}cca_summary": summary.assign(q_session=q_values)}


def _cohort_cca(tables: Tables, parameters: Parameters) -> Tables:
    options = parameters.task_encoding
    matrices, behaviour = _matrices(tables, parameters), _behaviour(tables)
    found = [
        cohort_cca(matrices, behaviour, options.n_permutations, options.seed, variant) for variant in options.variants
    ]
    outcomes = [part.outcomes.assign(variable=name) for part, name in zip(found, options.variants, strict=True)]
    return {**_joined(found, ""), "cohort_cca_outcomes": pd.concat(outcomes, ignore_index=True)}


def _two_block_cca(tables: Tables, parameters: Parameters) -> Tables:
    options = parameters.task_encoding
    models = two_block_models(
        tables["modelling_frame"], parameters.analyses.contrasts, parameters.analyses.minimum_recording_trials
    )
    found = block_cca(models.coefficients, _behaviour(tables), options.n_permutations, options.seed)
    spread = dispersion_tables(models.coefficients, tables["recordings"], tables["performance"])
    outcomes = [models.outcomes, found.outcomes, spread.outcomes]
    return {
        **_joined([found], "two_block_"),
        "two_block_coefficients": models.coefficients,
        "dispersion": spread.units,
        "dispersion_tests": spread.tests,
        "two_block_cca_outcomes": pd.concat(outcomes, ignore_index=True),
    }


def _encoding_summary(tables: Tables, _parameters: Parameters) -> Tables:
    return encoding_summary(
        tables["encoding_fits"], tables["encoding_kernels"], tables["encoding_delta_r2"], tables["recordings"]
    )


ENCODING_ANALYSES: Mapping[str, Analysis] = MappingProxyType(
    {
        name: Analysis(reads, RESULTS[name], sections, run, "task_encoding")
        for name, reads, sections, run in (
            (
                "glm_coefficients",
                {"modelling_frame": _FIT, "recordings": _RECORDING},
                ("analyses", "task_encoding"),
                _glm_coefficients,
            ),
            (
                "behavioural_view",
                {"recordings": _RECORDING, "performance": _PERFORMANCE},
                (),
                _behavioural_view,
            ),
            ("coefficient_components", {"glm_coefficients": None}, ("task_encoding",), _coefficient_components),
            (
                "cohort_cca",
                {"glm_coefficients": None, "behavioural_view": None},
                ("task_encoding",),
                _cohort_cca,
            ),
            (
                "two_block_cca",
                {
                    "modelling_frame": (*_FIT, *_MOVEMENT),
                    "recordings": _RECORDING,
                    "performance": _PERFORMANCE,
                    "behavioural_view": None,
                },
                ("analyses", "task_encoding"),
                _two_block_cca,
            ),
            (
                "encoding_summary",
                {"encoding_fits": None, "encoding_kernels": None, "encoding_delta_r2": None, "recordings": _RECORDING},
                (),
                _encoding_summary,
            ),
        )
    }
)
"""These analyses by name, each after those it is made from."""
