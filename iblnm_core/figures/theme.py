"""How figures look: colours, markers, line styles, fonts, the order of targets, and what things are called on axes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

TARGET_ORDER = ("VTA-DA", "SNc-DA", "DR-5HT", "MR-5HT", "LC-NE", "NBM-ACh", "SI-ACh", "PPT-ACh")
"""The order of targets in every figure; unknown ones come last, by name."""

EVENT_LABELS: Mapping[str, str] = MappingProxyType(
    {"stimOn": "stimulus", "firstMovement": "first movement", "feedback": "feedback"}
)
"""Events in the order of a trial, and what axes call them; some tables name them with `_times` behind."""

CONTRASTS = (0.0, 6.25, 12.5, 25.0, 100.0)
"""Contrasts of the task, percent."""

SESSION_TYPES = ("training", "biased", "ephys")

BLOCK_STYLES: Mapping[float, tuple[str, str]] = MappingProxyType({0.2: ("--", "v"), 0.5: ("-", "o"), 0.8: (":", "^")})
"""Line style and marker of each block, by its probability of a stimulus on the left; they repeat what its colour says."""

_MARKERS = ("o", "s", "^", "v", "D", "p", "h", "*")
_UNKNOWN = "#595959"
_WIDTH_OF_LINES = 1.4


@dataclass(frozen=True)
class Theme:
    """One way to draw everything.

    Attributes
    ----------
    name : str
    targets : mapping of str to str
        Colour of each target.
    markers : mapping of str to str
        Marker of each target, which repeats what its colour says.
    ramps : mapping of str to tuple of str
        Of each neuromodulator, a colour for every contrast of `CONTRASTS`.
    correct, incorrect : str
        Colours of outcomes; correct is solid and filled, incorrect dashed and open.
    events : mapping of str to str
        Colour of each event.
    event_styles : mapping of str to str
        Line style of each event, which repeats what its colour says.
    session_types : mapping of str to str
    bands : mapping of str to str
        GCaMP, isosbestic and preprocessed signal.
    verdicts : mapping of str to str
        PASS, WARNING, FAIL, CRITICAL and NOT_SET.
    blocks : mapping of float to str
        Colour of each block of `BLOCK_STYLES`.
    diverging, density : str
        Names of maps for values around zero, and for what is never negative.
    """

    name: str
    targets: Mapping[str, str]
    markers: Mapping[str, str]
    ramps: Mapping[str, tuple[str, ...]]
    correct: str
    incorrect: str
    events: Mapping[str, str]
    event_styles: Mapping[str, str]
    session_types: Mapping[str, str]
    bands: Mapping[str, str]
    verdicts: Mapping[str, str]
    blocks: Mapping[float, str]
    diverging: str = "RdBu_r"
    density: str = "cividis"

    def target_colour(self, target: str) -> str:
        """Return the colour of a target; grey for an unknown one."""
        return self.targets.get(target, _UNKNOWN)

    def target_marker(self, target: str) -> str:
        """Return the marker of a target; a cross for an unknown one."""
        return self.markers.get(target, "X")

    def contrast_colours(self, target: str) -> Mapping[float, str]:
        """Return the colour of each contrast in the ramp of a target's neuromodulator."""
        ramp = self.ramps.get(target.rpartition("-")[2], self.ramps["DA"])
        return dict(zip(CONTRASTS, ramp, strict=True))

    @property
    def rc(self) -> dict["RcKeyType", Any]:
        """Settings for drawing: bundled font, sizes in print, no clutter, equal bytes for equal input."""
        return {
            "font.family": "DejaVu Sans",
            "font.size": 8.0,
            "axes.titlesize": 9.0,
            "axes.labelsize": 8.0,
            "xtick.labelsize": 7.5,
            "ytick.labelsize": 7.5,
            "legend.fontsize": 7.5,
            "figure.titlesize": 10.0,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": _WIDTH_OF_LINES,
            "axes.titlelocation": "left",
            "text.parse_math": False,
            "svg.hashsalt": "iblnm",
            "svg.fonttype": "path",
            "pdf.fonttype": 42,
            "figure.dpi": 100.0,
        }


