"""What any source reads about a session beside its listing: experiment description, regions, table of fibres."""

import csv
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from iblnm_core.errors import ConfigurationError

DESCRIPTION = "_ibl_experiment.description.yaml"
LOCATIONS = "alf/photometry/photometryROI.locations.pqt"

TASK_SETTINGS = re.compile(r"raw_(behavior_data|task_data_\d\d)/_iblrig_taskSettings\.raw\.json")

_N_BIASED = 2

_logger = logging.getLogger(__name__)


def read_rows(path: Path) -> list[dict[str, str]] | None:
    """Return the rows of a table with a column `subject`, None when there is no such file.

    Raises
    ------
    ConfigurationError
        When it cannot be read: it is about all sessions, and without it each would be another one.
    """
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("subject")]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: {error}; expected a table of comma-separated values in UTF-8") from error
    if not rows:
        _logger.warning("%s is left out: no row with a subject; expected a column `subject`", path)
    return rows


def is_below(path: str) -> bool:
    """Whether a dataset path stays inside the session folder."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def read_description(path: Path) -> Mapping[str, Any]:
    """Return the experiment description; one that cannot be read says nothing."""
    import yaml

    try:
        content = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        _logger.warning("%s is left out: %s", path, error)
        return {}
    return content if isinstance(content, dict) else {}


def regions_of(
    folder: Path, datasets: Sequence[str], description: Mapping[str, Any]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return the brain regions by fibre, the dataset they come from, and what another dataset had to add.

    They come from the description, and from the locations table when that names none; single blanks are filled from
    there by ROI.
    """
    devices = description.get("devices") or {}
    fibers = (devices.get("neurophotometrics") or {}).get("fibers") if isinstance(devices, dict) else None
    entries = fibers.items() if isinstance(fibers, dict) else ()
    described = {
        str(roi): str((e or {}).get("location") or "").strip() for roi, e in entries if isinstance(e, dict | None)
    }
    if described and all(described.values()):
        return tuple(described.values()), DESCRIPTION, ()
    located = _located_regions(folder / LOCATIONS) if LOCATIONS in datasets else {}
    if not any(described.values()):
        source = LOCATIONS if LOCATIONS in datasets else DESCRIPTION if fibers is not None else ""
        return tuple(located.values()), source, ()
    filled = [roi for roi, region in described.items() if not region and located.get(roi)]
    regions = {**described, **{roi: located[roi] for roi in filled}}
    return tuple(regions.values()), DESCRIPTION, tuple(f"{roi}: {located[roi]}" for roi in filled)


def _located_regions(path: Path) -> dict[str, str]:
    """Return the brain regions of the locations table by ROI."""
    import pandas as pd
    import pyarrow as pa

    try:
        column = pd.read_parquet(path, columns=["brain_region"])["brain_region"]
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        _logger.warning("%s is left out: %s", path, error)
        return {}
    return {str(roi): region if isinstance(region, str) else "" for roi, region in column.items()}


def task_settings(folder: Path, datasets: Sequence[str]) -> Any:
    """Return the raw settings of the task, which a database has as the session's JSON; None when there are none."""
    path = next((path for path in sorted(datasets) if TASK_SETTINGS.fullmatch(path)), None)
    if path is None:
        return None
    try:
        return json.loads((folder / path).read_bytes())
    except (OSError, ValueError) as error:
        _logger.warning("%s is left out: %s", folder / path, error)
        return None


def planned_blocks_of(settings: Any) -> str | None:
    """Return the plan of blocks in a task's settings, as JSON with `lengths` and `probabilities`; None without one.

    Parameters
    ----------
    settings : object
        `LEN_BLOCKS`: planned block lengths in trials, the unbiased block first. `BLOCK_PROBABILITY_SET`: the two
        probabilities of a stimulus on the left that the other blocks have in turn.
    """
    known = settings if isinstance(settings, dict) else {}
    lengths, probabilities = known.get("LEN_BLOCKS"), known.get("BLOCK_PROBABILITY_SET")
    if not (isinstance(lengths, list) and lengths and all(type(n) is int and n > 0 for n in lengths)):
        return None
    if not (isinstance(probabilities, list) and len(probabilities) == _N_BIASED):
        return None
    if not all(isinstance(p, float) and 0 < p < 1 for p in probabilities):
        return None
    return json.dumps({"lengths": lengths, "probabilities": probabilities})


def protocol_of(description: Mapping[str, Any]) -> str:
    """Return the task protocols that an experiment description names, joined as Alyx does."""
    tasks = description.get("tasks")
    names = [str(name) for task in tasks or () if isinstance(task, dict) for name in task]
    return "/".join(names)
