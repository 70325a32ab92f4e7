"""Reports of sessions and of the cohort: valid, complete whatever is missing, safe, and what the tables say."""

import base64
import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests_support.report_pages import assert_accessible, assert_opens_from_disk, parsed, table_of, tags_of, text_of
from tests_support.sessions import catalogue_of

from iblnm_core.cohort.collect import COLLECTED, collect
from iblnm_core.cohort.selection import Selection, account_table, recordings_table, select
from iblnm_core.cohort.unavailable import note_availability
from iblnm_core.figures.thinning import thinned
from iblnm_core.reports import judging
from iblnm_core.reports.behaviour_pictures import wilson
from iblnm_core.reports.cohort import cohort_page
from iblnm_core.reports.cohort_reading import read_cohort
from iblnm_core.reports.reading import read_session
from iblnm_core.reports.render import render_cohort, render_session
from iblnm_core.reports.session import session_report, within_limit
from iblnm_core.reports.texts import number, percent
from iblnm_core.reports.writing import write_cohort_report, write_session_report
from iblnm_core.root import create_root
from iblnm_core.schemas import CORRECTIONS, ERRORS, LABELS, RECORDINGS, SELECTION, SESSION_STATUS
from iblnm_core.session.outputs import COMPUTED, OUTPUTS
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.session_file import update_session_file
from iblnm_core.storage.tables import Table, make_table, read_table, write_table

HOSTILE = "<script>alert(1)</script>\"'&</title><img src=x onerror=alert(2)>{{ 7*7 }}"
WHEEL = "alf/task_00/_ibl_wheel.position.npy"
TRIALS = "alf/task_00/_ibl_trials.table.pqt"
NAMES = ("ok", "few trials", "no wheel", "no trials")


@pytest.fixture(scope="module")
def reported(tmp_path_factory, copies, few_trials, break_file):
    """A root with a sound session and three that go wrong, and the session ids by what went wrong."""
    folder = tmp_path_factory.mktemp("reported")
    made = copies(folder / "cache", len(NAMES))
    eids = dict(zip(NAMES, made.eids, strict=True))
    few_trials(made.folders[eids["few trials"]])
    break_file(made.folders[eids["no wheel"]] / WHEEL)
    break_file(made.folders[eids["no trials"]] / TRIALS)
    root = create_root(folder / "root", source="local", cache=made.cache)
    catalogue = catalogue_of(root)
    for task in catalogue.tasks(made.eids):
        process_session(task)
    for name in COLLECTED:
        table = collect(root, name).table
        assert isinstance(table, Table)
        write_table(root.path, table)
    write_table(root.path, make_table(SESSION_STATUS, catalogue.status()))
    return root, eids


def page_of(root, eid):
    return render_session(session_report(root, read_session(root, eid)).page)


@pytest.fixture(scope="module")
def records(reported):
    root, eids = reported
    return {name: session_report(root, read_session(root, eid)).page for name, eid in eids.items()}


@pytest.fixture(scope="module")
def pages(records):
    return {name: render_session(page) for name, page in records.items()}


def test_pages_of_all_kinds_of_sessions_are_valid_accessible_and_need_nothing_else(pages):
    for content in pages.values():
        tree = parsed(content)
        assert_accessible(tree)
        assert_opens_from_disk(tree)
        assert "script" not in tags_of(tree)
        assert len(content) <= 3_000_000
        headings = [text_of(heading) for heading in tree.iter("h2")]
        assert headings == [
            *("Checks", "Signals", "Corrections", "Photometry quality", "Responses", "Behaviour", "Wheel"),
            *("Subject and session", "In analyses", "Data and provenance"),
        ]


def test_the_verdict_names_what_failed_and_cards_say_what_to_do(pages):
    banners = {
        name: text_of(next(e for e in parsed(content).iter("div") if "banner" in e.get("class", "")))
        for name, content in pages.items()
    }
    assert banners["ok"].startswith("! Usable, with warnings No blocking check failed. 8 warnings: Session length, ")
    assert banners["few trials"] == "✕ Not usable 1 blocking check failed: Number of trials."
    assert banners["no wheel"].startswith("! Usable, with warnings No blocking check failed. 9 warnings: ")
    assert banners["no trials"].startswith("✕ Not usable 1 blocking check failed: Readable data")
    card = text_of(next(parsed(pages["few trials"]).iter("article")))
    for part in ("too few trials", "Measured 60", "Needed 90", "What to do Nothing.", "InsufficientTrials"):
        assert part in card


