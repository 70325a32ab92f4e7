"""The report of a cohort as records: who is in, what failed, every session, and the stored figures with their captions."""

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from iblnm_core import __version__
from iblnm_core.cohort.account import FILTER_WORDS, FIXED, verdicts_of
from iblnm_core.figures.drawing import FOLDER as FIGURES
from iblnm_core.figures.drawing import stored_family
from iblnm_core.figures.pixels import few_colours, narrowed
from iblnm_core.figures.theme import in_order
from iblnm_core.identifiers import is_eid
from iblnm_core.parameters import PRESETS
from iblnm_core.reports.cohort_reading import Cohort
from iblnm_core.reports.model import SIGNS, Banner, Cell, CohortPage, Fact, Picture, Row, Section, TableView, table
from iblnm_core.reports.model_tables import statistics_tables
from iblnm_core.reports.pictures import data_address
from iblnm_core.reports.session_tables import flat, parameters_version
from iblnm_core.reports.texts import as_title, clean, counted, listed, number, percent
from iblnm_core.reports.why_sections import cohort_section
from iblnm_core.root import Root
from iblnm_core.verdict_words import words_for

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "coverage": ("dataset_overview", "fibre_locations"),
        "quality": ("photometry_qc",),
        "behaviour": ("task_performance", "learning_curves"),
        "responses": ("mean_traces", "contrast_curves"),
        "models": (
            "response_models",
            "model_reliability",
            "movement_variance",
            "session_models",
            "baseline_coding",
            "variance_components",
            "response_vectors",
            "movement_encoding",
            "task_encoding",
            "encoding_model",
        ),
    }
)
"""Families of figures by section."""

PICTURE_BYTES = 6_500_000
"""All pictures of a page together; as addresses they are a third larger, and a page is at most 10 MB."""

_WIDEST = 1_000
_SCALE = 110 / 150
_COLOURS = 48
_MOST_EXTREME = 5


def cohort_page(root: Root, cohort: Cohort, pages: frozenset[str]) -> CohortPage:
    """Return the report of a cohort.

    Parameters
    ----------
    root : Root
    cohort : Cohort
    pages : frozenset of str
        Sessions that have a report of their own.
    """
    chosen = cohort.chosen
    mice = chosen.sessions["subject"].nunique()
    sentence = (
        f"{number(len(chosen.sessions))} of {counted(len(cohort.sessions), 'session')}, {counted(mice, 'mouse', 'mice')}, "
        f"{counted(len(chosen.recordings), 'recording')} enter the analyses."
    )
    banner = Banner("ok" if len(chosen.sessions) else "unknown", "In the analyses", sentence)
    room = [PICTURE_BYTES]
    drawn = {anchor: _family_pictures(root.path, names, room) for anchor, names in FAMILIES.items()}
    sections = (
        _flow(cohort),
        _failures(cohort),
        _sessions(cohort, pages),
        Section(
            "coverage", "Coverage", drawn["coverage"][1], pictures=drawn["coverage"][0], tables=(_targets(cohort),)
        ),
        Section(
            "quality",
            "Quality across recordings",
            drawn["quality"][1],
            pictures=drawn["quality"][0],
            tables=_extremes(cohort, pages),
        ),
        *(
            Section(anchor, title, drawn[anchor][1], pictures=drawn[anchor][0])
            for anchor, title in (("behaviour", "Behaviour"), ("responses", "Responses"), ("models", "Models"))
        ),
        _exclusions(cohort, pages),
        cohort_section(root, cohort.account, [name for names in FAMILIES.values() for name in names]),
        _provenance(root, cohort),
    )
    parameters = root.parameters.selection
    selection = (
        f"Sessions of type {', '.join(parameters.session_types)} with a fibre in {', '.join(parameters.targets)}; "
        f"training sessions from {percent(parameters.minimum_training_performance)} correct on."
    )
    foot = f"iblnm {__version__} · preset {root.preset} · parameters {parameters_version(root)}"
    return CohortPage(
        "Cohort report", selection, banner, sections, foot, len(cohort.errors[["eid", "rule"]].drop_duplicates())
    )


def _flow(cohort: Cohort) -> Section:
    rows = [["all sessions of the catalogue", number(len(cohort.sessions)), "0", ""]]
    for _, row in cohort.chosen.account.iterrows():
        removed = int(row["removed_in_order"])
        rows.append([FILTER_WORDS[row["filter"]], number(row["left"]), number(removed), row["filter"]])
    caption = "Filters in their order; each removes what the ones above left."
    return Section(
        "flow",
        "From sessions to recordings",
        tables=(table(caption, ("Removed when", "Sessions left", "Removed", "Filter"), rows),),
    )


