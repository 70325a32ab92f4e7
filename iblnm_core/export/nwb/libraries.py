"""The libraries of the NWB format, which are an extra of the installation: imported when a file is made, or a message says what to install."""

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from iblnm_core.errors import MissingDependency


@dataclass(frozen=True)
class NwbLibraries:
    """The modules that a file is made with.

    Attributes
    ----------
    pynwb, fiber, ophys, table, h5py : module
        The core library, its extensions for fibre photometry and for optical devices, the tables of `hdmf.common`, and the
        file format below.
    """

    pynwb: Any
    fiber: Any
    ophys: Any
    table: Any
    h5py: Any

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that shape a file, by name."""
        from importlib.metadata import version

        return {name: version(name) for name in ("pynwb", "ndx-fiber-photometry", "ndx-ophys-devices")}


@cache
def nwb_libraries() -> NwbLibraries:
    """Import the libraries.

    Raises
    ------
    MissingDependency
        When they are not installed.
    """
    names = ("pynwb", "ndx_fiber_photometry", "ndx_ophys_devices", "hdmf.common", "h5py")
    return NwbLibraries(*(_imported(name, "export to NWB", 'pip install "iblnm[nwb]"') for name in names))


def inspector() -> Any:
    """Import the inspector of best practices.

    Raises
    ------
    MissingDependency
        When it is not installed.
    """
    return _imported("nwbinspector", "inspection of NWB files", 'pip install "nwbinspector>=0.7.2,<0.8"')


def has_inspector() -> bool:
    """Whether the inspector is installed."""
    import importlib.util

    return importlib.util.find_spec("nwbinspector") is not None


def _imported(name: str, purpose: str, command: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != package:
            raise
        raise MissingDependency(
            f"{purpose} needs the package {package}, which is not installed; install it with: {command}"
        ) from error
