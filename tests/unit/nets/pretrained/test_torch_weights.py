"""The reader of old PyTorch files, against files written here without PyTorch."""

import io
import pickle
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from quickspine.errors import InputError
from quickspine.files import sha256
from quickspine.nets.pretrained import torch_weights

KINDS = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<i8": "LongStorage", "<i4": "IntStorage"}


class Storage:
    def __init__(self, key: str, values: np.ndarray) -> None:
        self.key, self.values = key, values.ravel()


class Tensor:
    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> Any:
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (*self.arguments, False, OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        kind = getattr(sys.modules["torch"], KINDS[value.values.dtype.str])
        return ("storage", kind, value.key, "cpu", value.values.size, None)


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def state(tensors: dict[str, np.ndarray]) -> tuple[Any, list[Storage]]:
    storages = [Storage(str(number), values) for number, values in enumerate(tensors.values())]
    shapes = [values.shape for values in tensors.values()]
    views = [
        Tensor(storage, 0, shape, strides(shape))
        for storage, shape in zip(storages, shapes, strict=True)
    ]
    return OrderedDict(zip(tensors, views, strict=True)), storages


def write(path: Path, content: Any, storages: list[Storage] = [], **system: Any) -> Path:  # noqa: B006
    """A file such as torch.save wrote before its zip format."""
    torch, inner = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in KINDS.values():
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    inner._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    file = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", inner)
        header = (torch_weights.MAGIC, torch_weights.VERSION, {"little_endian": True, **system})
        for value in (*header, content, [storage.key for storage in storages]):
            Pickler(file, protocol=2).dump(value)
    for storage in storages:
        file.write(storage.values.size.to_bytes(8, "little"))
        file.write(storage.values.tobytes())
    path.write_bytes(file.getvalue())
    return path


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=9),
        st.sampled_from(list(KINDS)).flatmap(
            lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_side=4))
        ),
        max_size=4,
    )
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray]
) -> None:
    path = write(tmp_path_factory.mktemp("weights") / "a.pth", *state(tensors))
    found = torch_weights.read(path, sha256(path))
    assert list(found) == list(tensors)
    for name, values in tensors.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values, strict=True)


def test_views_of_one_storage_with_offset_and_strides(tmp_path: Path) -> None:
    storage = Storage("0", np.arange(12, dtype="f4"))
    content = {"a": Tensor(storage, 4, (2, 3), (4, 1)), "b": Tensor(storage, 0, (3, 4), (1, 3))}
    found = torch_weights.read(write(tmp_path / "a.pth", content, [storage]))
    np.testing.assert_array_equal(found["a"], [[4, 5, 6], [8, 9, 10]])
    np.testing.assert_array_equal(found["b"], np.arange(12).reshape(4, 3).T)


