"""Implanted fibres: tips, sides, which trajectory is believed, and what sources say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.cohort.fibers import best_trajectory, fiber_table, fiber_tip, side_conflicts, side_of
from iblnm_core.parameters import FiberParameters
from iblnm_core.schemas import FIBERS
from iblnm_core.sources.fibers import Trajectory, fibers_of_alyx, fibers_of_table
from iblnm_core.storage.tables import make_table

PARAMETERS = FiberParameters()


def planned(**changes):
    return {
        "id": "planned",
        "chronic_insertion": "insertion",
        "provenance": "Planned",
        "datetime": "2026-01-01T00:00:00",
        **dict(zip(("x", "y", "z", "depth", "theta", "phi"), (500.0, -3100.0, 0.0, 4300.0, 0.0, 0.0), strict=True)),
        **changes,
    }


INSERTION = {"id": "insertion", "name": "G0", "subject": "mouse", "json": {"targeted_region": "VTA"}}


def table_of(*trajectories, insertion=INSERTION):
    return fiber_table(fibers_of_alyx([insertion], trajectories, ["mouse"]), PARAMETERS)


@pytest.mark.parametrize(
    ("entry", "depth", "theta", "phi", "tip"),
    [
        ((1500, -4360, 0), 3900, 19.2, 0, (217.42, -4360, -3683.07)),
        ((0, -6540, -100), 4140, 32, -90, (0, -4346.13, -3610.92)),
    ],
)
def test_tips(entry, depth, theta, phi, tip):
    assert fiber_tip(entry, depth, theta, phi) == pytest.approx(tip, abs=0.005)


MICROMETRES = st.floats(-10_000, 10_000)
ANGLES = st.floats(-360, 360)


@given(st.tuples(MICROMETRES, MICROMETRES, MICROMETRES), st.floats(0, 10_000), ANGLES, ANGLES)
def test_the_tip_is_as_far_from_the_entry_as_the_fibre_is_deep(entry, depth, theta, phi):
    assert math.dist(entry, fiber_tip(entry, depth, theta, phi)) == pytest.approx(depth, abs=1e-6)
    assert fiber_tip(entry, 0.0, theta, phi) == entry


def test_what_was_seen_is_believed_before_what_was_meant():
    def made(provenance, saved="2026-01-01", identifier="a"):
        return Trajectory(provenance, 0, 0, 0, 0, 0, 0, saved, identifier)

    order = ["Planned", "table of fibres", "Micro-manipulator", "Histology track", "Ephys aligned histology track"]
    for count in range(1, len(order) + 1):
        assert best_trajectory([made(name) for name in order[:count]]).provenance == order[count - 1]
    assert best_trajectory([made("Planned", "2026-02-01"), made("Planned", "2026-01-01")]).saved == "2026-02-01"
    twins = [made("Planned", identifier="b"), made("Planned", identifier="a")]
    assert best_trajectory(twins) == best_trajectory(twins[::-1])
    assert best_trajectory([]) is None
    assert best_trajectory([made("a guess")]) is None


@pytest.mark.parametrize(
    ("lateral", "side"), [(-101, "l"), (-100, "midline"), (0, "midline"), (100, "midline"), (101, "r")]
)
def test_sides(lateral, side):
    assert side_of(lateral, 100.0) == side


def test_the_table_of_fibres_has_the_other_sign():
    rows = [{"subject": "mouse", "targeted_region": "VTA", "X-ml_um": "500", "Y-ap_um": "-3100", "Z-dv_um": "0"}]
    rows[0] |= {"depth": "4300", "theta": "0", "phi": "0"}
    # the same fibre, left of the midline, as Alyx has it
    records = [*fibers_of_table(rows), *fibers_of_alyx([INSERTION], [planned(x=-500.0)], ["mouse"])]
    table = fiber_table(records, PARAMETERS).set_index("source")
    coordinates = ["entry_ml_um", "entry_ap_um", "tip_ml_um", "tip_ap_um", "tip_dv_um"]
    assert table.loc["Alyx", coordinates].tolist() == table.loc["table of fibres", coordinates].tolist()
    assert table["entry_ml_um"].tolist() == [-500.0, -500.0]
    assert set(table["hemisphere"]) == {"l"}
    assert side_conflicts(table.reset_index()) == []


def test_sources_that_disagree_are_named():
    rows = [{"subject": "mouse", "targeted_region": "VTA", "X-ml_um": "500", "Y-ap_um": "0", "Z-dv_um": "0"}]
    rows[0] |= {"depth": "4300", "theta": "0", "phi": "0"}
    records = [*fibers_of_table(rows), *fibers_of_alyx([INSERTION], [planned(x=500.0)], ["mouse"])]
    assert side_conflicts(fiber_table(records, PARAMETERS)) == ["mouse, VTA: Alyx has r; table of fibres has l"]


def test_a_tilted_fibre_is_where_its_tip_is():
    (row,) = table_of(planned(x=1500.0, depth=4300.0, theta=20.0)).to_dict("records")
    assert row["hemisphere"] == "midline"
    assert row["note"] == "enters at r, ends at midline"


@pytest.mark.parametrize(
    ("trajectories", "note"),
    [
        ([], "no trajectory"),
        ([planned(provenance="a guess")], "no trajectory"),
        ([planned(chronic_insertion="another")], "no trajectory"),
        ([planned(theta=None)], "Planned without theta_deg"),
        ([planned(x=None, depth="deep")], "Planned without entry_ml_um, depth_um"),
        ([planned(x=math.nan)], "Planned without entry_ml_um"),
    ],
)
def test_a_fibre_without_coordinates_says_why(trajectories, note):
    table = table_of(*trajectories)
    (row,) = table.to_dict("records")
    assert row["note"] == note
    assert math.isnan(row["tip_ml_um"])
    make_table(FIBERS, table)


def test_only_the_height_of_a_tip_needs_that_of_the_entry():
    (row,) = table_of(planned(z=None)).to_dict("records")
    assert (row["tip_ml_um"], row["hemisphere"], row["note"]) == (500.0, "r", None)
    assert math.isnan(row["tip_dv_um"])


def test_fibres_of_other_projects_are_left_out_and_odd_records_are_kept_apart():
    insertions = [
        INSERTION,
        {**INSERTION, "id": "twin"},
        {"id": "stranger", "name": "G0", "subject": "another", "json": None},
        {"id": "unnamed", "name": None, "subject": "mouse", "json": "odd"},
        {"id": "lost", "name": "G1", "subject": None, "json": {}},
    ]
    table = fiber_table(fibers_of_alyx(insertions, [planned()], ["mouse"]), PARAMETERS)
    rows = make_table(FIBERS, table).rows.to_pylist()
    assert [(row["fiber"], row["insertion"], row["brain_region"]) for row in rows] == [
        ("", "unnamed", None),
        ("G0", "insertion", "VTA"),
        ("G0", "twin", "VTA"),
    ]


def test_a_second_fibre_of_a_region_has_a_number():
    rows = [{"subject": "mouse", "targeted_region": "DRN"}, {"subject": "mouse", "targeted_region": "DR"}]
    assert [record.name for record in fibers_of_table(rows)] == ["DR", "DR#2"]
    table = fiber_table(fibers_of_table(rows), PARAMETERS)
    assert set(table["note"]) == {"table of fibres without entry_ml_um, entry_ap_um, depth_um, theta_deg, phi_deg"}


def test_no_fibre_is_an_empty_table():
    table = fiber_table([], PARAMETERS)
    assert make_table(FIBERS, table).rows.num_rows == 0
    assert side_conflicts(table) == []
