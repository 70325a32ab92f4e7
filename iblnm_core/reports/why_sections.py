"""Sections of reports that say why: what decided about a session, and from the catalogue to each family of figures."""

from collections.abc import Iterable

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import upstream_analyses
from iblnm_core.answers.ground import MAKER, Ground
from iblnm_core.answers.session import FILTER_HEADERS, filter_rows, sentence_of
from iblnm_core.answers.waterfall import HEADERS, step_rows, steps_to
from iblnm_core.cohort.account import Account, read_account, verdicts_of
from iblnm_core.errors import CorruptArtifact
from iblnm_core.figures.drawing import stored_family
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.reports.model import SIGNS, Section, table
from iblnm_core.reports.texts import as_title, clean, without_folders
from iblnm_core.root import Root


def session_section(root: Root, eid: str) -> Section:
    """Return the section about whether cohort analyses use a session, and by which filter not.

    Parameters
    ----------
    root : Root
    eid : str
    """
    heading = ("analyses", "In analyses")
    try:
        account = read_account(root)
    except CorruptArtifact as error:
        return Section(*heading, (f"A table that decides about this is damaged: {without_folders(clean(error))}",))
    if eid not in account.chosen.passes.index:
        return Section(*heading, ("Not in cohort analyses: the session is not in the stored catalogue.",))
    verdicts = verdicts_of(account, [eid])
    signs = {"yes": f"{SIGNS['ok']} yes", "no": f"{SIGNS['blocking']} no"}
    rows = [
        [name, signs[passes], clean(found), clean(needed), decided]
        for name, passes, found, needed, decided in filter_rows(root, verdicts)
    ]
    caption = (
        "Filters of the selection, in their order, by the stored tables: a session is used when it passes all of them"
    )
    return Section(
        *heading, text=clean(sentence_of(account, eid, verdicts)), tables=(table(caption, FILTER_HEADERS, rows),)
    )


def cohort_section(root: Root, account: Account, names: Iterable[str]) -> Section:
    """Return the section about what was left of the catalogue at each step towards each family of figures.

    Parameters
    ----------
    root : Root
    account : Account
        Of this root.
    names : iterable of str
        Families of figures; those that are not stored are left out.
    """
    ground = Ground(root, account)
    stored = {name: stored_family(root.path, name) for name in names}
    tables = tuple(
        table(
            f"{as_title(name)}: from the catalogue to the figures",
            HEADERS,
            [
                [clean(cell) for cell in row]
                for row in step_rows(steps_to(ground, FAMILIES[name].reads, files=files, every_filter=False))
            ],
            folded=True,
        )
        for name, files in stored.items()
        if files is not None
    )
    heading = ("why", "Why: from the catalogue to each figure")
    if not tables:
        return Section(*heading, ("No figures are stored.",))
    text = (
        "What was left after each step, and what became of the rest; the filters stand one by one under “From sessions to "
        "recordings”. In the terminal, with parameters and versions: iblnm why figures/NAME."
    )
    return Section(*heading, text=text, tables=tables)


def tables_counted(names: Iterable[str]) -> list[str]:
    """Return the tables of which `cohort_section` counts rows.

    Parameters
    ----------
    names : iterable of str
        Families of figures.
    """
    drawn = [table for name in names for table in FAMILIES[name].reads]
    analyses = upstream_analyses(MAKER[name] for name in drawn if name in MAKER)
    read = [table for name in analyses for table in ANALYSES[name].reads]
    made = [schema.name for name in analyses for schema in ANALYSES[name].tables]
    return sorted({*drawn, *read, *made})