def _targets(cohort: Cohort) -> TableView:
    recordings = cohort.chosen.recordings
    rows = []
    for target in in_order(recordings["target_NM"].dropna()):
        of_target = recordings[recordings["target_NM"] == target]
        rows.append(
            [
                clean(target),
                number(len(of_target)),
                number(of_target["eid"].nunique()),
                number(of_target["subject"].nunique()),
            ]
        )
    rows.append(
        ["all", number(len(recordings)), number(recordings["eid"].nunique()), number(recordings["subject"].nunique())]
    )
    return table("Selected recordings by target", ("Target", "Recordings", "Sessions", "Mice"), rows)


def _failures(cohort: Cohort) -> Section:
    errors = cohort.errors.assign(blocking=cohort.blocking)
    rows = []
    for error_type, found in errors.groupby("error_type"):
        words = words_for(str(found["error_family"].iloc[0]).split() or [str(error_type)])
        n, n_blocked = found["eid"].nunique(), found.loc[found["blocking"], "eid"].nunique()
        share = percent(n / max(len(cohort.sessions), 1))
        rows.append(
            (n_blocked, n, [words.title, number(n), share, number(n_blocked), words.meaning, clean(error_type)])
        )
    rows.sort(key=lambda row: (-(row[0] > 0), -row[1], row[2][-1]))
    if not rows:
        return Section("failures", "What failed", ("No check failed in any session.",))
    headers = ("Check", "Sessions", "Share of all", "Of these blocked", "Meaning", "Error class")
    return Section(
        "failures", "What failed", tables=(table("Checks that failed anywhere", headers, [row[2] for row in rows]),)
    )


def _sessions(cohort: Cohort, pages: frozenset[str]) -> Section:
    titles: dict[str, list[tuple[bool, str]]] = {}
    families = cohort.errors["error_family"].astype(str)
    for eid, family, blocking in zip(cohort.errors["eid"], families, cohort.blocking, strict=True):
        titles.setdefault(eid, []).append((not blocking, words_for(family.split()).title))
    correct = cohort.performance.set_index("eid")["fraction_correct"].to_dict()
    rows = []
    ordered = cohort.sessions.sort_values(["subject", "start_time", "number", "eid"])
    for session in ordered.to_dict("records"):
        eid = session["eid"]
        found = sorted(titles.get(eid, []))
        link = _link(eid, pages)
        cells = [
            Cell(clean(session["subject"]), link=link),
            Cell(clean(session["start_time"])[:10]),
            Cell(number(session["number"])),
            Cell(clean(session["session_type"])),
            Cell(clean(", ".join(str(label) for label in session["target_NM"] if label) or None)),
            Cell(number(cohort.n_trials.get(eid))),
            Cell(percent(correct.get(eid))),
            Cell(verdict(usable=eid in cohort.usable, blocked=any(not free for free, _ in found), warned=bool(found))),
            Cell(listed([title for _, title in found]) or "none"),
            Cell("report" if link else "no report", link=link),
        ]
        rows.append(Row(tuple(cells), anchor=f"s-{eid}" if is_eid(eid) else ""))
    headers = (
        "Subject",
        "Date",
        "Number",
        "Type",
        "Targets",
        "Trials",
        "Correct",
        "Verdict",
        "Failed checks",
        "Report",
    )
    notices = () if rows else ("The catalogue has no sessions. To see them, materialise “sessions”.",)
    view = TableView("All sessions of the catalogue", headers, tuple(rows), anchor="session-rows")
    return Section("sessions", "Sessions", notices, tables=(view,) if rows else ())


def verdict(*, usable: bool, blocked: bool, warned: bool) -> str:
    """Return sign and word of the verdict on a session."""
    if blocked:
        return f"{SIGNS['blocking']} Not usable"
    if not usable:
        return f"{SIGNS['unknown']} Not judged"
    return f"{SIGNS['warning']} Usable, with warnings" if warned else f"{SIGNS['ok']} Usable"


def _link(eid: str, pages: frozenset[str]) -> str:
    return f"sessions/{eid}.html" if eid in pages and is_eid(eid) else ""


def _extremes(cohort: Cohort, pages: frozenset[str]) -> tuple[TableView, ...]:
    quality = cohort.quality
    signal = quality[(quality["band"] == "GCaMP") & quality["median_absolute_deviance"].notna()]
    if signal.empty:
        return ()
    about = cohort.sessions.set_index("eid")[["subject", "start_time"]]
    measures = (
        ("median_absolute_deviance", False, "most noise (median absolute deviance, camera units)"),
        ("n_unique_samples", True, "fewest distinct values (fraction)"),
        ("ar_score", True, "lowest AR score"),
    )
    views = []
    for name, ascending, words in measures:
        known = signal[signal[name].notna()].sort_values([name, "eid", "fiber_idx"], ascending=[ascending, True, True])
        rows = []
        for row in known.head(_MOST_EXTREME).to_dict("records"):
            eid = row["eid"]
            subject, start = about.loc[eid] if eid in about.index else (None, None)
            cells = (
                Cell(f"{clean(subject)}, {clean(start)[:10]}", link=_link(eid, pages)),
                Cell(clean(row["brain_region"])),
                Cell(number(row[name])),
            )
            rows.append(Row(cells))
        caption = f"The {_MOST_EXTREME} recordings with the {words}; 470 nm, of all sessions"
        views.append(TableView(caption, ("Session", "Region", "Value"), tuple(rows)))
    return tuple(views)


