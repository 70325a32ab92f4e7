"""How named corrections, masks and checks look and are called in pictures. Drawing is elsewhere."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.typing import LineStyleType

from iblnm_core.corrections.checks import findings
from iblnm_core.corrections.diagnostics import MEASURES, Diagnostics, EventReference
from iblnm_core.corrections.masks import Bit
from iblnm_core.figures.theme import event_label
from iblnm_core.session.corrections_layout import correction_names
from iblnm_core.storage.session_file import Part

CORRECTIONS: Mapping[str, tuple[str, LineStyleType]] = MappingProxyType(
    {
        "robust": ("#000000", "-"),
        "reference": ("#d55e00", "--"),
        "dff_exp": ("#0072b2", "-."),
        "control_fit": ("#cc79a7", (0, (5, 1))),
        "no_reference": ("#009e73", ":"),
        "no_reference_exp": ("#8c510a", (0, (3, 1, 1, 1))),
        "epoch_fit": ("#7a2a7f", (0, (1, 1))),
        "spectral": ("#56b4e9", (0, (4, 1, 1, 1, 1, 1))),
    }
)
"""Colour and line style of each correction; the style repeats what the colour says."""

MOTION_COLOUR = "#d55e00"
"""Of what was subtracted for the reference."""

BITS: Mapping[Bit, str] = MappingProxyType(
    {bit: str(bit.name).lower().replace("_", " ") for bit in Bit if bit.name is not None}
)
"""Reasons for a mask in words, in the order of their bits."""

UNKNOWN_LOOK: tuple[str, LineStyleType] = ("#595959", "-")


def fired(part: Part) -> list[str] | None:
    """Return the checks that fire for one fibre in words, with the correction or the event that they are asked of.

    Parameters
    ----------
    part : Part
        The fibre's corrections, with the diagnostics that are stored in it.

    Returns
    -------
    list of str, or None
        None where nothing was measured that could be judged.
    """
    if not any(name.startswith("diagnostics/") for name in part.attributes):
        return None
    found: dict[str, list[str]] = {}
    for finding in findings(stored_diagnostics(part)):
        found.setdefault(finding.check.name, []).extend([] if finding.of is None else [event_label(finding.of)])
    return [f"{name} ({', '.join(of)})" if of else name for name, of in found.items()]


def stored_diagnostics(part: Part) -> Diagnostics:
    """Return the diagnostics of a fibre as they are stored; those that are not stored are left out."""
    attributes, datasets = part.attributes, part.datasets
    measures = {
        name: _number(attributes[f"diagnostics/{name}"]) for name in MEASURES if f"diagnostics/{name}" in attributes
    }
    of_corrections = {
        name: {key: _number(attributes[f"{name}/{key}"]) for key in ("residual_r", "denominator_ratio")}
        for name in correction_names(part)
        if attributes[f"{name}/status"] == "ok"
    }
    columns = [datasets.get(f"event_reference/{name}", ()) for name in ("event", "t", "share", "n")]
    events = {
        str(event): EventReference(float(t), float(share), int(n)) for event, t, share, n in zip(*columns, strict=True)
    }
    return Diagnostics(measures, of_corrections, events)


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)
