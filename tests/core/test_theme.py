"""Colours that all readers tell apart, and the order and names that every figure uses."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from iblnm_core.figures.theme import (
    CONTRASTS,
    DEFAULT,
    REFERENCE,
    TARGET_ORDER,
    THEMES,
    events_in_order,
    in_order,
    stars,
)
from iblnm_core.vocabulary import TARGETS

# full dichromacy in linear light: Machado, Oliveira and Fernandes 2009
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(colour, deficiency):
    """The colour as a reader with a deficiency sees it, in CIELAB."""
    given = np.array(to_rgb(colour))
    linear = np.where(given <= 0.04045, given / 12.92, ((given + 0.055) / 1.055) ** 2.4)
    shown = np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0, 1)
    encoded = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return rgb2lab(encoded)


def smallest_difference(colours, deficiency):
    labs = [seen(colour, deficiency) for colour in colours]
    return min(float(deltaE_ciede2000(a, b)) for a, b in combinations(labs, 2))


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_any_two_targets_are_told_apart(deficiency):
    assert smallest_difference(DEFAULT.targets.values(), deficiency) >= 10
    # the colours of older slides are not
    assert smallest_difference(REFERENCE.targets.values(), deficiency) < 10


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("colours", ["events", "session_types", "verdicts", "bands", "blocks"])
def test_other_colours_are_told_apart(deficiency, colours):
    assert smallest_difference(getattr(DEFAULT, colours).values(), deficiency) >= 10
    assert smallest_difference([DEFAULT.correct, DEFAULT.incorrect], deficiency) >= 10


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_ramps_darken_with_contrast(theme):
    for neuromodulator in ("DA", "5HT", "NE", "ACh"):
        ramp = theme.contrast_colours(f"X-{neuromodulator}")
        assert tuple(ramp) == CONTRASTS
        lightness = [seen(colour, "none")[0] for colour in ramp.values()]
        assert lightness == sorted(lightness, reverse=True)


def test_every_target_has_a_colour_and_a_marker_of_its_own():
    for theme in THEMES.values():
        assert set(theme.targets) == set(theme.markers) == set(TARGETS)
        assert len(set(theme.markers.values())) == len(TARGETS)
        assert theme.target_colour("XX-DA") not in theme.targets.values()
        assert theme.target_marker("XX-DA") not in theme.markers.values()


def test_targets_and_events_come_in_one_order():
    assert in_order(["ZZ-DA", "NBM-ACh", "VTA-DA", "AA-DA", "VTA-DA"]) == ["VTA-DA", "NBM-ACh", "AA-DA", "ZZ-DA"]
    assert in_order(TARGETS) == list(TARGET_ORDER)
    assert events_in_order(["feedback_times", "stimOn_times"]) == ["stimOn_times", "feedback_times"]


def test_stars_at_their_limits():
    limits = [(0.0009999, "***"), (0.001, "**"), (0.01, "*"), (0.0499, "*"), (0.05, ""), (1.0, ""), (float("nan"), "")]
    assert [stars(p) for p, _ in limits] == [shown for _, shown in limits]