DEFAULT = Theme(
    "default",
    targets=MappingProxyType(
        dict(
            zip(
                TARGET_ORDER,
                ("#b5261e", "#f28e4b", "#7a2a7f", "#d987c9", "#1b66c9", "#1f9e89", "#8fd3b6", "#0d4f46"),
                strict=True,
            )
        )
    ),
    markers=MappingProxyType(dict(zip(TARGET_ORDER, _MARKERS, strict=True))),
    ramps=MappingProxyType(
        {
            "DA": ("#fb7252", "#ee4030", "#c9181d", "#9a0c14", "#57000a"),
            "5HT": ("#a4a1cc", "#857fbc", "#6a51a3", "#4f2390", "#31005f"),
            "NE": ("#75b4d8", "#4a97c9", "#2271b5", "#0a4a90", "#062350"),
            "ACh": ("#7dc87e", "#4bb062", "#238b45", "#006729", "#003314"),
        }
    ),
    correct="#0072b2",
    incorrect="#d55e00",
    events=MappingProxyType({"stimOn_times": "#0072b2", "firstMovement_times": "#e69f00", "feedback_times": "#cc79a7"}),
    event_styles=MappingProxyType({"stimOn_times": "-", "firstMovement_times": ":", "feedback_times": "--"}),
    session_types=MappingProxyType({"training": "#9ecae1", "biased": "#4292c6", "ephys": "#08306b"}),
    bands=MappingProxyType({"GCaMP": "#117733", "Isosbestic": "#888888", "preprocessed": "#000000"}),
    verdicts=MappingProxyType(
        {"PASS": "#0072b2", "WARNING": "#f0e442", "FAIL": "#d55e00", "CRITICAL": "#7f0000", "NOT_SET": "#bdbdbd"}
    ),
    blocks=MappingProxyType({0.2: "#d95f02", 0.5: "#303030", 0.8: "#5e4fa2"}),
)
"""Hue says neuromodulator, lightness target; all pairs are told apart with any of the common colour deficiencies."""

REFERENCE = Theme(
    "reference",
    targets=MappingProxyType(
        dict(
            zip(
                TARGET_ORDER,
                ("#ff413d", "#ff653d", "#b867fa", "#df67fa", "#3f88fa", "#40afa1", "#40afa1", "#00974e"),
                strict=True,
            )
        )
    ),
    markers=DEFAULT.markers,
    ramps=MappingProxyType(
        {
            "DA": ("#fcab8f", "#fb7252", "#e83429", "#b31218", "#67000d"),
            "5HT": ("#cecfe5", "#a4a1cc", "#7b74b5", "#5c3797", "#3f007d"),
            "NE": ("#b7d4ea", "#75b4d8", "#3b8bc2", "#125da6", "#08306b"),
            "ACh": ("#b8e3b2", "#7dc87e", "#3ba458", "#0d7836", "#00441b"),
        }
    ),
    correct="#2e8b57",
    incorrect="#b22222",
    events=MappingProxyType({"stimOn_times": "#1f77b4", "firstMovement_times": "#ff7f0e", "feedback_times": "#2ca02c"}),
    event_styles=DEFAULT.event_styles,
    session_types=MappingProxyType({"training": "#6495ed", "biased": "#9370db", "ephys": "#ff69b4"}),
    bands=MappingProxyType({"GCaMP": "#2ca02c", "Isosbestic": "#7f7f7f", "preprocessed": "#000000"}),
    verdicts=MappingProxyType(
        {"PASS": "#32cd32", "WARNING": "#ffa500", "FAIL": "#db7093", "CRITICAL": "#ee82ee", "NOT_SET": "#808080"}
    ),
    blocks=MappingProxyType({0.2: "#e74c3c", 0.5: "#2c3e50", 0.8: "#3498db"}),
    density="YlOrRd",
)
"""The colours of the reference pipeline, to match older slides."""

THEMES: Mapping[str, Theme] = MappingProxyType({theme.name: theme for theme in (DEFAULT, REFERENCE)})
"""Themes by name."""


def in_order(targets: Iterable[str]) -> list[str]:
    """Return targets, each once, in the order of figures."""
    known = {target: place for place, target in enumerate(TARGET_ORDER)}
    return sorted(set(targets), key=lambda target: (known.get(target, len(known)), target))


def events_in_order(events: Iterable[str]) -> list[str]:
    """Return events, each once, in the order of a trial; others last, by name."""
    known = {event: place for place, event in enumerate(EVENT_LABELS)}
    return sorted(set(events), key=lambda event: (known.get(event.removesuffix("_times"), len(known)), event))


def event_label(event: str) -> str:
    """Return what axes call an event."""
    name = event.removesuffix("_times")
    return EVENT_LABELS.get(name, name)


def stars(p: float) -> str:
    """Return the stars of a p-value: one below 0.05, two below 0.01, three below 0.001; nothing else, also when unknown."""
    return "*" * sum(p < limit for limit in (0.05, 0.01, 0.001))
