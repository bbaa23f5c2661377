"""BLAKE2b of eight messages side by side, one in each lane of the processor's vectors.

hashlib hashes one short message at a time: most of the processor's width is idle, and Python keeps
its lock. No library hashes many at once, so this module writes the function down, as RFC 7693 has
it, in LLVM's language, and llvmlite (which numba brings) compiles it for the processor at hand, in
a tenth of a second. Whatever it has (AVX-512, AVX2, NEON), the digests are hashlib's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from quickspine.compiled import compiled

LANES = 8
BLOCK = 128  # bytes that are mixed into the state at once
WORD = 8
START = (
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
)  # fmt: skip
# The words of a block that each of the twelve rounds takes, in their order.
ORDERS = (
    "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8",
    "905724afe1bc683d", "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a",
    "6fe9b308c2d714a5", "a2847615fb9e3cd0", "0123456789abcdef", "ea489fd61c02b753",
)  # fmt: skip
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
V = f"<{LANES} x i64>"

Hash = Callable[[int, int, int], None]  # address of messages, how many times eight, of digests


def digests(messages: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The 128-bit BLAKE2b of each message, all of one length; other threads run meanwhile.

    Args:
        messages: uint8 [n, bytes], C order, of at least one byte each.

    Returns:
        uint64 [n, 2].
    """
    messages = np.ascontiguousarray(messages)
    rows, size = messages.shape
    found = np.empty((rows, 2), np.uint64)
    hashed, whole = _compiled(size), rows // LANES
    hashed(messages.ctypes.data, whole, found.ctypes.data)
    rest = rows - whole * LANES
    if rest:
        last, its = np.zeros((LANES, size), np.uint8), np.empty((LANES, 2), np.uint64)
        last[:rest] = messages[whole * LANES :]
        hashed(last.ctypes.data, 1, its.ctypes.data)
        found[whole * LANES :] = its[:rest]
    return found


@cache
def _compiled(size: int) -> Hash:
    """The function for messages of `size` bytes."""
    address = compiled("digests", "\n".join(_program(size)))
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)(address)


def _program(size: int) -> Iterator[str]:
    """Three functions: of a block, of eight messages, of all."""
    full, rest = (size - 1) // BLOCK, (size - 1) % BLOCK + 1
    first = (START[0] ^ 0x01010000 ^ 16, *START[1:])  # a digest of 16 bytes, no key
    yield f"declare {V} @llvm.fshl.v{LANES}i64({V}, {V}, {V})"
    yield "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"
    yield "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"
    yield from _mixing()
    yield f"""
define internal void @group(ptr %messages, ptr %digests) {{
entry:
  %state = alloca [8 x {V}], align 64
  %last = alloca [{LANES * BLOCK} x i8], align 64"""
    for word, value in enumerate(first):
        yield f"  %s{word} = getelementptr {V}, ptr %state, i64 {word}"
        yield f"  store {V} {_all(value)}, ptr %s{word}"
    yield f"  call void @llvm.memset.p0.i64(ptr %last, i8 0, i64 {LANES * BLOCK}, i1 false)"
    for lane in range(LANES):
        place = lane * size + full * BLOCK
        yield f"  %from{lane} = getelementptr i8, ptr %messages, i64 {place}"
        yield f"  %to{lane} = getelementptr i8, ptr %last, i64 {lane * BLOCK}"
        yield (
            f"  call void @llvm.memcpy.p0.p0.i64(ptr %to{lane}, ptr %from{lane}, i64 {rest}, "
            "i1 false)"
        )
    yield f"""  br label %test
test:
  %number = phi i64 [0, %entry], [%next, %more]
  %place = mul i64 %number, {BLOCK}
  %goes_on = icmp ult i64 %number, {full}
  br i1 %goes_on, label %more, label %end
more:
  %next = add i64 %number, 1
  %read = mul i64 %next, {BLOCK}
  %block = getelementptr i8, ptr %messages, i64 %place
  call void @mix(ptr %state, ptr %block, i64 {size}, i64 %read, i64 0)
  br label %test
end:
  call void @mix(ptr %state, ptr %last, i64 {BLOCK}, i64 {size}, i64 -1)
  %first = load {V}, ptr %s0
  %second = load {V}, ptr %s1
  %both = shufflevector {V} %first, {V} %second, <{2 * LANES} x i32> {
        _numbers(value for lane in range(LANES) for value in (lane, lane + LANES))
    }
  store <{2 * LANES} x i64> %both, ptr %digests, align 8
  ret void
}}
define void @digests(ptr %messages, i64 %groups, ptr %digests) {{
entry:
  br label %test
test:
  %group = phi i64 [0, %entry], [%next, %more]
  %goes_on = icmp ult i64 %group, %groups
  br i1 %goes_on, label %more, label %end
more:
  %next = add i64 %group, 1
  %from = mul i64 %group, {LANES * size}
  %to = mul i64 %group, {LANES * 16}
  %message = getelementptr i8, ptr %messages, i64 %from
  %digest = getelementptr i8, ptr %digests, i64 %to
  call void @group(ptr %message, ptr %digest)
  br label %test
end:
  ret void
}}"""


