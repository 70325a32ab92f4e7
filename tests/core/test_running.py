"""All analyses on cohorts as they are: whatever is odd in one is an outcome that says why, and stops nothing else."""

import numpy as np
import pandas as pd
import pytest

from iblnm_core.analyses.outcomes import Status
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.response_analyses import RESPONSE_ANALYSES
from iblnm_core.analyses.running import results_of, run_analysis, upstream_analyses
from iblnm_core.cohort_parameters import AnalysisParameters, ModellingParameters
from iblnm_core.demo.simulated_sessions import simulate_session_tables
from iblnm_core.demo.simulated_tables import (
    OTHER_CHOICES,
    CohortTables,
    cell_table,
    course_sum_table,
    simulate_tables,
    trace_table,
    vector_table,
)
from iblnm_core.errors import MissingPrerequisite
from iblnm_core.parameters import PRESETS, Parameters
from iblnm_core.schemas import (
    CONDITION_TRACES,
    RECORDINGS,
    RESPONSE_CELLS,
    RESPONSE_MATRIX,
    RESPONSES,
    TABLES,
    TIME_COURSE_SUMS,
    TRIAL_REGRESSORS,
)
from iblnm_core.storage.tables import StoredTable, Table, make_table, write_table

PARAMETERS = Parameters(
    modelling=ModellingParameters(blocks="all"), analyses=AnalysisParameters(n_draws=50, minimum_recording_trials=30)
)
TARGETS = ("VTA-DA", "SNc-DA", "LC-NE")
STATUSES = {str(status) for status in Status}


@pytest.fixture(scope="module")
def cohort():
    tables = simulate_tables(n_sessions=36, n_subjects=15, mean_trials=250, seed=3)
    # three targets have all that can be odd about five
    return tables._replace(recordings=tables.recordings[tables.recordings["target_NM"].isin(TARGETS)])


def sessions_of(cohort):
    """What the cohort is selected from."""
    return simulate_session_tables(cohort.recordings.reset_index(drop=True), training_sessions=0, failing_share=0.0)


def analyse(cohort, parameters=PARAMETERS):
    """Run all analyses, each on the tables that those before it made; results by table name."""
    tables = {
        "responses": cohort.responses,
        "trial_regressors": cohort.regressors,
        "response_cells": cell_table(cohort.responses, cohort.regressors, OTHER_CHOICES),
        "time_course_sums": course_sum_table(cohort),
        "recordings": cohort.recordings,
        "response_matrix": vector_table(cohort, "all"),
        "condition_traces": trace_table(cohort.recordings),
        **sessions_of(cohort),
    }
    for analysis in RESPONSE_ANALYSES.values():
        read = {name: tables[name] if c is None else tables[name][list(c)] for name, c in analysis.reads.items()}
        made = results_of(analysis, read, parameters)
        # whatever the cohort is like, tables are what their schema says
        tables |= {schema.name: make_table(schema, made[schema.name]).rows.to_pandas() for schema in analysis.tables}
    return tables


def outcomes_of(tables):
    found = {name.removesuffix("_outcomes"): rows for name, rows in tables.items() if name.endswith("_outcomes")}
    for name, rows in found.items():
        assert len(rows), name
        assert set(rows["status"]) <= STATUSES, name
    return found


def statuses(tables):
    return {name: set(rows["status"]) for name, rows in outcomes_of(tables).items()}


def with_rows(cohort, **changed):
    return cohort._replace(**changed)


def test_a_sound_cohort_has_results_of_everything(cohort):
    tables = analyse(cohort)
    found = statuses(tables)
    # the firstMovement responses have no family, and three sessions of a mouse are too few for its variance
    assert found.pop("variance_components") == {"too_few_subjects"}
    # joint bands take six mice of a target
    assert found.pop("time_courses") == {"too_few_subjects"}
    assert len(tables["time_courses_subjects"])
    assert all("ok" in kinds for kinds in found.values()), found
    assert len(tables["mean_traces"]) == len(cohort.recordings) * 3 * 10 * 60
    for name, analysis in RESPONSE_ANALYSES.items():
        if name not in {"variance_components", "time_courses"}:
            assert all(len(tables[schema.name]) for schema in analysis.tables), name


def test_results_do_not_depend_on_the_order_of_the_rows(cohort):
    shuffled = CohortTables(
        *(rows.sample(frac=1, random_state=1).reset_index(drop=True) for rows in (cohort.responses, cohort.regressors)),
        cohort.recordings,
    )
    results, others = analyse(cohort), analyse(shuffled)
    for analysis in RESPONSE_ANALYSES.values():
        for schema in analysis.tables:
            pd.testing.assert_frame_equal(results[schema.name], others[schema.name], rtol=1e-6, atol=1e-9)


