"""Numbers under the figures of models in the report of a cohort: those of the stored tables, in order, readable."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tests_support.report_pages import assert_accessible, parsed, table_of, text_of

from iblnm_core.figures.drawing import draw_family
from iblnm_core.figures.family import Drawn, Family
from iblnm_core.figures.registry import FAMILIES as DRAWN
from iblnm_core.parameters import Parameters
from iblnm_core.reports import cohort as cohort_module
from iblnm_core.reports.cohort import cohort_page
from iblnm_core.reports.cohort_reading import read_cohort
from iblnm_core.reports.model_tables import STATISTICS, STATISTICS_READ, statistics_tables
from iblnm_core.reports.render import render_cohort
from iblnm_core.reports.texts import UNKNOWN, interval, probability
from iblnm_core.reports.writing import write_cohort_report
from iblnm_core.root import create_root
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import make_table, write_table

PLAIN = {"text": "x", "number": 0.5, "integer": 3, "truth": False}
HOSTILE = "<script>alert(1)</script>"


def store(root, name, *rows):
    """Store rows of a table; columns that are not given have a plain value."""
    schema = TABLES[name]
    full = [{column.name: row.get(column.name, PLAIN[column.kind]) for column in schema.columns} for row in rows]
    write_table(root, make_table(schema, pd.DataFrame(full, columns=schema.column_names)))


def texts(view):
    return [tuple(cell.text for cell in row.cells) for row in view.rows]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "cache").mkdir()
    return create_root(tmp_path / "root", source="local", cache=tmp_path / "cache")


def store_coefficients(root):
    rows = [
        {"target_NM": target, "event": event, "term": term, "Coef.": value, "t_ci_lower": -1.2345, "t_ci_upper": 2, **q}
        for target, event, term, value, q in (
            ("LC-NE", "stimOn", "side", 0.123456, {"t_q_value": 0.00001}),
            ("VTA-DA", "feedback", "contrast:side", -0.5, {"t_q_value": np.nan}),
            ("VTA-DA", "stimOn", HOSTILE, 1.0, {"t_q_value": 0.0456}),
        )
    ]
    store(root, "lmm_coefficients_early", *rows)
    counts = [
        {"target_NM": target, "event": event, "n_subjects": n, "n_trials": 1234}
        for target, event, n in (("LC-NE", "stimOn", 4), ("VTA-DA", "feedback", 5), ("VTA-DA", "stimOn", 6))
    ]
    store(root, "lmm_variance_explained_early", *counts)


def test_coefficients_stand_by_target_and_event_with_interval_q_and_n(root):
    store_coefficients(root.path)
    (view,) = statistics_tables(root.path, "response_models")
    assert view.folded
    assert tuple(view.headers) == ("Target", "Event", "Term", "Estimate", "95 % interval", "q", "Mice", "Trials")
    assert texts(view) == [
        ("VTA-DA", "stimulus", HOSTILE, "1", "-1.23 to 2", "0.046", "6", "1\u202f234"),
        (
            "VTA-DA",
            "feedback",
            "contrast \N{MULTIPLICATION SIGN} side",
            "-0.5",
            "-1.23 to 2",
            UNKNOWN,
            "5",
            "1\u202f234",
        ),
        ("LC-NE", "stimulus", "side", "0.123", "-1.23 to 2", "< 0.001", "4", "1\u202f234"),
    ]


def test_effects_without_error_have_no_f_and_few_recordings_are_named(root):
    effects = [
        {"target_NM": "VTA-DA", "event": "stimOn", "Source": "contrast", "F": 4.56789, "Num DF": 2.0, "Den DF": 13.0},
        {"target_NM": "VTA-DA", "event": "stimOn", "Source": "side", "F": np.nan, "Num DF": 1.0, "Den DF": 13.0},
    ]
    store(root.path, "anova_subject_means", *effects)
    (view,) = statistics_tables(root.path, "response_models")
    assert [row[3] for row in texts(view)] == ["4.57 (2, 13)", UNKNOWN]
    correlations = [
        {"target_NM": "LC-NE", "event": event, "low_n": event == "stimOn"} for event in ("feedback", "stimOn")
    ]
    store(root.path, "cca_summary", *correlations)
    (view,) = statistics_tables(root.path, "task_encoding")
    assert [row[8] for row in texts(view)] == ["3 (few)", "3"]


@pytest.mark.parametrize("family", list(STATISTICS))
def test_every_table_of_numbers_reads_columns_that_its_table_has(root, family):
    for name in {name for each in STATISTICS[family] for name in (each.name, each.counts) if name}:
        store(root.path, name, {"target_NM": "VTA-DA", "event": "stimOn", "measure": "r2_full"})
    views = statistics_tables(root.path, family)
    assert len(views) == len(STATISTICS[family])
    assert all(len(view.rows) == 1 and UNKNOWN not in texts(view)[0] for view in views)
    assert family in DRAWN


def test_tables_that_are_not_stored_or_empty_are_left_out(root):
    assert statistics_tables(root.path, "response_models") == ()
    store(root.path, "anova_subject_means")
    assert statistics_tables(root.path, "response_models") == ()
    assert statistics_tables(root.path, "fibre_locations") == ()


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.0004, "< 0.001"), (0.001, "0.001"), (0.04567, "0.046"), (1, "1"), (np.nan, UNKNOWN), (None, UNKNOWN)],
)
def test_probabilities_have_two_digits(p, words):
    assert probability(p) == words


def test_an_interval_with_an_unknown_bound_is_unknown():
    assert interval(-0.25, 1234.5) == "-0.25 to 1\u202f234"
    assert interval(np.nan, 1) == interval(1, np.nan) == UNKNOWN


def test_the_page_shows_numbers_under_the_last_picture_of_their_family(root):
    store_coefficients(root.path)

    def draw(_tables, _parameters, _theme):
        for name in ("first", "second"):
            yield Drawn(name, Figure(figsize=(2, 2)), pd.DataFrame(), f"The {name} picture.")

    family = Family("response_models", "Two.", "responses", {"lmm_coefficients_early": None}, draw)
    draw_family(root.path, family, Parameters())
    content = render_cohort(cohort_page(root, read_cohort(root), frozenset()))
    tree = parsed(content)
    assert_accessible(tree)
    assert len(table_of(tree, "Coefficients of the mixed models")) == 3
    words = text_of(tree)
    assert (
        words.index("The first picture") < words.index("The second picture") < words.index("Coefficients of the mixed")
    )
    assert "<script>alert" not in content.decode()
    assert "response_models" in cohort_module.FAMILIES["models"]


def test_the_page_is_made_again_when_numbers_change(root):
    first = write_cohort_report(root)
    stamp = first.path.stat().st_mtime_ns
    write_cohort_report(root)
    assert first.path.stat().st_mtime_ns == stamp
    store(root.path, "cca_summary", {"target_NM": "VTA-DA", "event": "stimOn"})
    assert "cca_summary" in STATISTICS_READ
    write_cohort_report(root)
    assert first.path.stat().st_mtime_ns != stamp


def test_of_held_out_scores_those_that_the_figure_shows_are_there(root):
    measures = ("centred_r2_full", "delta_r2_contrast", "delta_r2_timing", "r2_full", "r2_drop_timing")
    rows = [{"target_NM": "VTA-DA", "event": "stimOn", "measure": name, "sem": np.nan} for name in measures]
    store(root.path, "loso_cv_summary", *rows)
    (view,) = statistics_tables(root.path, "movement_encoding")
    assert [row[3] for row in texts(view)] == ["ΔR² of contrast", "ΔR² of timing", "R² of the whole model"]
    assert {row[5] for row in texts(view)} == {UNKNOWN}
