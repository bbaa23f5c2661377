"""Reads weights from the older, non-zip PyTorch `.pth` format, with numpy alone.

Such a file is five pickles (magic number, version, system, state dict, storage keys), then each
storage as an int64 count and its raw little-endian values. A pickle can run any program, so the
few names that a state dict needs are listed here, and every other name is refused.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quickspine.errors import WrongInputError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

# Storages stand for their dtype: immutable, not callable, so a pickle can do nothing with them.
_STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


class _View(NamedTuple):
    """A tensor before its storage is read; offset and strides in elements."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Knows a state dict's names only; collects the storages that its tensors refer to."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"refers to {module}.{name}, which weights have no use for")

    def persistent_load(self, pid: Any) -> str:
        kind, dtype, key, _location, _count, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError(f"refers to {pid!r:.80}, which is no plain storage")
        self.dtypes[str(key)] = dtype
        return str(key)

    def _tensor(self, key: str, offset: int, shape: Any, strides: Any, *_gradient: Any) -> _View:
        return _View(str(key), int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def read(path: str | Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read a state dict.

    Args:
        path: a `.pth` file of the non-zip format.
        sha256: what the file's bytes must hash to (hex); checked before anything is read.

    Returns:
        Parameter name to array (float32, int64, …, as saved), in the order of the file.

    Raises:
        WrongInputError: if the file is missing, truncated, damaged, of another format, not the
            one that `sha256` names, or refers to anything but tensors. Names the file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WrongInputError(f"{path}: cannot be read ({error.strerror})") from None
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise WrongInputError(
            f"{path}: sha256 is {found}, expected {sha256}; the file is not the published one: "
            "install its package again"
        )
    if data[:4] == b"PK\x03\x04":
        raise WrongInputError(
            f"{path}: PyTorch's zip format; save it again with "
            "torch.save(state_dict, path, _use_new_zipfile_serialization=False)"
        )
    try:
        return _parse(io.BytesIO(data))
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = f"{type(error).__name__}: {error}"[:200]
        raise WrongInputError(
            f"{path}: damaged, or not plain PyTorch weights ({reason}); fetch the file again"
        ) from None


def _parse(file: io.BytesIO) -> dict[str, np.ndarray]:
    if (magic := _Unpickler(file).load()) != MAGIC:
        raise ValueError(f"magic number {magic!r:.40}")
    if (version := _Unpickler(file).load()) != VERSION:
        raise ValueError(f"version {version!r:.40}")
    if _Unpickler(file).load().get("little_endian") is not True:
        raise ValueError("not little-endian")
    unpickler = _Unpickler(file)
    views = unpickler.load()
    keys = _Unpickler(file).load()
    storages = {key: _storage(file, unpickler.dtypes[key]) for key in keys}
    if file.read(1):
        raise ValueError("bytes after the last storage")
    if not isinstance(views, dict):
        raise ValueError(f"holds {type(views).__name__} instead of a state dict")
    return {str(name): _array(name, view, storages) for name, view in views.items()}


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


def _array(name: Any, view: Any, storages: dict[str, np.ndarray]) -> np.ndarray:
    if not isinstance(view, _View):
        raise ValueError(f"{name} is {type(view).__name__} instead of a tensor")
    storage = storages[view.key]
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
