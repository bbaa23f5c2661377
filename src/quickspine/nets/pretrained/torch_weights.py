"""Reads weights from the older, non-zip PyTorch `.pth` format, with numpy alone.

Such a file is five pickles (magic number, version, system, state dict, storage keys), then each
storage as an int64 count and its raw little-endian values. A pickle can run any program, so they
are never unpickled: `inert_pickle` reads what they describe, and what that means stands here.
"""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quickspine.errors import InputError
from quickspine.nets.pretrained.inert_pickle import ORDERED, Call, Name, Reference, values

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

_TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
_STORAGES: dict[Name, np.dtype[Any]] = {
    Name("torch", "DoubleStorage"): np.dtype("<f8"),
    Name("torch", "FloatStorage"): np.dtype("<f4"),
    Name("torch", "HalfStorage"): np.dtype("<f2"),
    Name("torch", "LongStorage"): np.dtype("<i8"),
    Name("torch", "IntStorage"): np.dtype("<i4"),
}
_NAMES = frozenset({ORDERED, _TENSOR, *_STORAGES})


class _View(NamedTuple):
    """A tensor before its storage is read; offset and strides in elements."""

    key: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: str | Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read a state dict.

    Args:
        path: a `.pth` file of the non-zip format.
        sha256: what the file's bytes must hash to (hex); checked before anything is read.

    Returns:
        Parameter name to array (float32, int64, …, as saved), in the order of the file.

    Raises:
        InputError: if the file is missing, truncated, damaged, of another format, not the
            one that `sha256` names, or refers to anything but tensors. Names the file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise InputError(
            f"{path}: sha256 is {found}, expected {sha256}; the file is not the published one: "
            "install its package again"
        )
    if data[:4] == b"PK\x03\x04":
        raise InputError(
            f"{path}: PyTorch's zip format; save it again with "
            "torch.save(state_dict, path, _use_new_zipfile_serialization=False)"
        )
    try:
        return _parse(io.BytesIO(data))
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = f"{type(error).__name__}: {error}"[:200]
        reason = reason.encode("unicode_escape").decode("ascii")  # names are the file's own words
        raise InputError(
            f"{path}: damaged, or not plain PyTorch weights ({reason}); fetch the file again"
        ) from None


def _parse(file: io.BytesIO) -> dict[str, np.ndarray]:
    # Not even shown where it is wrong: a few bytes can describe what takes a year to print.
    if values(file, _NAMES) != MAGIC:
        raise ValueError("another magic number")
    if values(file, _NAMES) != VERSION:
        raise ValueError(f"not of version {VERSION}")
    if values(file, _NAMES).get("little_endian") is not True:
        raise ValueError("not little-endian")
    state = values(file, _NAMES)
    if not isinstance(state, dict):
        raise ValueError(f"holds {type(state).__name__} instead of a state dict")
    views = {name: _view(name, value) for name, value in state.items()}
    dtypes = {view.key: view.dtype for view in views.values()}
    storages = {key: _storage(file, dtypes[key]) for key in map(_text, values(file, _NAMES))}
    if file.read(1):
        raise ValueError("bytes after the last storage")
    return {name: _array(name, view, storages[view.key]) for name, view in views.items()}


def _view(name: str, value: Any) -> _View:
    """What a tensor's description says, each part of the type that it must have."""
    if not isinstance(value, Call) or value.name != _TENSOR:
        raise ValueError(f"{name} is {type(value).__name__} instead of a tensor")
    reference, offset, shape, strides, *_gradient = value.arguments
    if not isinstance(reference, Reference):
        raise ValueError(f"{name} has no storage")
    kind, storage, key, _location, _count, view = reference.value
    if kind != "storage" or type(storage) is not Name or view is not None:
        raise ValueError(f"{name} refers to what is no plain storage")
    if any(type(number) is not int for number in (offset, *shape, *strides)):
        raise ValueError(f"{name} is described by something else than numbers")
    return _View(_text(key), _STORAGES[storage], offset, tuple(shape), tuple(strides))


def _text(key: Any) -> str:
    if type(key) is not str:  # only what is known to be one is looked up: see `inert_pickle`
        raise ValueError(f"has a {type(key).__name__} for a key")
    return key


def _storage(file: io.BytesIO, dtype: np.dtype[Any]) -> np.ndarray:
    count = int.from_bytes(_exactly(file, 8), "little", signed=True)
    if count < 0:
        raise ValueError(f"a storage of {count} values")
    return np.frombuffer(_exactly(file, count * dtype.itemsize), dtype)


def _exactly(file: io.BytesIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError(f"ends {size - len(data)} bytes early")
    return data


def _array(name: str, view: _View, storage: np.ndarray) -> np.ndarray:
    sizes = list(zip(view.shape, view.strides, strict=True))
    # Strides from a file reach wherever they say: nothing outside the storage, nothing twice.
    last = view.offset + sum((size - 1) * stride for size, stride in sizes)
    inside = min([view.offset, *view.shape, *view.strides]) >= 0 and last < len(storage)
    if not inside or math.prod(view.shape) > len(storage):
        raise ValueError(f"{name} reaches outside its storage of {len(storage)} values")
    step = storage.itemsize
    strided = np.lib.stride_tricks.as_strided(
        storage[view.offset :], view.shape, tuple(stride * step for stride in view.strides)
    )
    return np.array(strided)
