"""`iblnm why` end to end, on a root that was made through the graph; and the same account on its pages."""

import pytest
from click.testing import CliRunner
from tests_support.report_pages import parsed, table_of

from iblnm_core.cohort.labels import add_label
from iblnm_core.figures.drawing import stored_family
from iblnm_core.reports.writing import write_cohort_report, write_session_report
from iblnm_core.root import create_root
from iblnm_core.schemas import SELECTION
from iblnm_core.storage.tables import read_table
from iblnm_dagster.cli import main
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

STAGES = ("query_database", "dataset_overview")
HOSTILE = "[bold red]jump[/bold red] \x1b[31m<b>"


@pytest.fixture(scope="module")
def made(tmp_path_factory, copies, few_trials):
    """A root of three sessions through the graph: one is used, one has too few trials, one is labelled."""
    folder = tmp_path_factory.mktemp("why")
    cache = copies(folder / "cache", 3)
    used, short, labelled = cache.eids
    few_trials(cache.folders[short])
    root = create_root(folder / "root", cache=cache.cache)
    for fiber in range(2):
        add_label(root.path, labelled, fiber, "reject", note=HOSTILE, author="ana")
    with LocalRuns(root) as runs:
        runs.catalogue()
        runs.sessions(cache.eids)
        runs.collect(STAGES)
    return root, used, short, labelled


def why(root, name, exit_code=0):
    result = CliRunner(env={"COLUMNS": "400"}).invoke(main, ["why", name, "--root", str(root.path)])
    assert result.exit_code == exit_code, result.output
    return result.output


def line_of(output, start):
    """The words of the first line of a table that begins so."""
    return " ".join(next(line for line in output.splitlines() if line.startswith(start)).split())


def test_each_session_says_whether_it_is_used_and_what_decided(made):
    root, used, short, labelled = made
    output = why(root, used)
    assert "In cohort analyses, with 2 recordings: VTA-DA, SNc-DA." in output
    assert line_of(output, "session_matrix") == "session_matrix 1"
    output = why(root, short)
    assert (
        "Not in cohort analyses: an output that analyses need is not there or out of date (filter processed)." in output
    )
    assert line_of(output, "blockers").startswith(
        "blockers no InsufficientTrials: 60 found, 90 needed no blocking error"
    )
    assert line_of(output, "InsufficientTrials").startswith(
        "InsufficientTrials yes 60 90 task n_trials=60 < MIN_NTRIALS=90"
    )
    output = why(root, labelled)
    assert (
        "(filter labels). Found: fibre 0: reject; fibre 1: reject; needed: a fibre in a target that is not reject"
        in output
    )
    assert "decided by selection.excluded_labels" in output
    # texts of people are neither markup nor commands of the terminal
    assert "[bold red]jump[/bold red]" in output
    assert "\x1b" not in output


def test_a_table_shows_what_the_account_of_the_graph_says(made):
    root, *_ = made
    output = why(root, "recordings")
    account = read_table(root.path, SELECTION)
    for name, removed, left in zip(account["filter"], account["removed_in_order"], account["left"], strict=True):
        words = line_of(output, f"after {name} ").split()
        assert words[3] == str(left), name
        assert words[-2:] == ["none", "removed"] if not removed else words[5] == str(removed), name
    assert line_of(output, "selected recordings").split()[2:5] == ["1", "1", "2"]
    assert " ".join(output.splitlines()[-1].split()).startswith("recordings sessions, errors, ")
    assert output.rstrip().endswith("current")


def test_a_table_that_a_session_output_makes_says_which_sessions_lack_it(made):
    root, *_ = made
    output = why(root, "results/responses/responses.pqt")
    assert line_of(output, "responses (table)").endswith(
        "response_magnitudes is not ok in 1 session: 1 failed (InsufficientTrials)"
    )
    assert line_of(output, "magnitudes.baseline_window_s").endswith("as the preset")


def test_figures_show_their_pictures_and_what_changed_since(made):
    root, *_ = made
    output = why(root, "figures/dataset_overview")
    files = stored_family(root.path, "dataset_overview")
    for figure in files.figures:
        assert line_of(output, figure.png)
    assert f"{len(files.figures)} pictures" in output
    assert "what would be made now of what it reads." in output
    settings = root.path / "iblnm.toml"
    before = settings.read_bytes()
    settings.write_bytes(before + b"\n[parameters.selection]\nminimum_training_performance = 0.8\n")
    try:
        output = why(root, "session_matrix")
    finally:
        settings.write_bytes(before)
    assert "not what would be made now: selection.minimum_training_performance was 0.7, is 0.8" in output
    assert line_of(output, "selection.minimum_training_performance ").endswith("0.8 the preset has 0.7")


def test_an_unknown_name_ends_with_what_is_near_and_code_2(made):
    root, *_ = made
    assert "near: recordings" in why(root, "recordigns", exit_code=2)


def test_asking_writes_nothing(made):
    root, used, *_ = made

    def stamps():
        return {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()}

    before = stamps()
    for name in (used, "modelling_frame", "figures/dataset_overview"):
        why(root, name)
    assert stamps() == before


def test_the_pages_tell_the_same_account(made):
    root, *_, labelled = made
    page = write_session_report(root, labelled).path.read_text()
    assert "decided by selection.excluded_labels" in page
    assert "fibre 0: reject; fibre 1: reject" in page
    cohort = write_cohort_report(root).path.read_bytes()
    rows = table_of(parsed(cohort), "2 sessions that analyses do not use")
    left_out = next(row for row in rows if row[-1].startswith("filter labels"))
    said = "fibre 0: reject; fibre 1: reject; needed: a fibre in a target that is not reject"
    assert left_out[4:] == [said, "filter labels, selection.excluded_labels"]
    steps = table_of(parsed(cohort), "Dataset overview: from the catalogue to the figures")
    assert steps[0][:4] == ["sessions of the catalogue", "1", "3", "6"]
    assert steps[-1][0] == "figures/dataset_overview"