def test_page_and_cohort_and_selection_agree_about_every_session(reported, records):
    root, eids = reported
    cohort = read_cohort(root)
    rows = {
        row.anchor: row.cells for row in _section(cohort_page(root, cohort, frozenset()), "sessions").tables[0].rows
    }
    for name, eid in eids.items():
        banner = records[name].banner
        assert rows[f"s-{eid}"][7].text == f"{banner.sign} {banner.word}"
        assert (eid in cohort.usable) == banner.word.startswith("Usable")
        assert (eid in cohort.excluded) == (eid not in set(cohort.chosen.sessions["eid"]))


def test_a_session_is_usable_exactly_when_no_card_blocks_and_nothing_is_missing(reported):
    root, eids = reported
    for eid in eids.values():
        stored = read_session(root, eid)
        blocked = any(card.kind == "blocking" for card in judging.cards(eid, stored.verdicts, stored.provenance))
        usable = judging.is_usable(eid, stored.errors, stored.provenance)
        assert usable == (not blocked and not judging.missing_outputs(stored.provenance))


@pytest.fixture
def without(reported, tmp_path):
    """Copy a session to a root of its own and take outputs away there."""
    root, eids = reported
    copy = dataclasses.replace(root, path=tmp_path)
    shutil.copytree(root.path / "metadata", tmp_path / "metadata")
    copy.session_folder.mkdir(parents=True)

    def take(name, outputs):
        eid = eids[name]
        shutil.copyfile(root.session_file(eid), copy.session_file(eid))
        gone = re.compile("|".join(OUTPUTS[output].part for output in outputs))
        update_session_file(copy.session_file(eid), eid, lambda _file: ({}, lambda part: bool(gone.fullmatch(part))))
        return parsed(page_of(copy, eid))

    return take


MISSING = {
    "session_metadata": "Subject and session",
    "trials": "materialise “trials”|“trials” was made, and is empty",
    "photometry_qc": "photometry_qc",
    "preprocessed_signal": "preprocessed_signal",
    "wheel_velocity": "wheel_velocity",
    "session_errors": "Not judged This session was not computed yet.",
}


@pytest.mark.parametrize("output", MISSING)
def test_a_page_is_made_without_each_output_and_says_what_to_materialise(without, output):
    tree = without("few trials", [output, "trial_regressors", "video_qc"])
    assert_accessible(tree)
    assert re.search(MISSING[output], text_of(tree))


def test_a_page_without_anything_that_follows_from_the_signal_names_all_of_it(without):
    gone = [output for output in COMPUTED if OUTPUTS[output].stage in {"photometry", "responses", "task"}]
    tree = without("ok", gone)
    assert_accessible(tree)
    notices = [text_of(p) for p in tree.iter("p") if p.get("class") == "notice"]
    assert len(notices) == 5


def test_a_session_that_was_never_computed_or_could_not_be_had_is_not_judged(reported, tmp_path):
    root, eids = reported
    bare = dataclasses.replace(root, path=tmp_path)
    shutil.copytree(root.path / "metadata", tmp_path / "metadata")
    text = text_of(parsed(page_of(bare, eids["ok"])))
    assert "Not judged This session was not computed yet." in text
    assert "materialise “preprocessed_signal”" in text
    note_availability(bare, {eids["ok"]: "the server did not answer"}, [])
    text = text_of(parsed(page_of(bare, eids["ok"])))
    assert "The source could not be read; nothing is known about this session yet. the server did not answer" in text


