"""The export of one session to NWB: read, build, write."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from iblnm_core.errors import ConfigurationError
from iblnm_core.export.nwb.building import build_file
from iblnm_core.export.nwb.content import SessionContent
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.export.nwb.reading import read_session
from iblnm_core.export.nwb.texts import file_name_part
from iblnm_core.export.nwb.writing import content_hash, file_image, write_image
from iblnm_core.root import Root
from iblnm_core.session.pipeline import SessionTask

Outcome = Literal["written", "replaced", "current", "left out"]


@dataclass(frozen=True)
class ExportedFile:
    """What became of a session's file.

    Attributes
    ----------
    eid : str
    path : Path
    outcome : {'written', 'replaced', 'current', 'left out'}
        `current`: a file of equal content was there, and stays. `left out`: the session is blocked, and those were not wanted.
    content_hash, sha256 : str
        Of the content, equal for equal content; and of the bytes. Empty for a file left out.
    size_bytes : int
    blocked_by : tuple of str
        Classes of the errors that keep the session out of cohort analyses.
    """

    eid: str
    path: Path
    outcome: Outcome
    content_hash: str
    sha256: str
    size_bytes: int
    blocked_by: tuple[str, ...]


def export_folder(root: Root) -> Path:
    """Return the folder of the NWB files of a root."""
    return root.path / "exports" / "nwb"


def export_session(
    root: Root, task: SessionTask, *, out: Path | None = None, overwrite: bool = False, skip_blocked: bool = False
) -> ExportedFile:
    """Write the NWB file of a session.

    Parameters
    ----------
    root : Root
    task : SessionTask
        Where the session's datasets are.
    out : Path, optional
        Folder for the file, instead of that of the root.
    overwrite : bool
        Replace a file of other content in `out`; that of the root is always replaced.
    skip_blocked : bool
        Write no file for a session that an error keeps out of cohort analyses.

    Returns
    -------
    ExportedFile

    Raises
    ------
    MissingDependency
        When the libraries are not installed.
    NwbMetadataIncomplete, OutdatedSession
        When there is nothing that could be exported; see `reading.read_session`.
    ConfigurationError
        When a file of other content is in `out`.
    """
    nwb_libraries()
    content = read_session(root, task)
    folder = export_folder(root) if out is None else out
    path = folder / file_path(content)
    if skip_blocked and content.blocked_by:
        return ExportedFile(task.eid, path, "left out", "", "", 0, content.blocked_by)
    image = file_image(build_file(content))
    version, there = content_hash(image), _hash_of(path)
    outcome: Outcome = "written" if there is None else "current" if there == version else "replaced"
    if outcome == "current":
        image = path.read_bytes()
    else:
        if outcome == "replaced" and out is not None and not overwrite:
            raise ConfigurationError(f"{path} exists and has other content; use --overwrite to replace it")
        write_image(path, task.eid, image)
    sha256 = hashlib.sha256(image).hexdigest()
    return ExportedFile(task.eid, path, outcome, version, sha256, len(image), content.blocked_by)


def file_path(content: SessionContent) -> Path:
    """Return the path of a session's file below the folder of exports, as archives of NWB files name it.

    Parameters
    ----------
    content : SessionContent
    """
    subject = file_name_part(str(content.row["subject"]))
    kinds = [
        kind
        for kind, there in (
            ("behavior", content.trials is not None or content.wheel is not None),
            ("ophys", content.raw is not None),
        )
        if there
    ]
    return Path(f"sub-{subject}") / f"sub-{subject}_ses-{content.row['eid']}_{'+'.join(kinds)}.nwb"


def _hash_of(path: Path) -> str | None:
    """Return the content hash of a file; None when there is none, an empty one when it cannot be read."""
    if not path.exists():
        return None
    try:
        return content_hash(path)
    except OSError:
        return ""
