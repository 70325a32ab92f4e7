"""When an output of a session is out of date: fingerprints of what it was made from, and the comparison."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from iblnm_core import __version__
from iblnm_core.parameters import Parameters
from iblnm_core.session.metadata import unsafe_name
from iblnm_core.session.outputs import OUTPUTS, upstream

BY_HAND = "by hand"
"""In place of the versions of what somebody stored from a notebook: it is never current."""

State = Literal["stored", "stopped", "failed"]


@dataclass(frozen=True)
class InputFile:
    """One input dataset as it was read: enough to see cheaply that it is still the same."""

    path: str
    size: int
    modified_ns: int
    digest: str


@dataclass(frozen=True)
class Provenance:
    """What one output was made from.

    Attributes
    ----------
    state : {'stored', 'stopped', 'failed'}
        Stored; stopped by a typed error; or failed for an unexpected reason, which is no reason not to try again.
    stopped_by : str or None
        The error type that stopped it.
    fingerprint : str
        Hash of code version, parameters, catalogue row and input contents, those of upstream outputs included.
    code, parameters, row : str
        The parts of the fingerprint, to tell why an output is out of date.
    inputs : tuple of InputFile
    summary : mapping of str to number
        Counts worth showing.
    libraries : mapping of str to str
        Versions of the libraries that did the arithmetic.
    """

    state: State
    stopped_by: str | None
    fingerprint: str
    code: str
    parameters: str
    row: str
    inputs: tuple[InputFile, ...]
    summary: Mapping[str, float]
    libraries: Mapping[str, str]

    def to_json(self) -> str:
        """Return the stored form."""
        return json.dumps({**vars(self), "inputs": [vars(entry) for entry in self.inputs]}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """Read the stored form."""
        content = json.loads(text)
        content["inputs"] = tuple(InputFile(**entry) for entry in content["inputs"])
        return cls(**content)


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    import h5py
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import scipy

    modules = (np, scipy, pd, pa, h5py)
    return {"iblnm": __version__, **{module.__name__: module.__version__ for module in modules}}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@cache
def _ancestry(name: str) -> tuple[str, ...]:
    """Return an output and everything it is made from, in table order."""
    return tuple(candidate for candidate in OUTPUTS if candidate in upstream([name]))


@cache
def code_version(name: str) -> str:
    """Return the code versions that an output depends on, its upstream's included."""
    return ".".join(OUTPUTS[step].code_version for step in _ancestry(name))


@cache
def parameters_digest(name: str, parameters: Parameters) -> str:
    """Return a hash of the parameters that an output depends on."""
    sections = {section for step in _ancestry(name) for section in OUTPUTS[step].parameters}
    return parameters.digest(tuple(sorted(sections)))


def row_digest(name: str, row: Mapping[str, Any]) -> str:
    """Return a hash of the catalogue columns that an output depends on."""
    fields = {column for step in _ancestry(name) for column in OUTPUTS[step].row_fields}
    if "*" in fields:
        fields = set(row)
    values = {column: row.get(column) for column in sorted(fields)}
    if unsafe_name(row) is not None:
        # it stops every output, whatever of the row each is made from: when it is mended, all are due
        values["has_unsafe_name"] = True
    return _digest(values)


@cache
def dataset_kinds(name: str) -> frozenset[str]:
    """Return the kinds of input datasets that an output depends on."""
    return frozenset(kind for step in _ancestry(name) for kind in OUTPUTS[step].datasets)


def fingerprint(name: str, row: Mapping[str, Any], parameters: Parameters, inputs: Iterable[InputFile]) -> str:
    """Return the hash of everything that an output depends on."""
    contents = sorted((entry.path, entry.digest) for entry in inputs)
    code, row_hash = code_version(name), row_digest(name, row)
    return _digest([name, code, parameters_digest(name, parameters), row_hash, contents])


def why_due(  # noqa: PLR0911 - one return per reason reads best
    name: str,
    stored: Provenance | None,
    row: Mapping[str, Any],
    parameters: Parameters,
    found: Mapping[str, tuple[int, int]],
) -> str | None:
    """Return why an output has to be computed, None when it is current.

    Parameters
    ----------
    name : str
    stored : Provenance or None
        That of the stored output.
    row, parameters
        As they are now.
    found : mapping of path to (size in bytes, modification time in ns)
        Input datasets of this output as they lie in the source now.

    Returns
    -------
    str or None
        One of `new`, `failed unexpectedly`, `made by hand`, `code`, `parameters`, `metadata`, `input`.
    """
    if stored is None:
        return "new"
    if stored.state == "failed":
        return "failed unexpectedly"
    if stored.code == BY_HAND:
        return "made by hand"
    if stored.code != code_version(name):
        return "code"
    if stored.parameters != parameters_digest(name, parameters):
        return "parameters"
    if stored.row != row_digest(name, row):
        return "metadata"
    if {entry.path: (entry.size, entry.modified_ns) for entry in stored.inputs} != dict(found):
        return "input"
    return None