def _exclusions(cohort: Cohort, pages: frozenset[str]) -> Section:
    about = cohort.sessions.set_index("eid")
    verdicts = verdicts_of(cohort.account, list(cohort.excluded))
    first = verdicts[~verdicts["passed"]].drop_duplicates("eid")
    rows = []
    for verdict in first.to_dict("records"):
        eid, name = verdict["eid"], verdict["filter"]
        session = about.loc[eid]
        decided, found = f"filter {name}", verdict["found"]
        # what a filter without a parameter needs is in the words of its reason
        if verdict["decided_by"] != FIXED:
            decided, found = f"{decided}, {verdict['decided_by']}", f"{found}; needed: {verdict['needed']}"
        cells = (
            Cell(clean(session["subject"]), link=_link(eid, pages)),
            Cell(clean(session["start_time"])[:10]),
            Cell(number(session["number"])),
            Cell(FILTER_WORDS[name]),
            Cell(clean(found)),
            Cell(decided),
        )
        rows.append(((str(session["subject"]), str(session["start_time"]), eid), Row(cells)))
    if not rows:
        return Section("exclusions", "Exclusions", ("No session of the catalogue is excluded.",))
    caption = f"{counted(len(rows), 'session')} that analyses do not use, with the first filter that they fail and its parameter, if it has one"
    headers = ("Subject", "Date", "Number", "Reason", "Found", "Decided by")
    view = TableView(caption, headers, tuple(row for _, row in sorted(rows, key=lambda pair: pair[0])))
    return Section("exclusions", "Exclusions", tables=(view,))


def _provenance(root: Root, cohort: Cohort) -> Section:
    ours, preset = flat(root.parameters), flat(PRESETS[root.preset])
    reference = flat(PRESETS["reference"])
    changed = [[name, value, preset[name]] for name, value in ours.items() if value != preset[name]]
    deviations = [[name, value, reference[name]] for name, value in ours.items() if value != reference[name]]
    latest = cohort.sessions["start_time"].max() if len(cohort.sessions) else None
    facts = (
        Fact("Sessions listed by the source", number(len(cohort.sessions))),
        Fact("Latest session", clean(latest)[:10]),
        Fact("To make this page again", "iblnm report --cohort"),
    )
    tables = (
        table(
            "Tables that this page was made of", ("Table", "Data version"), [[n, v] for n, v in cohort.versions.items()]
        ),
        table(f"Parameters that differ from the preset {root.preset}", ("Parameter", "Value", "Preset"), changed),
        table(
            "Parameters that differ from the preset reference",
            ("Parameter", "Value", "reference"),
            deviations,
            folded=True,
        ),
    )
    return Section("provenance", "Provenance", facts=facts, tables=tuple(view for view in tables if view.rows))


def _family_pictures(root: Path, names: Sequence[str], room: list[int]) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """Return the stored pictures of some families, each family's numbers under its last one, and what is not there or does not fit."""
    pictures: list[Picture] = []
    notices: list[str] = []
    for name in names:
        stored = stored_family(root, name)
        if stored is None:
            notices.append(
                f"No pictures of {name.replace('_', ' ')} are stored. To see them, materialise “{FIGURES}/{name}”."
            )
            continue
        left_out, first = 0, len(pictures)
        # pixels are worked on outside the interpreter's lock
        with ThreadPoolExecutor() as pool:
            smaller = list(pool.map(_smaller, (stored.folder / figure.png for figure in stored.figures)))
        for figure, (content, width, height) in zip(stored.figures, smaller, strict=True):
            if len(content) > room[0]:
                left_out += 1
                continue
            room[0] -= len(content)
            where = f"{FIGURES}/{name}/{figure.png}, table {figure.data}"
            asked = f" Which session each mark is: {FIGURES}/{name}/{figure.companion}." if figure.companion else ""
            caption = f"{clean(figure.caption)} Full resolution: {where}.{asked}"
            alt = clean(figure.missing or figure.caption)
            title = as_title(figure.name)
            pictures.append(Picture(data_address(content, "png"), alt, caption, width, height, title))
        if len(pictures) > first:
            pictures[-1] = replace(pictures[-1], tables=statistics_tables(root, name))
        if left_out:
            notices.append(
                f"{counted(left_out, 'picture')} of {name.replace('_', ' ')} would make this page too large; see {FIGURES}/{name}."
            )
    return tuple(pictures), tuple(notices)


def _smaller(path: Path) -> tuple[bytes, int, int]:
    from PIL import Image

    content = path.read_bytes()
    width = Image.open(io.BytesIO(content)).width
    image = narrowed(content, min(round(width * _SCALE), _WIDEST))
    return few_colours(image, _COLOURS), image.width, image.height
