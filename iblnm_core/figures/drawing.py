"""A family of figures from the stored tables of a root to its files: pictures, vector files, drawn tables, preview, manifest."""

import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from iblnm_core.errors import IblnmError
from iblnm_core.figures.companion import companion_page
from iblnm_core.figures.family import Drawn, Family
from iblnm_core.figures.pixels import few_colours, narrowed
from iblnm_core.figures.theme import THEMES
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import TABLES
from iblnm_core.storage.atomic import locked, write_bytes
from iblnm_core.storage.derived import recipe
from iblnm_core.storage.tables import read_table
from iblnm_core.workers import TaskOutcome, run_tasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "figures"
"""Below the root; each family has a folder in it."""

MANIFEST = "manifest.json"
PREVIEW = "preview.png"
PREVIEW_BYTES = 200 * 1024
"""A preview is kept in the event log, once for every time a family is drawn."""

_DPI = 150
_PREVIEW_WIDTH = 900
_PREVIEW_COLUMNS = 3
_NAME = re.compile(r"[A-Za-z0-9_]+")
_UNDATED: Mapping[str, Mapping[str, str | None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Metadata of vector files by format, without the date that they would have."""

_FORMULA = ("=", "+", "-", "@", "\t")


class UnsuitableName(IblnmError):
    """A figure has a name that no file should have, or that another one of its family has."""


@dataclass(frozen=True)
class FigureFiles:
    """One picture as it is stored.

    Attributes
    ----------
    name, caption, missing : str
    counts : mapping of str to int
    png, vector, data : str
        Names of its files in the folder of the family.
    sha256 : mapping of str to str
        Of each file, by its name.
    companion : str
        Name of the page that says which session each mark is; empty for pictures without one.
    """

    name: str
    caption: str
    missing: str
    counts: Mapping[str, int]
    png: str
    vector: str
    data: str
    sha256: Mapping[str, str]
    companion: str = ""


@dataclass(frozen=True)
class FamilyFiles:
    """A family as it is stored.

    Attributes
    ----------
    folder : Path
    figures : tuple of FigureFiles
    made_from : mapping
        Contents of the tables and of what session files gave, parameters, versions of the code and of the drawing library.
    drawn : bool
        Whether it was drawn now; not when nothing changed that it is made from.
    """

    folder: Path
    figures: tuple[FigureFiles, ...]
    made_from: Mapping[str, Any]
    drawn: bool

    @property
    def counts(self) -> dict[str, int]:
        """The largest count of each kind among the pictures."""
        names = sorted({name for figure in self.figures for name in figure.counts})
        return {name: max(figure.counts.get(name, 0) for figure in self.figures) for name in names}

    @property
    def empty(self) -> bool:
        """Whether no picture has anything to see."""
        return all(figure.missing for figure in self.figures)

    @property
    def preview(self) -> bytes:
        """The small picture of all of them, PNG."""
        return (self.folder / PREVIEW).read_bytes()

    @property
    def content_hash(self) -> str:
        """Hash of what was drawn, equal exactly when tables, captions and look are."""
        return _digest(json.dumps([dataclasses.asdict(figure) for figure in self.figures], sort_keys=True).encode())


def family_recipe(root: Path, family: Family, parameters: Parameters) -> dict[str, Any]:
    """Return what a family is made of now; what it reads of session files aside.

    Parameters
    ----------
    root : Path
    family : Family
    parameters : Parameters

    Raises
    ------
    MissingPrerequisite
        When a table that it draws is not stored.
    """
    schemas = [TABLES[name] for name in family.reads]
    made_from = recipe(root, schemas, parameters, (*family.sections, "figures"), family.code_version)
    return {**made_from, "matplotlib": version("matplotlib")}


def draw_family(root: Path, family: Family, parameters: Parameters) -> FamilyFiles:
    """Draw a family of figures from the stored tables; what nothing changed for stays as it is stored.

    Parameters
    ----------
    root : Path
    family : Family
    parameters : Parameters
        Of the root; its section `figures` says how.

    Raises
    ------
    MissingPrerequisite
        When a table that it draws is not stored.
    CorruptArtifact
    StorageFull
    """
    folder = root / FOLDER / family.name
    with locked(root / FOLDER / f".{family.name}.lock"):
        made_from, tables = _sources(root, family, parameters)
        stored = stored_family(root, family.name)
        if stored is not None and stored.made_from == made_from:
            return stored
        tables = tables or _stored_tables(root, family)
        figures = list(_write(folder, _pictures(family, tables, parameters), parameters.figures.vector_format))
        _write_preview(folder, [(folder / figure.png).read_bytes() for figure in figures])
        manifest = {"made_from": made_from, "figures": [dataclasses.asdict(figure) for figure in figures]}
        write_bytes(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
        _remove_others(folder, figures)
    return FamilyFiles(folder, tuple(figures), made_from, drawn=True)


def draw_families(
    root: Path, families: Sequence[Family], parameters: Parameters, workers: int
) -> Iterator[TaskOutcome[str, FamilyFiles]]:
    """Draw families of figures, several at a time; yield what became of each, by name, as it is there.

    Parameters
    ----------
    root : Path
    families : sequence of Family
        Of the registry.
    parameters : Parameters
        Of the root.
    workers : int
        Processes that draw; one means this very process. What nothing changed for needs none.
    """
    due = []
    for family in families:
        try:
            made_from, _ = _sources(root, family, parameters)
        except IblnmError as error:
            yield TaskOutcome(family.name, error=error)
            continue
        stored = stored_family(root, family.name)
        if stored is not None and stored.made_from == made_from:
            yield TaskOutcome(family.name, result=stored)
        else:
            due.append(family.name)
    draw = partial(_draw_registered, root, parameters)
    if workers > 1 and len(due) > 1:
        yield from run_tasks(draw, due, workers=min(workers, len(due)))
        return
    for name in due:
        try:
            yield TaskOutcome(name, result=draw(name))
        except Exception as error:  # noqa: BLE001 - one family costs no other, as in processes of their own
            yield TaskOutcome(name, error=error)


def _draw_registered(root: Path, parameters: Parameters, name: str) -> FamilyFiles:
    from iblnm_core.figures.registry import FAMILIES

    return draw_family(root, FAMILIES[name], parameters)


def _sources(root: Path, family: Family, parameters: Parameters) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return what a family is made from, and its tables where they had to be read for that."""
    made_from = family_recipe(root, family, parameters)
    if family.read_sessions is None:
        return made_from, {}
    tables = _stored_tables(root, family)
    of_sessions = family.read_sessions(root, tables, parameters)
    digests = {name: _digest(rows.to_csv(index=False).encode()) for name, rows in of_sessions.items()}
    return {**made_from, "session_files": digests}, {**tables, **of_sessions}


def stored_family(root: Path, name: str) -> FamilyFiles | None:
    """Return a family as it is stored; None when it is not, or a file is not the one that was written.

    Parameters
    ----------
    root : Path
    name : str
    """
    folder = root / FOLDER / name
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        figures = tuple(FigureFiles(**figure) for figure in manifest["figures"])
        files = {file: digest for figure in figures for file, digest in figure.sha256.items()}
        whole = all(_digest((folder / file).read_bytes()) == digest for file, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or not (folder / PREVIEW).is_file():
        return None
    return FamilyFiles(folder, figures, manifest["made_from"], drawn=False)


def _stored_tables(root: Path, family: Family) -> dict[str, pd.DataFrame]:
    return {
        name: read_table(root, TABLES[name], columns=None if columns is None else list(columns))
        for name, columns in family.reads.items()
    }


def _pictures(family: Family, tables: Mapping[str, pd.DataFrame], parameters: Parameters) -> Iterator[Drawn]:
    import matplotlib as mpl

    theme = THEMES[parameters.figures.theme]
    with mpl.rc_context(theme.rc):
        yield from family.draw(tables, parameters, theme)


def _write(folder: Path, pictures: Iterator[Drawn], vector_format: str) -> Iterator[FigureFiles]:
    """Write pictures as they come, so that one at a time is in memory."""
    known: set[str] = set()
    for drawn in pictures:
        if not _NAME.fullmatch(drawn.name) or drawn.name in known:
            raise UnsuitableName(
                f"figure {drawn.name!r} of {folder.name}; expected a name of its own of letters, digits and underscores"
            )
        known.add(drawn.name)
        png, vector, data = (f"{drawn.name}.{suffix}" for suffix in ("png", vector_format, "csv"))
        described = {"Software": None, "Title": drawn.name, "Description": drawn.caption}
        _settle(drawn.figure)
        contents = {png: _rendered(drawn, "png", described)}
        contents[vector] = _rendered(drawn, vector_format, _UNDATED[vector_format])
        contents[data] = _spreadsheet(drawn.data)
        companion = f"{drawn.name}.html" if drawn.marks else ""
        if companion:
            contents[companion] = companion_page(
                drawn.name, drawn.caption, drawn.figure, drawn.marks, contents[png], data
            )
        for name, content in contents.items():
            write_bytes(folder / name, content)
        digests = {name: _digest(content) for name, content in contents.items()}
        yield FigureFiles(
            drawn.name, drawn.caption, drawn.missing, dict(drawn.counts), png, vector, data, digests, companion
        )


def _settle(figure: "Figure") -> None:
    """Give everything its place, once: saving would do it for every file, and draw each twice for that."""
    figure.set_dpi(_DPI)
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if not axis.get_label_text():
            # a label that is not there would be put beside the ticks of all aligned axes at every step
            axis.set_label_coords(0, 0)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)


def _rendered(drawn: Drawn, file_format: str, metadata: Mapping[str, str | None]) -> bytes:
    buffer = io.BytesIO()
    drawn.figure.savefig(buffer, format=file_format, dpi=_DPI, metadata=dict(metadata))
    return buffer.getvalue()


def _spreadsheet(data: pd.DataFrame) -> bytes:
    """Return a table as CSV in which no text of the data can pass for a formula."""
    safe = data.copy()
    for name in safe.select_dtypes(object):
        safe[name] = [
            f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value for value in safe[name]
        ]
    return safe.to_csv(index=False, lineterminator="\n").encode()


def _write_preview(folder: Path, pictures: Sequence[bytes]) -> None:
    """Write one small picture of all pictures, side by side."""
    from PIL import Image

    n_columns = min(len(pictures), _PREVIEW_COLUMNS) or 1
    width = _PREVIEW_WIDTH // n_columns
    thumbnails = [narrowed(content, width) for content in pictures]
    rows = [thumbnails[first : first + n_columns] for first in range(0, len(thumbnails), n_columns)]
    heights = [max(image.height for image in row) for row in rows]
    sheet = Image.new("RGB", (width * n_columns, max(sum(heights), 1)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for place, image in enumerate(row):
            sheet.paste(image, (place * width, top))
        top += height
    write_bytes(folder / PREVIEW, _palette_png(sheet))


def _palette_png(image: Any) -> bytes:
    """Return a picture with as many colours, and as large, as the limit of a preview allows."""
    n_colours = 128
    while True:
        content = few_colours(image, n_colours)
        if len(content) <= PREVIEW_BYTES:
            return content
        n_colours = max(n_colours // 2, 16)
        image = image.resize((round(image.width * 0.8), round(image.height * 0.8)))


def _remove_others(folder: Path, figures: Sequence[FigureFiles]) -> None:
    """Remove files of pictures that the family has no more."""
    kept = {MANIFEST, PREVIEW, *(name for figure in figures for name in figure.sha256)}
    for path in folder.iterdir():
        if path.name not in kept and path.suffix in {".png", ".svg", ".pdf", ".csv", ".html"}:
            path.unlink()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
