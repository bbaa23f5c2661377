"""Records put together in one pass: each drawing is read once, and its checksum taken on the way.

`framing` does the same in a dozen passes of NumPy's and a call of Python's a drawing, under its
lock; this is compiled, lets other threads run, and is what many drawings are worth.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.compiled import compiled, has
from quickspine.dataset.records.layout import HEAD, TAIL, Kind, kind_of, label_bytes

AT_ONCE = 4  # records: a checksum waits for its last step, so four go on side by side

Pack = Callable[[int, int, int, int, int], None]


@dataclass(frozen=True)
class Steps:
    """A processor's instructions for CRC-32C.

    Attributes:
        needed: what LLVM calls the feature.
        eight: the step over eight bytes, an i64.
        wide: the type of the checksum in it.
        one: the step over one byte; the checksum is an i32.
        byte: the type of the byte in it.
    """

    needed: str
    eight: str
    wide: str
    one: str
    byte: str


X86 = Steps("sse4.2", "@llvm.x86.sse42.crc32.64.64", "i64", "@llvm.x86.sse42.crc32.32.8", "i8")
ARM = Steps("crc", "@llvm.aarch64.crc32cx", "i32", "@llvm.aarch64.crc32cb", "i32")
STEPS = {"x86_64": X86, "aarch64": ARM, "arm64": ARM}


def can_pack() -> bool:
    """Whether the processor has an instruction for CRC-32C that is known here."""
    steps = STEPS.get(platform.machine())
    return steps is not None and has(steps.needed)


def packed(rows: NDArray[Any], order: NDArray[np.int64]) -> memoryview:
    """The records of drawings, one after the other, as `framing.framed` makes them.

    Args:
        rows: of a pile, with `label` and `pixels`.
        order: which rows, int64 [n].
    """
    pixels, labels = rows.dtype["pixels"].shape[0], rows["label"][order]
    most = label_bytes(int(labels.max(initial=0)))
    kinds = [kind_of(digits, pixels) for digits in range(1, most + 1)]
    which = np.zeros(len(labels), np.int64)
    for kind in kinds[1:]:
        which += labels >= kind.smallest
    ends = np.cumsum(np.array([kind.size for kind in kinds])[which])
    content = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    for number, kind in enumerate(kinds):
        own = np.flatnonzero(which == number)
        chosen, places = order[own].astype(np.int64), ends[own] - kind.size
        pack = _compiled(kind, pixels, rows.dtype.itemsize)
        rows_at, chosen_at, places_at = (each.ctypes.data for each in (rows, chosen, places))
        pack(rows_at, chosen_at, places_at, len(own), content.ctypes.data)
    return content.data


@cache
def _compiled(kind: Kind, pixels: int, row: int) -> Pack:
    steps = STEPS[platform.machine()]
    address = compiled("pack", "\n".join(_program(steps, kind, pixels, row)))
    return ctypes.CFUNCTYPE(
        None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
    )(address)


def _program(steps: Steps, kind: Kind, pixels: int, row: int) -> Iterator[str]:
    """`pack`, which takes AT_ONCE records while there are so many, and then one at a time."""
    yield f"declare {steps.wide} {steps.eight}({steps.wide}, i64)"
    yield f"declare i32 {steps.one}(i32, {steps.byte})"
    yield "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"
    for name, content in (("before", kind.before), ("behind", kind.behind)):
        values = ", ".join(f"i8 {value}" for value in content)
        yield f"@{name} = private constant [{len(content)} x i8] [{values}]"
    for count in (AT_ONCE, 1):
        yield from _some(count, steps, kind, pixels, row)
    yield f"""
define void @pack(ptr %rows, ptr %order, ptr %places, i64 %n, ptr %content) {{
entry:
  br label %test
test:
  %i = phi i64 [0, %entry], [%i_some, %some], [%i_one, %one]
  %i_some = add i64 %i, {AT_ONCE}
  %i_one = add i64 %i, 1
  %o = getelementptr i64, ptr %order, i64 %i
  %p = getelementptr i64, ptr %places, i64 %i
  %enough = icmp ule i64 %i_some, %n
  br i1 %enough, label %some, label %few
some:
  call void @records{AT_ONCE}(ptr %rows, ptr %o, ptr %p, ptr %content)
  br label %test
few:
  %any = icmp ult i64 %i, %n
  br i1 %any, label %one, label %end
one:
  call void @records1(ptr %rows, ptr %o, ptr %p, ptr %content)
  br label %test
end:
  ret void
}}"""


def _some(count: int, steps: Steps, kind: Kind, pixels: int, row: int) -> Iterator[str]:
    """A function that makes `count` records, their checksums side by side."""
    begin, end = len(kind.before), len(kind.before) + pixels
    label, length = end + len(kind.behind), kind.size - HEAD.size - TAIL
    yield f"""
