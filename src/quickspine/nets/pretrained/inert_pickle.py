"""The values that a pickle describes, without unpickling it.

A pickle is a program for a small stack machine, and Python's own machine calls whatever the
program names. The one here knows the operations that plain values need and no way to call or
import anything: a name stays a `Name`, and what would be called stays a `Call`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple


class Name(NamedTuple):
    """Something of a module, by name; it is not looked up."""

    module: str
    name: str


class Call(NamedTuple):
    """What calling a name with arguments would have made; it is not called."""

    name: Name
    arguments: tuple[Any, ...]


class Reference(NamedTuple):
    """What the pickle calls a persistent id: something kept outside of it."""

    value: Any


ORDERED = Name("collections", "OrderedDict")  # an empty one is an empty dict, for our purposes


def values(file: BinaryIO, names: frozenset[Name]) -> Any:
    """Read one pickle of protocol 2 from where `file` stands to the pickle's end.

    Args:
        file: of bytes; nothing behind the pickle's end is read.
        names: the only names that the pickle may refer to.

    Returns:
        None, bools, numbers, strings, tuples, lists and dicts with string keys, and `Name`, `Call`
        and `Reference` where the pickle goes beyond these.

    Raises:
        ValueError: if it uses another operation or name.
        Exception: of nearly any kind, if it is damaged.
    """
    machine = _Machine(names)
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "STOP":
            return machine.result()
        if operation.name not in _OPERATIONS:
            raise ValueError(f"uses the operation {operation.name}, which weights have no use for")
        _OPERATIONS[operation.name](machine, argument)
    raise ValueError("has no end")  # not reached: genops itself says so


class _Machine:
    """A stack, the stacks below it (one a mark), and what was noted to be used again."""

    def __init__(self, names: frozenset[Name]) -> None:
        self.names = names
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        (value,) = self.stack
        if self.below:
            raise ValueError("ends inside a list")
        return value

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        found, self.stack = self.stack, self.below.pop()
        return found

    def note(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def recall(self, number: int) -> None:
        self.push(self.memo[number])

    def last(self, count: int) -> None:
        found = tuple(self.stack.pop() for _ in range(count))
        self.push(found[::-1])

    def name(self, text: str) -> None:
        name = Name(*text.split(" ", 1))
        if name not in self.names:
            raise ValueError(f"refers to {name.module}.{name.name}, which weights have no use for")
        self.push(name)

    def call(self, _: Any) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if type(name) is not Name or type(arguments) is not tuple:
            raise ValueError("calls something that is no name")
        self.push({} if (name, arguments) == (ORDERED, ()) else Call(name, arguments))

    def state(self, _: Any) -> None:
        self.stack.pop()  # attributes of a dict, such as the versions of a network's layers
        if type(self.stack[-1]) is not dict:
            raise ValueError("sets attributes of something that is no dict")

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("appends to something that is no list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise ValueError("sets items of something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:  # to hash a tuple of tuples of … may take for ever
                raise ValueError(f"has a {type(key).__name__} for a key")
            target[key] = value


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _Machine.push),
    "BINUNICODE": _Machine.push,
    "EMPTY_TUPLE": _constant(()),
    "TUPLE1": lambda machine, _: machine.last(1),
    "TUPLE2": lambda machine, _: machine.last(2),
    "TUPLE3": lambda machine, _: machine.last(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "MARK": _Machine.mark,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.note),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.recall),
    "GLOBAL": _Machine.name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.state,
    "BINPERSID": lambda machine, _: machine.push(Reference(machine.stack.pop())),
}
