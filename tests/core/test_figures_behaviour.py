"""How mice of each target choose and how fast: means over mice by hand, and the figures of them."""

import numpy as np
import pandas as pd
import pytest
from tests_support.drawn_families import draw, outside, smallest_font, texts

from iblnm_core.analyses.psychometric_curves import psychometric_curves
from iblnm_core.figures.task_performance import TASK_PERFORMANCE
from iblnm_core.figures.theme import BLOCK_STYLES, DEFAULT
from iblnm_core.parameters import PsychometricParameters
from iblnm_core.schemas import PERFORMANCE


@pytest.fixture(scope="module")
def made():
    eids, mice = ["a", "b", "c"], ["m1", "m1", "m2"]
    recordings = pd.DataFrame({"eid": eids, "subject": mice, "target_NM": ["VTA-DA", "VTA-DA", "XX-NEW"]})
    performance = PERFORMANCE.arrow().empty_table().to_pandas().reindex(range(3)).assign(eid=eids)
    fits = {"bias": [0.0, 20.0, 0.0], "threshold": 20.0, "lapse_left": 0.0, "lapse_right": 0.1, "n_trials": 4}
    fits["at_bound"] = [["lapse_left"], ["lapse_left", "bias"], []]
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


def test_parameters_are_averaged_within_the_mouse_and_bounds_are_counted(made):
    keys = ["target_NM", "probabilityLeft", "parameter", "subject"]
    found = made["psychometric_parameters"].set_index(keys)[["mean", "n_sessions", "n_at_bound"]]
    assert found.loc[("VTA-DA", 0.5, "bias", "m1")].tolist() == [10.0, 2, 1]
    assert found.loc[("VTA-DA", 0.5, "lapse_left", "m1")].tolist() == [0.0, 2, 2]
    assert found.loc[("XX-NEW", 0.5, "lapse_right", "m2")].tolist() == [0.1, 1, 0]
    assert len(found) == 8


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
    assert list(pictures) == ["performance_grid", "psychometric_by_block", "target_comparison"]
    for drawn in pictures.values():
        assert drawn.missing == "0 sessions are selected (filters removed: processed 3)"
        assert drawn.missing in texts(drawn)


@pytest.fixture(scope="module")
def blocks():
    """Tables of one mouse with all blocks, one without the block of 80 % and with another target."""
    known = {("VTA-DA", "m1"): (0.2, 0.5, 0.8), ("VTA-DA", "m2"): (0.2, 0.5), ("XX-NEW", "m2"): (0.2, 0.5)}
    rows = [
        (target, block, parameter, mouse, place + 10 * block + len(mouse + target), 3, 1)
        for (target, mouse), of_mouse in known.items()
        for block in of_mouse
        for place, parameter in enumerate(("bias", "threshold", "lapse_left", "lapse_right"))
    ]
    columns = ["target_NM", "probabilityLeft", "parameter", "subject", "mean", "n_sessions", "n_at_bound"]
    means = [
        ("VTA-DA", block, source, contrast, share, 0.1, 2)
        for block in BLOCK_STYLES
        for source in ("fit", "choices")
        for contrast, share in ((-100.0, 0.1), (0.0, 0.4 + block / 5), (100.0, 0.9))
    ]
    of_means = ["target_NM", "probabilityLeft", "source", "signed_contrast", "mean", "sem", "n_subjects"]
    shifts = {"eid": ["a", "b", "of no target"], "subject": ["m1", "m1", "m3"], "session_n": 1.0, "shift_n": [1, 2, 1]}
    return {
        "psychometric_parameters": pd.DataFrame(rows, columns=columns),
        "psychometric_means": pd.DataFrame(means, columns=of_means),
        "bias_shift_trajectories": pd.DataFrame({**shifts, "bias_shift": [5.0, 7.0, 99.0]}),
        "recordings": pd.DataFrame({"eid": ["a", "a", "b"], "target_NM": "VTA-DA"}),
    }


def dots(axes, block):
    """The values of the mice of a block."""
    style = BLOCK_STYLES[block]
    found = [line for line in axes.lines if line.get_marker() == style[1] and line.get_linestyle() == "None"]
    [line] = [line for line in found if line.get_color() == DEFAULT.blocks[block]]
    return sorted(line.get_ydata())


def test_the_sheet_of_blocks_draws_what_the_tables_hold(blocks):
    drawn = draw(TASK_PERFORMANCE, blocks)["psychometric_by_block"]
    grid = np.reshape(drawn.figure.axes, (6, 2))
    assert [axes.get_title(loc="left") for axes in grid[0]] == ["VTA-DA", "XX-NEW"]
    assert [axes.get_ylabel().partition("\n")[0] for axes in grid[:, 0]] == [
        "right choices (share)",
        "bias",
        "threshold",
        "lower lapse: right",
        "upper lapse: left",
        "shift of the bias",
    ]
    rows = (
        blocks["psychometric_parameters"].set_index(["target_NM", "parameter", "probabilityLeft"])["mean"].sort_index()
    )
    for axes, parameter in zip(grid[1:5, 0], ("bias", "threshold", "lapse_right", "lapse_left"), strict=True):
        for block in BLOCK_STYLES:
            assert dots(axes, block) == sorted(rows.loc[("VTA-DA", parameter, block)])
        assert axes.texts[0].get_text() == "2, 2, 1 mice"
    fits = {line.get_linestyle(): line for line in grid[0, 0].lines if line.get_linewidth() == 1.5}
    assert {style: line.get_ydata()[1] for style, line in fits.items()} == pytest.approx(
        {"--": 0.44, "-": 0.5, ":": 0.56}
    )
    # two fibres of a session in one target are one session; sessions of no selected recording have no part
    [shift] = [line for line in grid[5, 0].lines if line.get_marker() == DEFAULT.target_marker("VTA-DA")]
    assert shift.get_ydata().tolist() == [5.0, 7.0]
    assert "no session with\nboth blocks" in [text.get_text() for text in grid[5, 1].texts]
    assert outside(drawn) == []
    assert smallest_font(drawn) >= 7
    assert drawn.counts == {"n_subjects": 2}
    assert "33% of all estimates are bounds" in drawn.caption
