"""The encoding model as a session stores it, and taken together over mice."""

import numpy as np
import pandas as pd
import pytest
from tests_support.sessions import OneSession, catalogue_of

from iblnm_core.analyses.encoding_summary import encoding_summary, over_mice
from iblnm_core.cohort.collect import collected_rows
from iblnm_core.cohort.status import ALL_OUTPUTS
from iblnm_core.encoding.design import ContinuousRegressor
from iblnm_core.encoding.model import fit_encoding_model
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.schemas import ENCODING_DELTA_R2, ENCODING_FITS, ENCODING_KERNELS
from iblnm_core.schemas.results import RESULTS
from iblnm_core.session import layout
from iblnm_core.session.outputs import ON_REQUEST
from iblnm_core.session.wheel import wheel_velocity
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import make_table

POSITION, TIMES = (f"alf/task_00/_ibl_wheel.{name}.npy" for name in ("position", "timestamps"))
PARAMETERS = PRESETS["default"]
EVERYTHING = ALL_OUTPUTS | ON_REQUEST


@pytest.fixture(scope="module")
def session(tmp_path_factory, copies):
    folder = tmp_path_factory.mktemp("encoding")
    made = copies(folder / "cache", 1)
    (eid,) = made.eids
    one = OneSession(create_root(folder / "root", cache=made.cache), made.folders[eid], eid)
    one.run(selected=EVERYTHING)
    return one


def tables_of(session):
    return {s.name: collected_rows(session.root, s.name) for s in (ENCODING_FITS, ENCODING_KERNELS, ENCODING_DELTA_R2)}


def test_what_is_stored_is_the_model_of_the_stored_signal(session):
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        trials, signals = layout.read_trials(file), layout.read_signals(file)
    wheel = wheel_velocity(np.load(session.folder / TIMES), np.load(session.folder / POSITION), PARAMETERS.wheel)
    continuous = {"wheel_velocity": ContinuousRegressor(wheel.times, wheel.velocity)}
    sides = catalogue_of(session.root).sessions[session.eid]["hemisphere"]
    tables = tables_of(session)
    for index, signal in signals.values():
        times, values = signal.index.to_numpy(), signal.to_numpy()
        model = fit_encoding_model(times, values, trials, continuous, sides[index], PARAMETERS.encoding)
        own = {name: rows[rows["fiber_idx"] == index] for name, rows in tables.items()}
        assert own["encoding_fits"]["r2_cv"].item() == pytest.approx(model.fit["r2_cv"].item())
        keys = ["term", "level", "modulator", "lag_s"]
        kernels = model.kernels.sort_values(keys)["coef"].to_numpy()
        np.testing.assert_allclose(own["encoding_kernels"].sort_values(keys)["coef"], kernels)
        added = model.delta_r2.sort_values("block")["delta_r2"].to_numpy()
        np.testing.assert_allclose(own["encoding_delta_r2"]["delta_r2"], added)
    # reward is what is planted in dopamine
    best = tables["encoding_delta_r2"].sort_values("delta_r2").groupby("fiber_idx")["block"].last()
    assert best[0] == "feedback_times|feedbackType=1|baseline"


def test_a_session_without_wheel_has_a_model_without_it(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    (made.folders[eid] / POSITION).unlink()
    session = OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)
    report = session.run(selected=EVERYTHING)
    assert "encoding_model" not in report.stopped
    assert "wheel_velocity" in report.stopped
    assert "wheel_velocity" not in set(tables_of(session)["encoding_delta_r2"]["block"])


def test_a_model_is_made_on_request_only(tmp_path, copies):
    made = copies(tmp_path / "cache", 2)
    root = create_root(tmp_path / "root", cache=made.cache)
    asked, other = (OneSession(root, made.folders[eid], eid) for eid in made.eids)
    assert "encoding_model" not in asked.run().provenance
    assert "encoding_model" not in other.run().provenance
    catalogue = catalogue_of(root)
    states = catalogue.status().set_index(["eid", "asset"])["state"]
    assert states[asked.eid, "encoding_model"] == "on request"
    assert set(states.drop(list(ON_REQUEST), level="asset")) == {"ok"}
    assert catalogue.due() == []
    assert set(catalogue.due(outputs={"encoding_model"})) == set(made.eids)
    assert asked.run(selected=frozenset({"encoding_model"})).computed == {"encoding_model"}
    assert catalogue_of(root).due(outputs={"encoding_model"}) == [other.eid]
    # what was made once is kept current
    asked.rewrite("alf/task_00/_ibl_trials.table.pqt", lambda trials: trials.head(len(trials) - 1))
    assert "encoding_model" in catalogue_of(root).reasons(asked.eid)
    assert "encoding_model" in asked.run().computed
    assert catalogue_of(root).due() == []


def test_other_kernels_are_made_from_the_stored_signal(session):
    settings = session.root.path / "iblnm.toml"
    settings.write_text(
        settings.read_text() + '\n[parameters.encoding]\nbasis = "raised_cosine"\nwindow_s = [0.0, 2.0]\n'
    )
    again = OneSession(create_root(session.root.path), session.folder, session.eid)
    assert again.run().computed == {"encoding_model"}
    kernels = tables_of(again)["encoding_kernels"]
    assert kernels.loc[kernels["modulator"] == "baseline", "lag_s"].min() == 0


def test_means_are_over_mice_and_not_over_recordings():
    rows = pd.DataFrame(
        {
            "target_NM": ["A"] * 4 + ["B"],
            "subject": ["m1", "m1", "m1", "m2", "m3"],
            "block": "one",
            "delta_r2": [1.0, 2.0, 3.0, 6.0, np.nan],
        }
    )
    table = over_mice(rows, ["block"], "delta_r2")
    assert table["target_NM"].tolist() == ["A"]
    row = table.iloc[0]
    assert (row["mean"], row["sem"], row["n_subjects"], row["n_recordings"]) == (4.0, 2.0, 2, 4)


def test_a_summary_of_selected_recordings_says_how_many_have_a_model(session):
    tables = tables_of(session)
    chosen = pd.DataFrame(
        {
            "eid": [session.eid, session.eid, "another"],
            "fiber_idx": [0, 1, 0],
            "subject": ["m1", "m1", "m2"],
            "target_NM": ["VTA-DA", "SNc-DA", "LC-NE"],
        }
    )
    found = encoding_summary(*tables.values(), chosen)
    for schema in RESULTS["encoding_summary"]:
        make_table(schema, found[schema.name])
    outcomes = found["encoding_summary_outcomes"].set_index("target_NM")
    assert outcomes["status"].to_dict() == {"LC-NE": "no_data", "SNc-DA": "ok", "VTA-DA": "ok"}
    assert outcomes.loc["LC-NE", "detail"] == "1 without model"
    assert set(found["encoding_kernels_by_target"]["target_NM"]) == {"VTA-DA", "SNc-DA"}
    empty = encoding_summary(*(rows.iloc[:0] for rows in tables.values()), chosen)
    assert set(empty["encoding_summary_outcomes"]["status"]) == {"no_data"}
