"""Every metadata error, from a planted record to the failed check of that very session in the web interface and its row of the errors table."""

import pytest
from tests_support.planted_metadata import PLANTED, write_planted
from ui.interface import command

from iblnm_core.root import create_root
from iblnm_core.schemas import ERRORS
from iblnm_core.storage.tables import read_table

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def planted(sound_cache, tmp_path_factory):
    """A root over the planted sessions, all run; and the session of each error."""
    folder = tmp_path_factory.mktemp("planted")
    like = sound_cache / "demolab" / "Subjects" / "DEMO-DA1" / "2025-03-03" / "001"
    eids = write_planted(folder / "cache", like)
    root = create_root(folder / "root", cache=folder / "cache")
    command(root.path, "run", "--only", "query_database")
    return root, eids


@pytest.fixture(scope="module")
def server(serve, planted):
    root, _ = planted
    return serve(root.path)


@pytest.fixture(scope="module")
def errors(planted):
    root, _ = planted
    return read_table(root.path, ERRORS)


@pytest.mark.parametrize("error", PLANTED)
def test_the_errors_table_has_it(planted, errors, error):
    rule, _, said = PLANTED[error]
    _, eids = planted
    (row,) = errors[(errors["eid"] == eids[error]) & (errors["error_type"] == error)].to_dict("records")
    assert (row["rule"], row["asset"], row["severity"]) == (rule, "session_metadata", "advisory")
    assert said in row["error_message"]


def test_the_errors_table_has_nothing_else_that_is_not_a_consequence(planted, errors):
    _, eids = planted
    own = {eid: {error} for error, eid in eids.items()}
    # what goes with what was planted
    for error, others in {
        "SubjectNotUnique": {"InvalidStrain", "InvalidLine", "InvalidNeuromodulator"},
        "InvalidLine": {"InvalidNeuromodulator"},
        "InvalidNeuromodulator": {"InvalidLine"},
        "MissingRegionSource": {"DataNotListed"},
        "MissingBrainRegion": {"MissingRegionSource", "MissingHemisphere", "DataNotListed"},
        "MissingHemisphere": {"MissingRegionSource", "MissingBrainRegion", "DataNotListed"},
        "InvalidBrainRegion": {"InvalidTargetNM"},
        "InvalidTargetNM": {"InvalidBrainRegion", "MissingInsertion"},
    }.items():
        own[eids[error]] |= others
    found = errors[errors["asset"] == "session_metadata"].groupby("eid")["error_type"].agg(set).to_dict()
    assert found == own


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _, _ in PLANTED.values()))
def test_the_check_of_the_session_is_red(planted, errors, reader, rule):
    _, eids = planted
    expected = set(errors[errors["rule"] == rule]["eid"])
    assert expected >= {eids[error] for error, (raised_by, _, _) in PLANTED.items() if raised_by == rule}
    reader.open(f"/assets/session_metadata?view=checks&checkDetail={rule}")
    # the tabs of the check come below those of the asset, and later
    reader.page.get_by_text("Execution history").wait_for()
    reader.page.get_by_text("Partitions", exact=True).last.click()
    reader.page.get_by_text(f"Failed ({len(expected)})").wait_for()
    assert {eid for eid, colour in reader.colours().items() if colour == "red"} == expected