define internal void @records{count}(ptr %rows, ptr %order, ptr %places, ptr %content) {{
entry:"""
    for r in range(count):
        yield f"""
  %o{r} = getelementptr i64, ptr %order, i64 {r}
  %number{r} = load i64, ptr %o{r}
  %offset{r} = mul i64 %number{r}, {row}
  %row{r} = getelementptr i8, ptr %rows, i64 %offset{r}
  %drawing{r} = getelementptr i8, ptr %row{r}, i64 {row - pixels}
  %p{r} = getelementptr i64, ptr %places, i64 {r}
  %place{r} = load i64, ptr %p{r}
  %to{r} = getelementptr i8, ptr %content, i64 %place{r}
  %begin{r} = getelementptr i8, ptr %to{r}, i64 {begin}
  %end{r} = getelementptr i8, ptr %to{r}, i64 {end}
  call void @llvm.memcpy.p0.p0.i64(ptr %to{r}, ptr @before, i64 {begin}, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %begin{r}, ptr %drawing{r}, i64 {pixels}, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %end{r}, ptr @behind, i64 {len(kind.behind)}, i1 false)
  %label{r} = load i32, ptr %row{r}, align 1
  %example{r} = getelementptr i8, ptr %to{r}, i64 {HEAD.size}"""
        for place in range(kind.digits):
            more = 128 if place < kind.digits - 1 else 0
            yield f"""
  %shifted{r}.{place} = lshr i32 %label{r}, {7 * place}
  %seven{r}.{place} = and i32 %shifted{r}.{place}, 127
  %digit{r}.{place} = or i32 %seven{r}.{place}, {more}
  %byte{r}.{place} = trunc i32 %digit{r}.{place} to i8
  %at{r}.{place} = getelementptr i8, ptr %to{r}, i64 {label + place}
  store i8 %byte{r}.{place}, ptr %at{r}.{place}"""
    yield "  br label %words\nwords:\n  %w = phi i64 [0, %entry], [%next, %words]"
    start = 2**32 - 1 if steps.wide == "i64" else -1
    for r in range(count):
        yield f"  %c{r} = phi {steps.wide} [{start}, %entry], [%d{r}, %words]"
    for r in range(count):
        yield f"""
  %q{r} = getelementptr i64, ptr %example{r}, i64 %w
  %v{r} = load i64, ptr %q{r}, align 1
  %d{r} = call {steps.wide} {steps.eight}({steps.wide} %c{r}, i64 %v{r})"""
    yield f"""
  %next = add i64 %w, 1
  %on = icmp ult i64 %next, {length // 8}
  br i1 %on, label %words, label %rest
rest:"""
    for r in range(count):
        yield from _end_of_record(r, steps, kind, length)
    yield "  ret void\n}"


def _end_of_record(r: int, steps: Steps, kind: Kind, length: int) -> Iterator[str]:
    """The checksum of the last bytes, fewer than eight; masked, and stored."""
    cut = f"trunc i64 %d{r} to i32" if steps.wide == "i64" else f"or i32 %d{r}, 0"
    yield f"  %s{r}.0 = {cut}"
    for number, place in enumerate(range(length // 8 * 8, length)):
        byte = f"%b{r}.{number}"
        widened = f"or i8 {byte}, 0" if steps.byte == "i8" else f"zext i8 {byte} to i32"
        yield f"""
  %a{r}.{number} = getelementptr i8, ptr %example{r}, i64 {place}
  {byte} = load i8, ptr %a{r}.{number}
  %z{r}.{number} = {widened}
  %s{r}.{number + 1} = call i32 {steps.one}(i32 %s{r}.{number}, {steps.byte} %z{r}.{number})"""
    yield f"""
  %crc{r} = xor i32 %s{r}.{length % 8}, -1
  %low{r} = lshr i32 %crc{r}, 15
  %high{r} = shl i32 %crc{r}, 17
  %turned{r} = or i32 %low{r}, %high{r}
  %masked{r} = add i32 %turned{r}, {0xA282EAD8 - 2**32}
  %last{r} = getelementptr i8, ptr %to{r}, i64 {kind.size - TAIL}
  store i32 %masked{r}, ptr %last{r}, align 1"""