def test_one_mouse(cohort):
    recordings = cohort.recordings.assign(subject="the only one")
    found = statuses(analyse(with_rows(cohort, recordings=recordings)))
    for name in ("task_lmm", "response_anova", "contrast_coding", "movement_encoding", "wheel_lmm", "model_families"):
        assert found[name] == {"too_few_subjects"}, name
    assert found["target_decoding"] == {"too_few_subjects"}
    # with other sessions of the mouse left out there is nobody to compare it with
    assert found["swap_null"] - {"missing_input"} == {"no_donors"}
    assert found["baseline_coding"] == {"no_donors"}
    assert found["response_similarity"] == {"ok"}
    assert "ok" in found["drop_one"]


def test_two_mice_in_one_target(cohort):
    of_target = cohort.recordings["target_NM"] == "VTA-DA"
    mice = cohort.recordings["subject"][of_target].unique()[:2]
    tables = analyse(
        with_rows(cohort, recordings=cohort.recordings[of_target & cohort.recordings["subject"].isin(mice)])
    )
    found = statuses(tables)
    assert {"ok"} <= found["task_lmm"] <= {"ok", "boundary"}
    assert found["target_decoding"] == {"single_level"}
    families = outcomes_of(tables)["model_families"]
    assert set(families.loc[families["analysis"].str.endswith("reliability"), "status"]) == {"too_few_subjects"}


def test_a_contrast_and_an_event_that_nobody_has(cohort):
    regressors = cohort.regressors[cohort.regressors["contrast"] != 6.25]
    responses = cohort.responses[cohort.responses["event"] != "feedback_times"]
    tables = analyse(with_rows(cohort, responses=responses, regressors=regressors))
    assert "ok" in statuses(tables)["task_lmm"]
    assert set(outcomes_of(tables)["task_lmm"]["event"]) == {"stimOn", "firstMovement"}
    assert 6.25 not in set(tables["lmm_predictions_early"]["contrast"])
    assert set(tables["response_similarity_targets"]["features"]) == {"all", "stimOn"}


def test_responses_that_are_not_numbers_or_all_the_same(cohort):
    target = cohort.responses["target_NM"].to_numpy()
    size = cohort.responses["response_early"].to_numpy().copy()
    size[target == "VTA-DA"] = np.nan
    size[target == "LC-NE"] = 1.0
    size[(target == "SNc-DA") & (np.arange(len(size)) % 7 == 0)] = np.inf
    tables = analyse(with_rows(cohort, responses=cohort.responses.assign(response_early=size)))
    of_target = outcomes_of(tables)["task_lmm"].groupby("target_NM")["status"].agg(set).to_dict()
    assert "VTA-DA" not in of_target
    assert of_target["LC-NE"] == {"constant_response"}
    assert of_target["SNc-DA"] <= {"ok", "boundary"}
    left_out = outcomes_of(tables)["task_lmm"].set_index("target_NM").loc["SNc-DA", "detail"]
    assert left_out.str.contains("left out for response").all()


def test_fibres_of_unknown_side(cohort):
    recordings = cohort.recordings.assign(hemisphere="")
    unknown = with_rows(cohort, recordings=recordings)
    tables = analyse(unknown)
    found = statuses(tables)
    for name in ("task_lmm", "response_anova", "contrast_coding", "wheel_lmm", "drop_one"):
        assert found[name] == {"missing_input"}, name
    assert found["target_decoding"] == {"no_data"}
    assert "ok" in found["baseline_coding"]
    as_left = Parameters(
        modelling=ModellingParameters(blocks="all", unknown_hemisphere="left"), analyses=PARAMETERS.analyses
    )
    assert "ok" in statuses(analyse(unknown, as_left))["task_lmm"]


def test_two_fibres_in_one_target_are_two_recordings(cohort):
    twins = cohort.recordings.assign(target_NM="VTA-DA")
    tables = analyse(with_rows(cohort, recordings=twins))
    doubled = cohort.recordings["eid"].duplicated(keep=False)
    assert doubled.any()
    dropped = tables["response_ols_persession_dropone"]
    both = dropped[dropped["eid"].isin(cohort.recordings.loc[doubled, "eid"])]
    assert both.groupby("eid")["fiber_idx"].nunique().max() == 2
    assert outcomes_of(tables)["drop_one"].groupby(["eid", "event"])["fiber_idx"].nunique().max() == 2