def test_a_damaged_session_file_has_a_page_that_says_so(reported, tmp_path):
    root, eids = reported
    copy = dataclasses.replace(root, path=tmp_path)
    shutil.copytree(root.path / "metadata", tmp_path / "metadata")
    copy.session_folder.mkdir(parents=True)
    whole = root.session_file(eids["ok"]).read_bytes()
    copy.session_file(eids["ok"]).write_bytes(whole[: len(whole) // 3])
    text = text_of(parsed(page_of(copy, eids["ok"])))
    assert "Not usable 1 blocking check failed: Stored results." in text
    assert str(tmp_path) not in text


def test_what_others_wrote_into_names_stays_text(reported, pages):
    root, eids = reported
    stored = read_session(root, eids["few trials"])
    texts = dict.fromkeys(("subject", "lab", "strain", "line", "task_protocol", "session_type", "url", "NM"), HOSTILE)
    lists = {key: [HOSTILE, "$\\frac$"] for key in ("genotype", "projects", "users", "target_NM", "brain_region")}
    stored.row = {**stored.row, **texts, **lists}
    (finding,) = stored.verdicts["enough_trials"].findings
    changed = dataclasses.replace(finding, error_message=HOSTILE, traceback=None, measured=HOSTILE)
    stored.verdicts = {
        **stored.verdicts,
        "enough_trials": dataclasses.replace(stored.verdicts["enough_trials"], findings=(changed,)),
    }
    stored.signals = {"VTA $\\frac$ <b>": next(iter(stored.signals.values()))} if stored.signals else {}
    tree = parsed(render_session(session_report(root, stored).page))
    tags = tags_of(tree)
    assert "script" not in tags
    assert {tag: tags.count(tag) for tag in ("img", "a", "article")} == {
        tag: tags_of(parsed(pages["few trials"])).count(tag) for tag in ("img", "a", "article")
    }
    assert HOSTILE in text_of(tree)
    assert not [e for e in tree.iter() if "onerror" in e.attrib]
    assert_opens_from_disk(tree)


def test_numbers_on_the_page_are_those_that_are_stored(reported, pages):
    root, eids = reported
    stored = read_session(root, eids["ok"])
    tree = parsed(pages["ok"])
    rows = dict(table_of(tree, "Performance"))
    assert rows["Trials"] == number(len(stored.trials))
    assert rows["Correct"] == percent(stored.performance["fraction_correct"])
    quality = table_of(tree, "Quality by region")
    assert [row[3] for row in quality] == [number(value) for value in stored.quality["ar_score"]]
    assert [row[8] for row in quality] == [number(value) for value in stored.quality["n_band_inversions"]]
    inputs = {entry.path for p in stored.provenance.values() for entry in p.inputs}
    assert {row[0] for row in table_of(tree, "Input datasets")} == inputs


def test_equal_input_gives_equal_bytes_whatever_the_surroundings(reported, pages, tmp_path):
    root, eids = reported
    code = (
        "import sys, hashlib\nfrom iblnm_core.root import open_root\nfrom iblnm_core.reports.reading import read_session\n"
        "from iblnm_core.reports.session import session_report\nfrom iblnm_core.reports.render import render_session\n"
        "root = open_root(sys.argv[1])\n"
        "print(hashlib.sha256(render_session(session_report(root, read_session(root, sys.argv[2])).page)).hexdigest())"
    )
    other = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-c", code, str(root.path), eids["few trials"]]
    found = subprocess.run(command, env=other, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert found == hashlib.sha256(pages["few trials"]).hexdigest()
    assert str(root.path) not in pages["few trials"].decode()


def test_a_page_that_would_be_too_large_leaves_the_close_look_out_first_and_says_so(records):
    sections = records["ok"].sections
    titles = lambda found: [p.title for section in found for p in section.pictures]  # noqa: E731
    total = sum(len(p.source) for section in sections for p in section.pictures)
    assert within_limit(sections, total) == sections
    smaller = within_limit(sections, total - 1)
    assert set(titles(sections)) - set(titles(smaller)) == {"A close look"}
    assert "“A close look” is left out" in next(s for s in smaller if s.anchor == "signals").notices[-1]
    least = within_limit(sections, 1)
    left_out = {"A close look", "First movement", "Responses under every correction"}
    assert set(titles(sections)) - set(titles(least)) == left_out


def test_spikes_survive_decimation_and_gaps_stay_gaps():
    values = np.zeros(100_000)
    values[12_345], values[50_000:51_000] = 9.0, np.nan
    times, shown = thinned(np.arange(values.size) / 30, values, 1_400)
    assert 350 <= len(shown) == len(times) <= 1_400
    assert np.nanmax(shown) == 9.0
    assert shown[np.argmax(times >= 12_345 / 30)] == 9.0
    # from the first sample of the gap to the last
    assert times[np.isnan(shown)][[0, -1]].tolist() == [50_000 / 30, 50_999 / 30]


def test_wilson_intervals_are_those_of_the_textbook():
    low, high = wilson(np.array([0.0, 8.0]), np.array([10.0, 10.0]))
    np.testing.assert_allclose(low, [0.0, 0.4902], atol=1e-4)
    np.testing.assert_allclose(high, [0.2775, 0.9433], atol=1e-4)


def _section(page, anchor):
    return next(section for section in page.sections if section.anchor == anchor)


def test_the_cohort_page_is_valid_and_accounts_for_every_session(reported, tmp_path):
    root, eids = reported
    copy = dataclasses.replace(root, path=tmp_path)
    for name in ("metadata", "data"):
        shutil.copytree(root.path / name, tmp_path / name)
    write_session_report(copy, eids["ok"])
    written = write_cohort_report(copy)
    content = written.path.read_bytes()
    tree = parsed(content)
    assert_accessible(tree)
    assert_opens_from_disk(tree)
    (script,) = tree.iter("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in content.decode()
    links = {link.get("href") for link in tree.iter("a") if not link.get("href").startswith("#")}
    assert links == {f"sessions/{eids['ok']}.html"}
    assert (written.path.parent / links.pop()).is_file()
    cohort = read_cohort(copy)
    removed = cohort.chosen.account.set_index("filter")["removed_in_order"]
    found = pd.Series(list(cohort.excluded.values())).value_counts()
    assert found.to_dict() == removed[removed > 0].to_dict()
    assert "No pictures of mean traces are stored. To see them, materialise “figures/mean_traces”." in text_of(tree)


def test_the_cohort_page_selects_as_the_selection_of_analyses(reported):
    root, _ = reported
    cohort = read_cohort(root)
    statuses = read_table(root.path, SESSION_STATUS)
    selection = Selection.of(root.parameters)
    labels, corrections = (schema.arrow().empty_table().to_pandas() for schema in (LABELS, CORRECTIONS))
    chosen = select(cohort.sessions, cohort.errors, selection, cohort.performance, statuses, labels, corrections)
    for schema, ours, theirs in (
        (SELECTION, account_table(cohort.chosen), account_table(chosen)),
        (RECORDINGS, recordings_table(cohort.chosen), recordings_table(chosen)),
    ):
        assert make_table(schema, ours).content_hash == make_table(schema, theirs).content_hash


def test_a_cohort_of_nothing_has_a_page(tmp_path, copies):
    root = create_root(tmp_path / "root", source="local", cache=copies(tmp_path / "cache", 1).cache)
    tree = parsed(render_cohort(cohort_page(root, read_cohort(root), frozenset())))
    assert_accessible(tree)
    assert "0 of 0 sessions, 0 mice, 0 recordings enter the analyses." in text_of(tree)


def test_a_thousand_sessions_fit_on_a_page(reported):
    root, eids = reported
    cohort = read_cohort(root)
    one = cohort.sessions.iloc[[0]]
    many = pd.concat([one.assign(eid=f"{n:08x}-0000-4000-8000-000000000000") for n in range(1000)], ignore_index=True)
    content = render_cohort(
        cohort_page(root, dataclasses.replace(cohort, sessions=many, excluded={}), frozenset({eids["ok"]}))
    )
    assert len(table_of(parsed(content), "All sessions")) == 1000
    assert len(content) < 1_500_000


def test_no_template_lets_anything_through_unescaped():
    from importlib import resources

    for file in (resources.files("iblnm_core.reports") / "templates").iterdir():
        text = file.read_text()
        assert "safe" not in text
        assert not re.search(r"=\s*\{\{", text)


def test_texts_stand_out_from_their_ground():
    from importlib import resources

    style = (resources.files("iblnm_core.reports") / "style.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", style))

    def luminance(colour):
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    for name in ("ink", "soft", "link", "blocking", "warning", "ok", "unknown"):
        for ground in ("paper", "card"):
            contrast = (luminance(colours[ground]) + 0.05) / (luminance(colours[name]) + 0.05)
            assert contrast >= 7, (name, ground, contrast)


def test_the_cohort_page_stays_until_something_changes_that_is_on_it(reported, tmp_path):
    root = dataclasses.replace(reported[0], path=tmp_path / "root")
    shutil.copytree(reported[0].path, root.path, ignore=shutil.ignore_patterns("cache", "reports"))
    first = write_cohort_report(root)
    stamp = first.path.stat().st_mtime_ns

    def again():
        return dataclasses.replace(write_cohort_report(root), seconds=first.seconds)

    assert again() == first
    assert first.path.stat().st_mtime_ns == stamp
    (root.path / "reports" / "sessions").mkdir()
    (root.path / "reports" / "sessions" / f"{read_cohort(root).sessions['eid'].iloc[0]}.html").write_text("a page")
    linked = again()
    assert linked.sha256 != first.sha256
    first.path.write_bytes(first.path.read_bytes()[:100])
    assert again() == linked
    write_table(root.path, make_table(ERRORS, read_table(root.path, ERRORS).head(0)))
    assert again().n_failed_checks == 0
