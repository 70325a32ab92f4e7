"""Where fibres end: tips in the three planes, in millimetres from bregma."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import jitter, note
from iblnm_core.figures.theme import Theme, in_order
from iblnm_core.parameters import Parameters
from iblnm_core.vocabulary import NEUROMODULATOR_OF_REGION

PLANES: Mapping[str, tuple[str, str]] = {
    "coronal": ("ml", "dv"),
    "sagittal": ("ap", "dv"),
    "horizontal": ("ml", "ap"),
}
"""Planes, and the coordinates across and up."""

_AXES: Mapping[str, str] = {
    "ml": "ML (mm, right positive)",
    "ap": "AP (mm, anterior positive)",
    "dv": "DV (mm, dorsal positive)",
}
_MM_PER_UM = 1e-3
_SPREAD_MM = 0.06


def draw_fibre_locations(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the tips of all fibres in three planes."""
    fibers = tables["fibers"]
    known = fibers[fibers["tip_ml_um"].notna() & fibers["tip_ap_um"].notna()]
    if known.empty:
        reason = (
            f"none of {len(fibers)} implanted fibres has coordinates of its tip"
            if len(fibers)
            else "no implanted fibre is known"
        )
        yield nothing_drawn("fibre_locations", "Fibre locations", reason, fibers)
        return
    labels = [
        f"{region}-{NEUROMODULATOR_OF_REGION[region]}" if region in NEUROMODULATOR_OF_REGION else str(region)
        for region in known["brain_region"]
    ]
    rows = known.assign(target_NM=labels)
    figure = Figure(figsize=(7.4, 3.0), layout="constrained")
    for axes, (plane, (across, up)) in zip(figure.subplots(1, len(PLANES)), PLANES.items(), strict=True):
        _tips(axes, rows, across, up, theme)
        axes.set_title(f"{plane}, {rows[f'tip_{up}_um'].count()} fibres")
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside right upper")
    places = ", ".join(
        f"{count} by {name}" for name, count in rows["provenance"].fillna("unknown").value_counts().items()
    )
    caption = (
        f"Tips of {len(rows)} of {len(fibers)} implanted fibres of {rows['subject'].nunique()} mice, relative to bregma (cross); ML medio-lateral, AP antero-posterior, DV dorso-ventral. Coordinates: {places}; planned coordinates are what was aimed at, not where the "
        "fibre is. Marks that would coincide are moved by up to 0.06 mm."
    )
    columns = ["subject", "fiber", "target_NM", "hemisphere", "provenance", "tip_ml_um", "tip_ap_um", "tip_dv_um"]
    yield Drawn("fibre_locations", figure, rows[columns], caption, {"n_subjects": int(rows["subject"].nunique())})


def _tips(axes: Axes, rows: pd.DataFrame, across: str, up: str, theme: Theme) -> None:
    own = rows[rows[f"tip_{up}_um"].notna()]
    if own.empty:
        axes.set_axis_off()
        note(axes, f"no fibre has a {up.upper()} coordinate")
        return
    axes.plot([0], [0], "+", color="black", markersize=9)
    for order, target in enumerate(in_order(own["target_NM"])):
        of_target = own[own["target_NM"] == target]
        x, y = (of_target[f"tip_{name}_um"].to_numpy(np.float64) * _MM_PER_UM for name in (across, up))
        axes.scatter(
            x + jitter(len(x), order, _SPREAD_MM),
            y + jitter(len(y), order + 100, _SPREAD_MM),
            s=26,
            color=theme.target_colour(target),
            marker=theme.target_marker(target),
            edgecolor="#303030",
            linewidth=0.5,
            label=target,
        )
    axes.set_xlabel(_AXES[across])
    axes.set_ylabel(_AXES[up])
    axes.margins(0.2)
    axes.set_aspect("equal", adjustable="datalim")


FIBRE_LOCATIONS = Family(
    "fibre_locations",
    "Where the fibres of all mice end, in three planes.",
    "dataset_overview",
    {"fibers": None},
    draw_fibre_locations,
)
"""The family of this figure."""
