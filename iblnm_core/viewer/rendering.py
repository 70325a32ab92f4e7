"""Words and tables of the pages, from templates that escape whatever comes from data."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import pandas as pd

from iblnm_core.figures.theme import Theme, in_order
from iblnm_core.reports import judging
from iblnm_core.reports.texts import clean
from iblnm_core.session.verdicts import error_rows
from iblnm_core.viewer.catalogue import COLUMNS, ROWS_OF_PAGE, STATES, Search
from iblnm_core.viewer.state import ViewState

if TYPE_CHECKING:
    import jinja2

    from iblnm_core.viewer.stored import SessionView


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    loader = jinja2.PackageLoader("iblnm_core.viewer")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def own_text(name: str) -> str:
    """Return a file of this folder: style or script."""
    return (resources.files("iblnm_core.viewer") / name).read_text(encoding="utf-8")


def _part(name: str, *content: Any) -> str:
    module: Any = _environment().get_template("parts.html.j2").module
    return str(getattr(module, name)(*content))


def heading_html(
    session: "SessionView", addresses: Sequence[str | None], place: int | None, n_listed: int, search: Search
) -> str:
    """Return the head of the page of a session: the way to others, and what it is.

    Parameters
    ----------
    session : SessionView
    addresses : sequence of str or None
        Of the sessions before and after it in the list.
    place : int or None
        Its own in that list, from 1.
    n_listed : int
    search : Search
        The list.
    """
    row = session.metadata
    facts = [str(row.get(name) or "") for name in ("start_time", "session_type", "lab")]
    facts[0] = facts[0][:16].replace("T", " ")
    report = f"reports/sessions/{session.eid}.html"
    has_report = (session.root.path / report).is_file()
    list_address = f"?{search.query}" if search.query else ""
    return _part(
        "heading",
        clean(str(row.get("subject") or session.eid)),
        [clean(fact) for fact in [*facts, session.eid] if fact],
        *addresses,
        place,
        n_listed,
        list_address,
        report if has_report else "",
    )


def banner_html(session: "SessionView") -> str:
    """Return the verdict on a session, and all that did not hold."""
    rows = error_rows(session.eid, session.verdicts.values())
    said = judging.banner(
        session.cards,
        session.verdicts,
        usable=judging.is_usable(session.eid, rows, session.provenance),
        unavailable=None,
        missing=judging.missing_outputs(session.provenance),
    )
    return _part("banner", said, session.cards)


def notice_html(text: str, kind: str = "missing") -> str:
    """Return a word in the place of what cannot be shown."""
    return _part("notice", clean(text), kind)


def recording_html(name: str, target: str, theme: Theme) -> str:
    """Return the heading of a recording."""
    return _part("recording", clean(name), clean(target), theme.target_colour(target))


def strip_key_html(theme: Theme) -> str:
    """Return what the strips beside the rows of heat maps mean."""
    return _part("strip_key", theme.correct, theme.incorrect)


def label_heading_html(recording: str) -> str:
    """Return the heading of the labels of a recording."""
    return _part("label_heading", clean(recording))


def labels_html(rows: pd.DataFrame, problem: str) -> str:
    """Return the labels of a recording, the last one first, and what was wrong with one that was refused."""
    shown = rows.iloc[::-1].to_dict("records")
    return _part(
        "labels", [{**row, "note": clean(row["note"]), "author": clean(row["author"])} for row in shown], problem
    )


def keys_html(words: Sequence[tuple[str, str]]) -> str:
    """Return the list of keys and what they do."""
    return _part("keys", words)


def catalogue_html(sessions: pd.DataFrame, search: Search) -> bytes:
    """Return the page of all sessions.

    Parameters
    ----------
    sessions : DataFrame
        Of the catalogue.
    search : Search
        What is looked for.
    """
    import markupsafe

    found = search.of(sessions)
    n_pages = max(-(-len(found) // ROWS_OF_PAGE), 1)
    page = min(search.page, n_pages)
    shown = found.iloc[(page - 1) * ROWS_OF_PAGE : page * ROWS_OF_PAGE]
    labels = {label for labels in sessions["targets"] for label in labels.split(", ") if label}
    choices = (
        ("session_type", "Type", sorted({kind for kind in sessions["session_type"] if kind})),
        ("target", "Target", in_order(labels)),
        ("state", "State", STATES),
    )
    nothing = (
        "No session is like that."
        if len(sessions)
        else "There is no session yet: `iblnm run` asks the source for them."
    )
    return (
        _environment()
        .get_template("catalogue.html.j2")
        .render(
            style=markupsafe.Markup(own_text("style.css")),  # noqa: S704 - our own file
            search={name: getattr(search, name) for name in ("text", "session_type", "target", "state", "sort")}
            | {"page": page},
            n_found=len(found),
            n_all=len(sessions),
            n_pages=n_pages,
            choices=choices,
            headers=[_header(name, header, search) for name, header in COLUMNS.items()],
            rows=[_row(row, search) for row in shown.to_dict("records")],
            earlier=replace(search, page=page - 1).query if page > 1 else "",
            later=replace(search, page=page + 1).query if page < n_pages else "",
            nothing=nothing,
        )
        .encode()
    )


def _header(name: str, header: str, search: Search) -> tuple[str, str, str, str]:
    directions = {name: "ascending", f"-{name}": "descending"}
    return name, header, search.sorted_by(name).query, directions.get(search.sort, "")


def _row(row: dict[Any, Any], search: Search) -> dict[str, Any]:
    cells = []
    for name in COLUMNS:
        value = row[name]
        if isinstance(value, float):
            cells.append("" if pd.isna(value) else f"{value:.0%}" if name == "fraction_correct" else f"{value:g}")
        else:
            cells.append(clean(str(value)))
    return {"address": session_address(ViewState(eid=row["eid"]), search), "cells": cells, "kind": row["state"]}


def session_address(state: ViewState, search: Search) -> str:
    """Return the address of a session, below that of the list."""
    return f"session?{full_query(state, search)}"


def full_query(state: ViewState, search: Search) -> str:
    """Return the part of an address after the question mark that says what is seen, and of which list."""
    return "&".join(part for part in (state.query, search.query) if part)
