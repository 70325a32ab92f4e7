"""The cohort analyses of responses and movements: what each reads, and the one function behind it."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from iblnm_core.analyses.analysis import Analysis, Columns, TableCheck, Tables
from iblnm_core.analyses.anova import anova
from iblnm_core.analyses.baseline_coding import MODELS, baseline_coding, baseline_tables
from iblnm_core.analyses.baseline_recordings import baseline_recordings
from iblnm_core.analyses.comparisons import cohort_matrix, compare_recordings, decoding_tables
from iblnm_core.analyses.contrast_comparison import compare_contrast_codings
from iblnm_core.analyses.decoding import TargetNMDecoder
from iblnm_core.analyses.drop_one import CodedRecording, code_recordings, drop_one
from iblnm_core.analyses.frame import modelling_frame
from iblnm_core.analyses.model_families import (
    TASK_FAMILIES,
    ModelOptions,
    coefficients,
    explained_variance,
    marginal_means,
)
from iblnm_core.analyses.movement import (
    CEILINGS,
    MOVEMENT_FAMILIES,
    movement_loso,
    reliability,
    timing_slopes,
)
from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.analyses.response_curves import contrast_curves, traces_by_target
from iblnm_core.analyses.sensitivity import judge_effects, sensitivity
from iblnm_core.analyses.summaries import baseline_means, baseline_shares, loso_summary, mouse_means
from iblnm_core.analyses.swap_null import mouse_p_values, recording_p_values, swap_nulls
from iblnm_core.analyses.task_lmm import fit_task_models
from iblnm_core.analyses.time_courses import time_courses
from iblnm_core.analyses.traces import mean_traces
from iblnm_core.analyses.variance_components import variance_components
from iblnm_core.analyses.wheel_lmm import wheel_lmm
from iblnm_core.parameters import Parameters
from iblnm_core.schemas.results import RESULTS

_FRAME = "modelling_frame"
_MODEL = ("target_NM", "event", "subject", "contrast", "side", "feedbackType", "response")
_MOVEMENT = ("choice_side", "log_reaction_time", "peak_velocity")
_MODELLED_EVENTS = ("stimOn", "feedback")
"""Responses to the movement lie between the two, and hold parts of both."""
_OF_RECORDING = ("eid", "fiber_idx", "brain_region", "trial")


def _modelling_frame(tables: Tables, parameters: Parameters) -> Tables:
    frame = modelling_frame(tables["responses"], tables["trial_regressors"], tables["recordings"], parameters.modelling)
    return {_FRAME: frame}


def _mean_traces(tables: Tables, _parameters: Parameters) -> Tables:
    return {"mean_traces": mean_traces(tables["condition_traces"], tables["recordings"])}


def _response_curves(tables: Tables, parameters: Parameters) -> Tables:
    options = parameters.analyses
    curves, outcomes = contrast_curves(tables[_FRAME], options.minimum_cell_trials)
    traces = traces_by_target(tables["condition_traces"], tables["recordings"], options.minimum_trace_trials)
    return {"contrast_curves": curves, "traces_by_target": traces, "response_curves_outcomes": outcomes}


def _matrix(tables: Tables, parameters: Parameters) -> pd.DataFrame:
    share = parameters.vectors.largest_missing_share
    return cohort_matrix(tables["response_matrix"], tables["recordings"], threshold=share)


def _response_similarity(tables: Tables, parameters: Parameters) -> Tables:
    return compare_recordings(_matrix(tables, parameters))


def _target_decoding(tables: Tables, parameters: Parameters) -> Tables:
    decoder = TargetNMDecoder(tuning_score=parameters.analyses.decoder_tuning_score)
    return decoding_tables(_matrix(tables, parameters), decoder)


_LMM_TABLES = {
    "lmm_coefficients_early": "coefficients",
    "lmm_variance_explained_early": "variance_explained",
    "lmm_predictions_early": "predictions",
    "lmm_emm_early": "marginal_means",
    "lmm_contrast_slopes_early": "contrast_slopes",
    "lmm_interactions_early": "interactions",
}


def _task_lmm(tables: Tables, parameters: Parameters) -> Tables:
    options = parameters.analyses
    found = fit_task_models(
        tables[_FRAME],
        coding=options.contrast_coding,
        levels=options.contrasts,
        random_effects=options.random_effects,
    )
    results = {name: getattr(found.tables, attribute) for name, attribute in _LMM_TABLES.items()}
    return {**results, "task_lmm_outcomes": found.outcomes}


def _sensitivity(tables: Tables, parameters: Parameters) -> Tables:
    return sensitivity(tables["responses"], tables["trial_regressors"], tables["response_cells"], tables, parameters)


def _time_courses(tables: Tables, parameters: Parameters) -> Tables:
    found = time_courses(tables["time_course_sums"], tables["recordings"], parameters.modelling, parameters.analyses)
    return {
        "time_courses": found.courses,
        "time_courses_subjects": found.subjects,
        "time_courses_outcomes": found.outcomes,
    }


def _response_anova(tables: Tables, _parameters: Parameters) -> Tables:
    table, outcomes = anova(tables[_FRAME])
    return {"anova_subject_means": table, "response_anova_outcomes": outcomes}


def _contrast_coding(tables: Tables, parameters: Parameters) -> Tables:
    table, outcomes = compare_contrast_codings(tables[_FRAME], levels=parameters.analyses.contrasts)
    return {"contrast_coding_comparison": table, "contrast_coding_outcomes": outcomes}


def _options(parameters: Parameters) -> ModelOptions:
    return ModelOptions(coding=parameters.analyses.contrast_coding, levels=parameters.analyses.contrasts)


def _model_families(tables: Tables, parameters: Parameters) -> Tables:
    frame, options = tables[_FRAME], _options(parameters)
    compared = (*TASK_FAMILIES, *MOVEMENT_FAMILIES)
    shares, share_outcomes = explained_variance(frame, (*compared, *CEILINGS), options)
    terms, term_outcomes = coefficients(frame, (*compared, *CEILINGS), options)
    means, mean_outcomes = marginal_means(frame, TASK_FAMILIES, options, ["contrast", "side"])
    reliable = reliability(frame, compared, options)
    of_term = ["target_NM", "event", "family", "movement_var", "term"]
    outcomes = [share_outcomes, term_outcomes, mean_outcomes, reliable.outcomes]
    return {
        "response_lmm_r2": shares,
        "response_lmm_coefficients": terms.assign(term_n=terms.groupby(of_term, dropna=False).cumcount()),
        "response_lmm_means": means,
        "response_lmm_reliability_cv": reliable.cross_validation,
        "response_lmm_reliability_jackknife": reliable.jackknife,
        "model_families_outcomes": pd.concat(outcomes, ignore_index=True),
    }


def _coded(tables: Tables, parameters: Parameters) -> list[CodedRecording]:
    frame = tables[_FRAME]
    rows = frame[frame["event"].isin(_MODELLED_EVENTS)]
    return code_recordings(rows, parameters.analyses.contrast_coding, parameters.analyses.contrasts)


def _drop_one(tables: Tables, parameters: Parameters) -> Tables:
    found = drop_one(_coded(tables, parameters), parameters.analyses.minimum_recording_trials)
    return {
        "response_ols_persession_dropone": found.delta_r2,
        "response_ols_persession_coefs": found.coefficients,
        "response_ols_persession_mice": mouse_means(found.delta_r2, ["event", "predictor"], ["r2", "delta_r2"]),
        "drop_one_outcomes": found.outcomes,
    }


def _swap_null(tables: Tables, parameters: Parameters) -> Tables:
    options = parameters.analyses
    nulls, outcomes = swap_nulls(
        _coded(tables, parameters), options.minimum_recording_trials, options.donors_of_same_mouse == "left_out"
    )
    recordings = recording_p_values(nulls)
    q_values = false_discovery_rate(recordings["p_value"].to_numpy())
    return {
        "response_ols_persession_dropone_pvalues": mouse_p_values(nulls),
        "response_ols_persession_pvalues": recordings.assign(q_value=q_values),
        "swap_null_outcomes": outcomes,
    }


def _variance_components(tables: Tables, _parameters: Parameters) -> Tables:
    found = variance_components(tables["response_ols_persession_coefs"])
    return {
        "response_varcomp_summary": found.summary,
        "response_varcomp_violin": found.densities,
        "variance_components_outcomes": found.outcomes,
    }


def _baseline_coding(tables: Tables, parameters: Parameters) -> Tables:
    options = parameters.analyses
    recordings = baseline_recordings(
        tables["responses"], tables["trial_regressors"], tables["recordings"], options.minimum_reaction_time_s
    )
    alone = options.donors_of_same_mouse == "left_out"
    results = baseline_tables(
        {
            model: baseline_coding(recordings, model, options.n_draws, options.seed, exclude_same_mouse=alone)
            for model in MODELS
        }
    )
    tests = {str(model): results[f"baseline_{model}"] for model in MODELS}
    return {**results, "baseline_mice": baseline_means(tests), "baseline_shares": baseline_shares(tests)}


def _movement_encoding(tables: Tables, parameters: Parameters) -> Tables:
    loso, loso_outcomes = movement_loso(tables[_FRAME], _options(parameters))
    slopes, slope_outcomes = timing_slopes(tables[_FRAME], _options(parameters))
    return {
        "loso_cv_model_comparison": loso,
        "loso_cv_summary": loso_summary(loso),
        "per_contrast_slopes": slopes,
        "movement_encoding_outcomes": pd.concat([loso_outcomes, slope_outcomes], ignore_index=True),
    }


def _wheel_lmm(tables: Tables, _parameters: Parameters) -> Tables:
    table, outcomes = wheel_lmm(tables[_FRAME])
    return {"wheel_lmm": table, "wheel_lmm_outcomes": outcomes}


_RECORDING_FRAME: Mapping[str, Columns] = {_FRAME: (*_MODEL, *_OF_RECORDING, *_MOVEMENT)}
_SELECTED = ("eid", "fiber_idx", "subject", "target_NM", "brain_region")
_VECTORS: Mapping[str, Columns] = {"response_matrix": None, "recordings": _SELECTED}

_CHECKS = {
    "sensitivity": (
        TableCheck(
            "effects_robust",
            "sensitivity",
            "No effect of the task changes its sign, halves or doubles under another choice of the analysis.",
            judge_effects,
        ),
    )
}

RESPONSE_ANALYSES: Mapping[str, Analysis] = MappingProxyType(
    {
        name: Analysis(reads, RESULTS[name], sections, run, stage, checks=_CHECKS.get(name, ()))
        for name, reads, sections, run, stage in (
            (
                _FRAME,
                {
                    "responses": ("eid", "fiber_idx", "event", "trial", "response_early"),
                    "trial_regressors": None,
                    "recordings": (*_SELECTED, "session_type", "hemisphere"),
                },
                ("modelling",),
                _modelling_frame,
                "responses",
            ),
            ("mean_traces", {"condition_traces": None, "recordings": _SELECTED}, (), _mean_traces, "responses"),
            (
                "response_curves",
                {
                    "condition_traces": None,
                    "recordings": _SELECTED,
                    _FRAME: ("eid", "fiber_idx", *_MODEL),
                },
                ("analyses",),
                _response_curves,
                "responses",
            ),
            ("response_similarity", _VECTORS, ("vectors",), _response_similarity, "responses"),
            ("target_decoding", _VECTORS, ("vectors", "analyses"), _target_decoding, "responses"),
            ("task_lmm", {_FRAME: _MODEL}, ("analyses",), _task_lmm, "responses"),
            (
                "sensitivity",
                {
                    "responses": ("eid", "fiber_idx", "event", "trial", "response_early"),
                    "trial_regressors": None,
                    "response_cells": None,
                    **dict.fromkeys(("sessions", "errors", "performance", "session_status", "labels")),
                    "corrections": ("eid", "fiber_idx", "correction", "is_primary", "status"),
                },
                ("selection", "modelling", "analyses", "corrections", "magnitudes"),
                _sensitivity,
                "responses",
            ),
            (
                "time_courses",
                {"time_course_sums": None, "recordings": (*_SELECTED, "hemisphere")},
                ("modelling", "analyses"),
                _time_courses,
                "responses",
            ),
            ("response_anova", {_FRAME: _MODEL}, (), _response_anova, "responses"),
            ("contrast_coding", {_FRAME: _MODEL}, ("analyses",), _contrast_coding, "responses"),
            ("model_families", {_FRAME: (*_MODEL, *_MOVEMENT)}, ("analyses",), _model_families, "responses"),
            ("drop_one", _RECORDING_FRAME, ("analyses",), _drop_one, "responses"),
            ("swap_null", _RECORDING_FRAME, ("analyses",), _swap_null, "responses"),
            ("variance_components", {"response_ols_persession_coefs": None}, (), _variance_components, "responses"),
            (
                "baseline_coding",
                {
                    "responses": ("eid", "fiber_idx", "event", "trial", "pre_event"),
                    "trial_regressors": None,
                    "recordings": _SELECTED,
                },
                ("analyses",),
                _baseline_coding,
                "responses",
            ),
            (
                "movement_encoding",
                {_FRAME: (*_MODEL, "log_reaction_time", "log_movement_time")},
                ("analyses",),
                _movement_encoding,
                "movement_encoding",
            ),
            (
                "wheel_lmm",
                {_FRAME: (*_MODEL, "choice", "reaction_time", "movement_time", "peak_velocity")},
                (),
                _wheel_lmm,
                "movement_encoding",
            ),
        )
    }
)
"""These analyses by name, each after those it is made from."""