@pytest.mark.parametrize(
    ("offset", "shape", "steps"),
    [(0, (3,), (2,)), (4, (1,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (10**9,), (0,))],
)
def test_a_view_outside_its_storage_is_refused(
    tmp_path: Path, offset: int, shape: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    storage = Storage("0", np.zeros(4, "f4"))
    path = write(tmp_path / "a.pth", {"w": Tensor(storage, offset, shape, steps)}, [storage])
    with pytest.raises(InputError, match=r"a\.pth: .*w reaches outside its storage of 4"):
        torch_weights.read(path)


# Programs for the pickle machine, by every operation that could call or import; @ is a path.
PROGRAMS = {
    "reduce": b"\x80\x02cposix\nsystem\nX\x07\0\0\0touch @\x85R.",
    "eval": b"\x80\x02c__builtin__\neval\nX\x0e\0\0\0open('@', 'w')\x85R.",
    "inst": b"(X\x07\0\0\0touch @iposix\nsystem\n.",
    "obj": b"(cposix\nsystem\nX\x07\0\0\0touch @o.",
    "new object": b"\x80\x02cio\nFileIO\nX\x01\0\0\0@X\x01\0\0\0w\x86\x81.",
    "new object with keywords": b"\x80\x04cio\nFileIO\nX\x01\0\0\0@X\x01\0\0\0w\x86}\x92.",
    "name from the stack": b"\x80\x04X\x05\0\0\0posixX\x06\0\0\0system\x93X\x07\0\0\0touch @\x85R.",
    "framed": b"\x80\x04\x95\x25\0\0\0\0\0\0\0"
    b"X\x05\0\0\0posixX\x06\0\0\0system\x93X\x07\0\0\0touch @\x85R.",
    "extension": b"\x80\x02\x82\x01.",
    "state": b"\x80\x02ccollections\nOrderedDict\n)Rcposix\nsystem\nb.",
    "persistent": b"\x80\x02cposix\nsystem\nX\x07\0\0\0touch @\x85RQ.",
    "text persistent": b"Ptouch @\n.",
    "attribute of what is known": b"\x80\x02ccollections\nOrderedDict.fromkeys\n.",
    "call of a call": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R)R.",
    "call of a text": b"\x80\x02X\x06\0\0\0system)R.",
    "text": b"S'touch'\n.",
}


def put(program: bytes, victim: Path) -> bytes:
    """The program, with the victim's path (of one letter, so that lengths stay)."""
    assert len(str(victim)) == 1
    return program.replace(b"@", str(victim).encode())


HEADER = b"".join(
    pickle.dumps(value, protocol=2)
    for value in (torch_weights.MAGIC, torch_weights.VERSION, {"little_endian": True})
)
WATCHED = """
import io, sys
from pathlib import Path
from quickspine.errors import InputError
from quickspine.nets.pretrained import torch_weights
events = []
FORBIDDEN = ("os.system", "os.exec", "os.posix", "subprocess.", "import", "compile")
"".encode("unicode_escape")  # a codec that messages need: imported by its first use
def hook(event, arguments):
    if event.startswith(FORBIDDEN) or (event == "open" and "r" not in str(arguments[1])):
        events.append((event, arguments))
sys.addaudithook(hook)
for name in sys.argv[1:]:
    try:
        torch_weights.read(name)
    except InputError as error:
        print("refused", error)
print(events)
"""


def test_no_program_in_a_pickle_runs_whatever_its_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process that hears of every import, every program started, every file written."""
    monkeypatch.chdir(tmp_path)
    names = []
    for number, program in enumerate(PROGRAMS.values()):
        for place, before in (("first", b""), ("state", HEADER)):
            names.append(f"{number}-{place}.pth")
            Path(names[-1]).write_bytes(before + put(program, Path("v")))
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *names],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "[]"
    assert sum(line.startswith("refused") for line in lines) == len(names) == len(lines) - 1
    assert not Path("v").exists()
    # These programs do run where they may, and leave the file behind.
    for name in ("reduce", "eval", "inst", "obj", "framed"):
        code = f"import pickle, sys; pickle.loads({put(PROGRAMS[name], Path('v'))!r})"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        Path("v").unlink()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    tensors = {"w": np.arange(6, dtype="f4").reshape(2, 3), "n": np.array(7)}
    return write(tmp_path_factory.mktemp("good") / "a.pth", *state(tensors)).read_bytes()


def test_a_truncated_file_is_refused_wherever_it_ends(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "short.pth"
    for size in range(len(good)):
        path.write_bytes(good[:size])
        with pytest.raises(InputError, match=r"short\.pth: damaged"):
            torch_weights.read(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(InputError, match="bytes after the last storage"):
        torch_weights.read(path)


def test_the_digest_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(b"not even a pickle")
    with pytest.raises(InputError, match=rf"a\.pth: sha256 is {sha256(path)}, expected 00"):
        torch_weights.read(path, "00")


def test_other_formats_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(InputError, match="_use_new_zipfile_serialization=False"):
        torch_weights.read(path)
    with pytest.raises(InputError, match="not little-endian"):
        torch_weights.read(write(path, {}, little_endian=False))
    for content in ([1], {"epoch": 3}):
        with pytest.raises(InputError, match="something else than a state dict"):
            torch_weights.read(write(path, content))
    with pytest.raises(InputError, match=r"none\.pth: cannot be read \(No such file"):
        torch_weights.read(tmp_path / "none.pth")
