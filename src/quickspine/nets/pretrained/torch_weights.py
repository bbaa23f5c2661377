"""Read weights from the older, non-zip PyTorch `.pth` format, with numpy alone.

Such a file is five pickles (magic number, version, system, state dict, storage keys), then each
storage as an int64 count and its raw little-endian values. A pickle can call whatever its
unpickler finds by name: this one finds a few inert names and nothing else.
"""

from __future__ import annotations

import collections
import hashlib
import io
import math
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quickspine.errors import InputError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
# Plain strings: a pickle may set attributes of what it finds.
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


class _Tensor(NamedTuple):
    """A tensor before its storage is read; offset and strides in elements."""

    storage: tuple[str, str]  # dtype and key
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"refers to {module}.{name}, which weights have no use for")

    def persistent_load(self, reference: Any) -> tuple[str, str]:
        kind, dtype, key, _location, _count, view = reference
        if kind != "storage" or dtype not in STORAGES.values() or view is not None:
            raise pickle.UnpicklingError("refers to something else than a plain storage")
        return dtype, key

    def tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_rest: Any) -> _Tensor:
        if any(type(number) is not int for number in (offset, *shape, *strides)):
            raise pickle.UnpicklingError("a tensor is described by something else than numbers")
        return _Tensor(storage, offset, shape, strides)


def read(path: str | Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read a state dict.

    Args:
        path: a `.pth` file of the non-zip format.
        sha256: what the file's bytes must hash to (hex); compared before anything is parsed.

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
    if sha256 is not None and (received := hashlib.sha256(data).hexdigest()) != sha256:
        raise InputError(
            f"{path}: sha256 is {received}, expected {sha256}; the file is not the published one: "
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
    magic, version, system, state, keys = (_Unpickler(file).load() for _ in range(5))
    if (magic, version, system["little_endian"]) != (MAGIC, VERSION, True):
        raise ValueError(f"not of version {VERSION}, or not little-endian")
    if not isinstance(state, dict) or not all(isinstance(t, _Tensor) for t in state.values()):
        raise ValueError("holds something else than a state dict")
    dtypes = {key: np.dtype(dtype) for dtype, key in (tensor.storage for tensor in state.values())}
    storages = {key: _read_storage(file, dtypes[key]) for key in keys}
    if file.read(1):
        raise ValueError("bytes after the last storage")
    return {name: _array(name, tensor, storages) for name, tensor in state.items()}


def _read_storage(file: io.BytesIO, dtype: np.dtype[Any]) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little", signed=True)
    data = file.read(max(0, count) * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError("ends early")
    return np.frombuffer(data, dtype)


def _array(name: str, tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    storage = storages[tensor.storage[1]]
    sizes = list(zip(tensor.shape, tensor.strides, strict=True))
    # Strides from a file reach wherever they say: nothing outside the storage, nothing twice.
    last = tensor.offset + sum((size - 1) * stride for size, stride in sizes)
    inside = min([tensor.offset, *tensor.shape, *tensor.strides]) >= 0 and last < len(storage)
    if not inside or math.prod(tensor.shape) > len(storage):
        raise ValueError(f"{name} reaches outside its storage of {len(storage)} values")
    step = storage.itemsize
    return np.array(
        np.lib.stride_tricks.as_strided(
            storage[tensor.offset :], tensor.shape, tuple(step * n for _, n in sizes)
        )
    )