def _mixing() -> Iterator[str]:
    """RFC 7693's compression function F: a block of each of eight messages into their states."""
    names, lines = (f"%v{number}" for number in count()), list[str]()

    def done(operation: str) -> str:
        name = next(names)
        lines.append(f"  {name} = {operation}")
        return name

    def added(left: str, right: str) -> str:
        return done(f"add {V} {left}, {right}")

    def turned(left: str, right: str, bits: int) -> str:
        """The exclusive or, turned right."""
        both = done(f"xor {V} {left}, {right}")
        by = _all(64 - bits)
        return done(f"call {V} @llvm.fshl.v{LANES}i64({V} {both}, {V} {both}, {V} {by})")

    def everywhere(value: str) -> str:
        one = done(f"insertelement {V} poison, i64 {value}, i32 0")
        return done(f"shufflevector {V} {one}, {V} poison, <{LANES} x i32> zeroinitializer")

    places = [done(f"getelementptr {V}, ptr %state, i64 {word}") for word in range(8)]
    old = [done(f"load {V}, ptr {place}") for place in places]
    words = _turned_words(done)
    v = [*old, *(_all(value) for value in START)]
    v[12] = done(f"xor {V} {everywhere('%read')}, {v[12]}")
    v[14] = done(f"xor {V} {everywhere('%last')}, {v[14]}")
    for order in ORDERS:
        taken = iter([words[int(digit, 16)] for digit in order])
        for a, b, c, d in (*COLUMNS, *DIAGONALS):
            for to_d, to_b in ((32, 24), (16, 63)):
                v[a] = added(added(v[a], v[b]), next(taken))
                v[d] = turned(v[d], v[a], to_d)
                v[c] = added(v[c], v[d])
                v[b] = turned(v[b], v[c], to_b)
    for place, before, left, right in zip(places, old, v[:8], v[8:], strict=True):
        new = done(f"xor {V} {left}, {right}")
        new = done(f"xor {V} {new}, {before}")
        lines.append(f"  store {V} {new}, ptr {place}")
    yield "define internal void @mix(ptr %state, ptr %block, i64 %size, i64 %read, i64 %last) {"
    yield from lines
    yield "  ret void\n}"


def _turned_words(done: Callable[[str], str]) -> list[str]:
    """The sixteen words of a block of each message: a vector a word, not a vector a message."""
    words = list[str]()
    for half in range(2):
        rows = []
        for lane in range(LANES):
            start = done(f"mul i64 %size, {lane}")
            place = done(f"add i64 {start}, {half * LANES * WORD}")
            address = done(f"getelementptr i8, ptr %block, i64 {place}")
            rows.append(done(f"load {V}, ptr {address}, align 1"))
        for step in (1, 2, 4):  # blocks of so many words change places
            swapped = list(rows)
            for lane in range(LANES):
                if lane & step:
                    continue
                pair = f"{V} {rows[lane]}, {V} {rows[lane + step]}"
                for where, odd in ((lane, 0), (lane + step, step)):
                    # Of the two, those words whose bit `step` is that of `odd`.
                    chosen = [
                        (word & ~step | odd) + (LANES if word & step else 0)
                        for word in range(LANES)
                    ]
                    swapped[where] = done(
                        f"shufflevector {pair}, <{LANES} x i32> {_numbers(chosen)}"
                    )
            rows = swapped
        words += rows
    return words


def _all(value: int) -> str:
    """A vector of one value, as a constant."""
    signed = value - 2**64 if value >= 2**63 else value
    return f"<{', '.join([f'i64 {signed}'] * LANES)}>"


def _numbers(values: Iterator[int] | list[int]) -> str:
    return f"<{', '.join(f'i32 {value}' for value in values)}>"