def test_a_side_that_never_comes(cohort):
    regressors = cohort.regressors.assign(stim_side="left")
    one_side = with_rows(cohort, regressors=regressors, recordings=cohort.recordings.assign(hemisphere="l"))
    found = statuses(analyse(one_side))
    for name in ("task_lmm", "contrast_coding", "wheel_lmm", "movement_encoding"):
        assert {"single_level"} <= found[name] <= {"single_level", "too_few_subjects"}, name


def test_no_wheel_at_all(cohort):
    tables = analyse(with_rows(cohort, regressors=cohort.regressors.assign(peak_velocity=np.nan)))
    found = statuses(tables)
    assert found["drop_one"] == found["swap_null"] == {"missing_input"}
    assert found["variance_components"] == {"no_data"}
    assert {"ok", "missing_input"} <= found["wheel_lmm"]
    assert "ok" in found["task_lmm"]


@pytest.mark.parametrize("empty", ["responses", "regressors", "recordings"])
def test_nothing_of_one_kind(cohort, empty):
    found = statuses(analyse(with_rows(cohort, **{empty: getattr(cohort, empty).iloc[:0]})))
    for name in ("task_lmm", "response_anova", "contrast_coding", "movement_encoding", "wheel_lmm", "model_families"):
        assert found[name] == {"no_data"}, name


@pytest.fixture
def folder(tmp_path, cohort):
    for schema, rows in (
        (RESPONSES, cohort.responses),
        (TRIAL_REGRESSORS, cohort.regressors),
        (RECORDINGS, cohort.recordings),
        (RESPONSE_MATRIX, vector_table(cohort, "all")),
        (CONDITION_TRACES, trace_table(cohort.recordings)),
        (RESPONSE_CELLS, cell_table(cohort.responses, cohort.regressors, OTHER_CHOICES)),
        (TIME_COURSE_SUMS, course_sum_table(cohort)),
        *((TABLES[name], rows) for name, rows in sessions_of(cohort).items()),
    ):
        write_table(tmp_path, make_table(schema, rows))
    return tmp_path


def run(folder, parameters=PARAMETERS):
    """Run all analyses on stored tables; names of those that were computed."""
    computed = set()
    for name, analysis in RESPONSE_ANALYSES.items():
        for table in run_analysis(folder, analysis, parameters).values():
            if isinstance(table, Table):
                write_table(folder, table)
                computed.add(name)
    return computed


def test_stored_results_are_returned_until_something_changes(folder, cohort):
    assert run(folder) == set(RESPONSE_ANALYSES)
    assert run(folder) == set()
    stored = run_analysis(folder, ANALYSES["task_lmm"], PARAMETERS)
    assert all(isinstance(table, StoredTable) for table in stored.values())
    assert stored["lmm_coefficients_early"].n_rows == 8 * 9
    # other trials: the frame, and what is made from it, but not the vectors
    wider = Parameters(modelling=ModellingParameters(blocks="unbiased"), analyses=PARAMETERS.analyses)
    of_frame = {name for name, analysis in RESPONSE_ANALYSES.items() if "modelling_frame" in analysis.reads}
    assert run(folder, wider) == {"modelling_frame", "sensitivity", "time_courses", "variance_components", *of_frame}
    # one recording less; sensitivity makes selections of its own
    write_table(folder, make_table(RECORDINGS, cohort.recordings.iloc[:-1]))
    assert run(folder, wider) == set(RESPONSE_ANALYSES) - {"sensitivity"}
    # another order of the same rows is nothing new
    write_table(folder, make_table(RESPONSES, cohort.responses.iloc[::-1]))
    assert run(folder, wider) == set()


def test_a_table_that_is_missing_is_named(tmp_path):
    with pytest.raises(MissingPrerequisite, match=r"table modelling_frame .*iblnm run"):
        run_analysis(tmp_path, ANALYSES["task_lmm"], PRESETS["default"])


def test_what_an_analysis_is_made_from_comes_before_it():
    assert upstream_analyses(["variance_components"]) == ["modelling_frame", "drop_one", "variance_components"]
    assert upstream_analyses(ANALYSES) == list(ANALYSES)
    made = set()
    for analysis in ANALYSES.values():
        results = {schema.name for schema in analysis.tables}
        assert set(analysis.reads) <= made | set(TABLES) - {s.name for a in ANALYSES.values() for s in a.tables}
        made |= results


def test_columns_that_an_analysis_reads_are_those_of_the_tables():
    for name, analysis in ANALYSES.items():
        for table, columns in analysis.reads.items():
            assert set(columns or ()) <= set(TABLES[table].column_names), name
