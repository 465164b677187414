"""MATLAB files of both kinds as plain Python values.

Needs `pip install icnn[photos]`: version 5 files are read by scipy, version 7.3 files by h5py.
"""

from pathlib import Path
from typing import Any

import numpy as np

from icnn._check_args import blaming


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a .mat file: structs as dicts, struct arrays as lists of dicts.

    Numbers are numpy arrays without dimensions of size 1. A struct array of one is a dict, as
    MATLAB sees no difference: pass it through `as_list`. A damaged file is a ValueError.
    """
    try:
        import h5py
        import scipy.io
    except ImportError as error:
        raise ImportError("MATLAB files need scipy and h5py: pip install 'icnn[photos]'") from error
    with blaming(f"{path} is damaged or no MATLAB file", Exception):  # they raise a dozen kinds
        if h5py.is_hdf5(path):
            with h5py.File(path) as file:
                return {k: _from_hdf5(file, v) for k, v in file.items() if k != "#refs#"}
        return scipy.io.loadmat(path, simplify_cells=True)


def as_list(value: Any) -> list:
    """A struct array of any length, one included, as a list of dicts."""
    return [value] if isinstance(value, dict) else list(value)


def _from_hdf5(file, item) -> Any:
    """MATLAB stores the last dimension first, and a struct array as one column for each field."""
    if hasattr(item, "items"):
        fields = {name: _from_hdf5(file, value) for name, value in item.items()}
        if all(isinstance(value, list) for value in fields.values()):
            return [
                dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)
            ]
        return fields
    if "MATLAB_empty" in item.attrs:
        return np.empty(0)
    value = item[()]
    if value.dtype == object:
        return [_from_hdf5(file, file[reference]) for reference in value.ravel()]
    return value.T.squeeze()
