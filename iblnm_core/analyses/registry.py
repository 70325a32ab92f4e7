"""The analyses of the frame of responses: what each takes, the tables it makes, and the one function behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from iblnm_core.analyses.anova import anova
from iblnm_core.analyses.contrast_comparison import compare_contrast_codings
from iblnm_core.analyses.model_families import ModelOptions
from iblnm_core.analyses.movement import movement_loso, timing_slopes
from iblnm_core.analyses.task_lmm import fit_task_models
from iblnm_core.analyses.wheel_lmm import wheel_lmm
from iblnm_core.parameters import ModellingParameters
from iblnm_core.schemas import models
from iblnm_core.table_schema import TableSchema

Results = Mapping[str, pd.DataFrame]
_MODEL = ("target_NM", "event", "subject", "contrast", "side", "feedbackType", "response")


@dataclass(frozen=True)
class Analysis:
    """One analysis of the modelling frame.

    Attributes
    ----------
    columns : tuple of str
        Columns of the frame that it reads.
    tables : tuple of TableSchema
        What it makes; the last has the outcomes.
    run : callable
        From the frame and the parameters to rows by table name.
    """

    columns: tuple[str, ...]
    tables: tuple[TableSchema, ...]
    run: Callable[[pd.DataFrame, ModellingParameters], Results]


_LMM_TABLES = {
    "coefficients": models.LMM_COEFFICIENTS,
    "variance_explained": models.LMM_VARIANCE,
    "predictions": models.LMM_PREDICTIONS,
    "marginal_means": models.LMM_MEANS,
    "contrast_slopes": models.LMM_SLOPES,
    "interactions": models.LMM_INTERACTIONS,
}


def _task_lmm(frame: pd.DataFrame, parameters: ModellingParameters) -> Results:
    found = fit_task_models(frame, coding=parameters.contrast_coding, levels=parameters.contrasts)
    tables = {schema.name: getattr(found.tables, name) for name, schema in _LMM_TABLES.items()}
    return {**tables, "task_lmm_outcomes": found.outcomes}


def _response_anova(frame: pd.DataFrame, _parameters: ModellingParameters) -> Results:
    table, outcomes = anova(frame)
    return {models.ANOVA.name: table, "response_anova_outcomes": outcomes}


def _contrast_coding(frame: pd.DataFrame, parameters: ModellingParameters) -> Results:
    table, outcomes = compare_contrast_codings(frame, levels=parameters.contrasts)
    return {models.CONTRAST_CODING.name: table, "contrast_coding_outcomes": outcomes}


def _movement_encoding(frame: pd.DataFrame, parameters: ModellingParameters) -> Results:
    options = ModelOptions(coding=parameters.contrast_coding, levels=parameters.contrasts)
    loso, loso_outcomes = movement_loso(frame, options)
    slopes, slope_outcomes = timing_slopes(frame, options)
    outcomes = pd.concat([loso_outcomes, slope_outcomes], ignore_index=True)
    return {models.MOVEMENT_LOSO.name: loso, models.TIMING_SLOPES.name: slopes, "movement_encoding_outcomes": outcomes}


def _wheel_lmm(frame: pd.DataFrame, _parameters: ModellingParameters) -> Results:
    table, outcomes = wheel_lmm(frame)
    return {models.WHEEL_LMM.name: table, "wheel_lmm_outcomes": outcomes}


ANALYSES: Mapping[str, Analysis] = MappingProxyType(
    {
        "task_lmm": Analysis(_MODEL, models.RESULTS["task_lmm"], _task_lmm),
        "response_anova": Analysis(_MODEL, models.RESULTS["response_anova"], _response_anova),
        "contrast_coding": Analysis(_MODEL, models.RESULTS["contrast_coding"], _contrast_coding),
        "movement_encoding": Analysis(
            (*_MODEL, "log_reaction_time", "log_movement_time"), models.RESULTS["movement_encoding"], _movement_encoding
        ),
        "wheel_lmm": Analysis(
            (*_MODEL, "choice", "reaction_time", "movement_time", "peak_velocity"),
            models.RESULTS["wheel_lmm"],
            _wheel_lmm,
        ),
    }
)
"""All analyses by name, in the order in which they are shown."""
