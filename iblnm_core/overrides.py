"""Single parameters replaced in a preset, as the settings of a root say: each held against the type of its field."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from iblnm_core.errors import ConfigurationError
from iblnm_core.parameters import PRESETS, Parameters


def parameters_from(preset: str, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Parameters:
    """Return a preset with single values replaced.

    Parameters
    ----------
    preset : str
        A key of `PRESETS`.
    overrides : mapping of section name to mapping of field name to value, optional
        As in the `[parameters.SECTION]` tables of a root's `iblnm.toml`; lists stand for tuples.

    Raises
    ------
    ConfigurationError
        When a preset, section or field is unknown or a value has the wrong type; the message names the valid ones.
    """
    if preset not in PRESETS:
        raise ConfigurationError(f"preset {preset!r} is unknown; known are {', '.join(PRESETS)}")
    parameters = PRESETS[preset]
    for section, values in (overrides or {}).items():
        if section not in {f.name for f in dataclasses.fields(parameters)}:
            names = ", ".join(f.name for f in dataclasses.fields(parameters))
            raise ConfigurationError(f"parameter section {section!r} is unknown; known are {names}")
        replaced = _with_values(getattr(parameters, section), section, values)
        parameters = dataclasses.replace(parameters, **{section: replaced})
    return parameters


def _with_values(section: Any, section_name: str, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(type(section))
    checked = {}
    for name, value in values.items():
        if name not in hints:
            raise ConfigurationError(f"parameter {section_name}.{name} is unknown; known are {', '.join(hints)}")
        checked[name] = _checked(f"{section_name}.{name}", value, hints[name])
    return dataclasses.replace(section, **checked)


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Return the value as the field's type, or say what was expected."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(_checked(name, v, kind) for v, kind in zip(value, kinds, strict=True))
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    wants = arguments or (hint,)
    if float in wants and is_number:
        return float(value)
    if int in wants and is_number and float(value).is_integer():
        return int(value)
    if str in wants and isinstance(value, str):
        return value
    raise ConfigurationError(f"parameter {name} = {value!r} cannot be used; expected {hint}")
