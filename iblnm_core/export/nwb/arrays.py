"""How arrays lie in an NWB file: large ones compressed, in pieces of one column each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iblnm_core.export.nwb.libraries import nwb_libraries

_COMPRESS_FROM = 1000
_ROWS = 65_536
"""Rows of a chunk: an hour of one fibre is two."""


def stored_array(values: NDArray[Any]) -> Any:
    """Return an array as it is given to the library: a large one with its compression, which loses nothing.

    Parameters
    ----------
    values : ndarray, (n,) or (n, k)
    """
    if values.size < _COMPRESS_FROM:
        return values
    chunks = (min(_ROWS, len(values)), *(1 for _ in values.shape[1:]))
    options = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "chunks": chunks}
    return nwb_libraries().pynwb.H5DataIO(np.ascontiguousarray(values), **options)


def column(name: str, description: str, values: NDArray[Any] | list[str]) -> Any:
    """Return a column of a table; text is a list of str."""
    data = stored_array(values) if isinstance(values, np.ndarray) else values
    return nwb_libraries().table.VectorData(name=name, description=description, data=data)
