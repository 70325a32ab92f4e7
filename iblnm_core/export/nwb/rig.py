"""Facts about rigs that no catalogue holds, from a file that a person writes: fibres, lights, camera, experimenters."""

import datetime as dt
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from iblnm_core.errors import ConfigurationError

RIG_FILE = "rig.toml"
"""In the folder of the root."""

_MODEL = {"manufacturer": str, "model_number": str}
_ABOUT_FIBRE = {**_MODEL, "numerical_aperture": float, "core_diameter_um": float}
_ABOUT_DETECTOR = {**_MODEL, "detector_type": str}
_ABOUT_LIGHT = {**_MODEL, "power_mw": float, "emission_nm": float}
_KEYS = ("lab", "from", "until", "experimenters", "fibre", "detector", "light")
_NEEDED_OF_FIBRE = ("manufacturer", "numerical_aperture")


@dataclass(frozen=True)
class Rig:
    """What a person says of the rig of a session; everything may be missing.

    Attributes
    ----------
    experimenters : tuple of str
        "Last, First".
    fibre : mapping of str to str or float
        manufacturer, model_number, numerical_aperture, core_diameter_um; the first and third are there when any is.
    detector : mapping of str to str
        manufacturer, model_number, detector_type.
    lights : mapping of float to mapping
        By excitation wavelength, nm: manufacturer, model_number, power_mw (at the tip of a fibre), emission_nm.
    """

    experimenters: tuple[str, ...] = ()
    fibre: Mapping[str, Any] = field(default_factory=dict)
    detector: Mapping[str, Any] = field(default_factory=dict)
    lights: Mapping[float, Mapping[str, Any]] = field(default_factory=dict)

    def light(self, wavelength_nm: float) -> Mapping[str, Any]:
        """Return what is said of a light; nothing for one that is not in the file.

        Parameters
        ----------
        wavelength_nm : float
        """
        return self.lights.get(wavelength_nm, MappingProxyType({}))

    def facts(self) -> Iterator[tuple[str, Any]]:
        """Yield every fact with its dotted name."""
        if self.experimenters:
            yield "rig.experimenters", list(self.experimenters)
        tables = {"fibre": self.fibre, "detector": self.detector}
        tables |= {f"light.{wavelength:g}": self.lights[wavelength] for wavelength in sorted(self.lights)}
        for name, table in tables.items():
            for key, value in table.items():
                yield f"rig.{name}.{key}", value


def read_rig(folder: Path, lab: str | None, day: dt.date) -> Rig:
    """Return what the rig file of a root says of a session; nothing when there is no file, or no entry for it.

    Parameters
    ----------
    folder : Path
        Of the root.
    lab : str or None
        Of the session.
    day : date
        Of the session.

    Raises
    ------
    ConfigurationError
        When the file is not as it has to be, or several entries are for the session.
    """
    path = folder / RIG_FILE
    try:
        entries = _entries(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Rig()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    fitting = [entry for entry in entries if _fits(entry, lab, day)]
    if len(fitting) > 1:
        raise ConfigurationError(f"{path}: {len(fitting)} entries are for lab {lab} on {day}; expected one at most")
    return _rig(path, fitting[0]) if fitting else Rig()


def _entries(path: Path, content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = content.get("rig", [])
    if set(content) - {"rig"} or not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise ConfigurationError(f"{path}: found {', '.join(content)}; expected entries that begin with [[rig]] alone")
    for entry in entries:
        _refuse_unknown(path, "rig", entry, _KEYS)
        for name in ("from", "until"):
            value = entry.get(name, dt.date.min)
            if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
                raise ConfigurationError(f"{path}: {name} = {value!r}; expected a date such as 2025-03-17")
        if not isinstance(entry.get("lab", ""), str):
            raise ConfigurationError(f"{path}: lab = {entry['lab']!r}; expected the name of a lab")
    return entries


def _fits(entry: Mapping[str, Any], lab: str | None, day: dt.date) -> bool:
    in_time: bool = entry.get("from", dt.date.min) <= day <= entry.get("until", dt.date.max)
    return in_time and lab == entry.get("lab", lab)


def _rig(path: Path, entry: Mapping[str, Any]) -> Rig:
    names = entry.get("experimenters", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and "," in name for name in names):
        raise ConfigurationError(f'{path}: experimenters = {names!r}; expected names such as ["Last, First"]')
    fibre = _facts(path, "fibre", entry.get("fibre", {}), _ABOUT_FIBRE)
    missing = [name for name in _NEEDED_OF_FIBRE if name not in fibre]
    if fibre and missing:
        raise ConfigurationError(
            f"{path}: fibre lacks {', '.join(missing)}, without which the format has no model of it"
        )
    lights = entry.get("light", {})
    if not isinstance(lights, dict):
        raise ConfigurationError(f"{path}: light = {lights!r}; expected tables such as [rig.light.470]")
    return Rig(
        tuple(names),
        fibre,
        _facts(path, "detector", entry.get("detector", {}), _ABOUT_DETECTOR),
        {_wavelength(path, name): _facts(path, f"light.{name}", facts, _ABOUT_LIGHT) for name, facts in lights.items()},
    )


def _wavelength(path: Path, name: str) -> float:
    try:
        return float(name)
    except ValueError as error:
        raise ConfigurationError(f"{path}: light.{name}; expected a wavelength in nm, such as light.470") from error


def _facts(path: Path, name: str, given: Any, known: Mapping[str, type]) -> dict[str, Any]:
    """Return facts whose names and kinds are known; numbers are positive."""
    if not isinstance(given, dict):
        raise ConfigurationError(f"{path}: {name} = {given!r}; expected a table of {', '.join(known)}")
    _refuse_unknown(path, name, given, known)
    facts = {}
    for key, value in given.items():
        fits = isinstance(value, str) and value.strip() if known[key] is str else _is_positive(value)
        if not fits:
            expected = "a text" if known[key] is str else "a number above 0"
            raise ConfigurationError(f"{path}: {name}.{key} = {value!r}; expected {expected}")
        facts[key] = known[key](value)
    return facts


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _refuse_unknown(path: Path, name: str, given: Mapping[str, Any], known: Any) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigurationError(f"{path}: {name} has {', '.join(unknown)}; known are {', '.join(known)}")
