"""Implanted fibres: where each one enters and ends, from the trajectory that is known best. Session rows use sides only, not this."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from iblnm_core.parameters import FiberParameters
from iblnm_core.schemas import FIBERS
from iblnm_core.sources.fibers import FiberRecord, Trajectory
from iblnm_core.vocabulary import TABLE_OF_FIBERS

# what was seen beats what was measured, which beats what was meant
_BEST_FIRST = ("Ephys aligned histology track", "Histology track", "Micro-manipulator", TABLE_OF_FIBERS, "Planned")


def fiber_table(records: Iterable[FiberRecord], parameters: FiberParameters) -> pd.DataFrame:
    """Return the `fibers` table.

    Parameters
    ----------
    records : iterable of FiberRecord
    parameters : FiberParameters

    Returns
    -------
    DataFrame
        One row per fibre and source. A fibre without a complete trajectory has no coordinates, and a note why.
    """
    rows = [_row(record, parameters) for record in records]
    table = pd.DataFrame(rows, columns=FIBERS.column_names)
    return table.astype({column.name: "float64" for column in FIBERS.columns if column.kind == "number"})


def fiber_tip(
    entry_um: tuple[float, float, float], depth_um: float, theta_deg: float, phi_deg: float
) -> tuple[float, float, float]:
    """Return where a fibre ends; see docs/methods/fibers.md.

    Parameters
    ----------
    entry_um : tuple of float
        Medio-lateral, antero-posterior and dorso-ventral coordinate of the entry, um.
    depth_um : float
        Length inside the brain, um.
    theta_deg, phi_deg : float
        Polar angle from the vertical, and azimuth, degrees.

    Returns
    -------
    tuple of float
        The same coordinates of the tip, um.
    """
    theta, phi = math.radians(theta_deg), math.radians(phi_deg)
    lateral, anterior, dorsal = entry_um
    return (
        lateral - depth_um * math.sin(theta) * math.cos(phi),
        anterior - depth_um * math.sin(theta) * math.sin(phi),
        dorsal - depth_um * math.cos(theta),
    )


def best_trajectory(trajectories: Sequence[Trajectory]) -> Trajectory | None:
    """Return the trajectory that is known best: by provenance, then the latest; None when there is none."""
    known = [trajectory for trajectory in trajectories if trajectory.provenance in _BEST_FIRST]
    # the id decides between equals, so that the answer does not depend on their order
    latest_last = sorted(known, key=lambda t: (-_BEST_FIRST.index(t.provenance), t.saved, t.identifier))
    return latest_last[-1] if latest_last else None


def side_of(lateral_um: float, midline_um: float) -> str:
    """Return `l`, `r` or `midline` for a medio-lateral coordinate, positive on the right."""
    if abs(lateral_um) <= midline_um:
        return "midline"
    return "r" if lateral_um > 0 else "l"


def _row(record: FiberRecord, parameters: FiberParameters) -> dict[str, object]:
    trajectory = best_trajectory(record.trajectories)
    row: dict[str, object] = dict.fromkeys(FIBERS.column_names)
    row |= {"subject": record.subject, "source": record.source, "fiber": record.name, "insertion": record.identifier}
    row["brain_region"] = record.region
    if trajectory is None:
        return row | {"note": "no trajectory"}
    row |= {"provenance": trajectory.provenance, "theta_deg": trajectory.theta_deg, "phi_deg": trajectory.phi_deg}
    row |= {"entry_ap_um": trajectory.y_um, "entry_dv_um": trajectory.z_um, "depth_um": trajectory.depth_um}
    x, y, depth = trajectory.x_um, trajectory.y_um, trajectory.depth_um
    theta, phi = trajectory.theta_deg, trajectory.phi_deg
    if x is None or y is None or depth is None or theta is None or phi is None:
        needed = {"entry_ml_um": x, "entry_ap_um": y, "depth_um": depth, "theta_deg": theta, "phi_deg": phi}
        missing = [name for name, value in needed.items() if value is None]
        return row | {"note": f"{trajectory.provenance} without {', '.join(missing)}"}
    # the height of the entry is often unknown; that of the tip then is, too
    z = math.nan if trajectory.z_um is None else trajectory.z_um
    tip = fiber_tip((x, y, z), depth, theta, phi)
    # each source has its own sign; here positive is right
    entry_lateral, tip_lateral = record.right_sign * x, record.right_sign * tip[0]
    entered, ended = (side_of(lateral, parameters.midline_um) for lateral in (entry_lateral, tip_lateral))
    row |= {"entry_ml_um": entry_lateral, "tip_ml_um": tip_lateral, "tip_ap_um": tip[1], "tip_dv_um": tip[2]}
    note = None if entered == ended else f"enters at {entered}, ends at {ended}"
    return row | {"hemisphere": ended, "note": note}


def side_conflicts(table: pd.DataFrame) -> list[str]:
    """Return where sources disagree about the side of a subject's fibres in a region, as text.

    Parameters
    ----------
    table : DataFrame
        The `fibers` table.
    """
    known = table.dropna(subset=["hemisphere", "brain_region"])
    conflicts = []
    for (subject, region), fibers in known.groupby(["subject", "brain_region"]):
        sides = fibers.groupby("source")["hemisphere"].agg(lambda found: ", ".join(sorted(set(found))))
        if len(set(sides)) > 1:
            said = "; ".join(f"{source} has {side}" for source, side in sides.items())
            conflicts.append(f"{subject}, {region}: {said}")
    return conflicts
