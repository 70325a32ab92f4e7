"""How mice of each target choose and how fast: means over mice by hand, and the figures of them."""

import numpy as np
import pandas as pd
import pytest
from tests_support.drawn_families import draw, outside, smallest_font, texts

from iblnm_core.analyses.psychometric_curves import psychometric_curves
from iblnm_core.figures.task_performance import TASK_PERFORMANCE
from iblnm_core.parameters import PsychometricParameters
from iblnm_core.schemas import PERFORMANCE


@pytest.fixture(scope="module")
def made():
    eids, mice = ["a", "b", "c"], ["m1", "m1", "m2"]
    recordings = pd.DataFrame({"eid": eids, "subject": mice, "target_NM": ["VTA-DA", "VTA-DA", "XX-NEW"]})
    performance = PERFORMANCE.arrow().empty_table().to_pandas().reindex(range(3)).assign(eid=eids)
    fits = {"bias": [0.0, 20.0, 0.0], "threshold": 20.0, "lapse_left": 0.0, "lapse_right": 0.1, "n_trials": 4}
    performance = performance.assign(
        **{f"psych_50_{name}": value for name, value in fits.items()}, psych_50_status="ok"
    )
    one = pd.DataFrame(
        {"trial": range(4), "choice": [1.0, -1.0, 0.0, -1.0], "signed_contrast": [-0.0, 0.0, 25.0, 25.0]}
    )
    trials = pd.concat([one.assign(eid=eid) for eid in eids], ignore_index=True)
    trials = trials.assign(contrast=trials["signed_contrast"].abs(), probabilityLeft=0.5)
    timing = trials[["eid", "trial"]].assign(reaction_time=[0.1, 0.3, 9.0, 0.2] * 2 + [-1.0, 0.4, 9.0, 0.4])
    return psychometric_curves(recordings, performance, trials, timing, PsychometricParameters())


def test_functions_of_sessions_are_averaged_within_the_mouse(made):
    curves = made["psychometric_curves"].set_index(["target_NM", "source", "signed_contrast"])["probability"]
    # the lower asymptote is the lapse; at the bias the function is halfway
    assert curves["VTA-DA", "fit", -100.0] == pytest.approx(0.1)
    assert curves["XX-NEW", "fit", 0.0] == pytest.approx(0.55)
    assert curves["VTA-DA", "fit", 0.0] < 0.5
    # the two sides of zero are one level, and no choice is none
    assert curves["VTA-DA", "choices", 0.0] == 0.5
    assert curves["VTA-DA", "choices", 25.0] == 1.0


def test_reaction_times_are_those_of_choices_and_positive(made):
    times = made["reaction_times"].set_index(["target_NM", "contrast"])
    assert times["median"].to_dict() == pytest.approx(
        {("VTA-DA", 0.0): 0.2, ("VTA-DA", 25.0): 0.2, ("XX-NEW", 0.0): 0.4, ("XX-NEW", 25.0): 0.4}
    )
    assert times["n_trials"].tolist() == [4, 2, 1, 1]
    assert np.isnan(made["reaction_time_means"]["lower"]).all()


def test_the_grid_draws_what_the_tables_hold_one_mouse_and_unknown_targets_too(made):
    drawn = draw(TASK_PERFORMANCE, made)["performance_grid"]
    axes = drawn.figure.axes
    assert [panel.get_title(loc="left") for panel in axes] == ["VTA-DA", "all blocks", "XX-NEW", ""]
    assert axes[0].get_ylabel() == "right choices (share)"
    assert axes[1].get_ylabel() == "reaction time (s)"
    means = made["psychometric_means"]
    fitted = means[(means["target_NM"] == "VTA-DA") & (means["source"] == "fit")]["mean"]
    thick = next(line for line in axes[0].lines if line.get_linewidth() == 2.2)
    assert thick.get_ydata().tolist() == fitted.tolist()
    assert outside(drawn) == []
    assert smallest_font(drawn) >= 7
    assert drawn.counts == {"n_subjects": 2}


def test_without_selected_sessions_both_figures_say_what_removed_them():
    selection = pd.DataFrame(
        {"position": [0], "filter": ["processed"], "removes_alone": [3], "removed_in_order": [3], "left": [0]}
    )
    pictures = draw(TASK_PERFORMANCE, {"selection": selection})
    assert list(pictures) == ["performance_grid", "target_comparison"]
    for drawn in pictures.values():
        assert drawn.missing == "0 sessions are selected (filters removed: processed 3)"
        assert drawn.missing in texts(drawn)
