"""Functions written in LLVM's language, compiled for the processor at hand by llvmlite.

For loops over bytes that neither NumPy nor another library has. numba, which brings llvmlite, would
do it too; but to import it takes half a second, and this a twentieth.
"""

from __future__ import annotations

import threading
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped] # ships no types

_engines: list[Any] = []  # functions live as long as these
_busy = threading.Lock()


def compiled(name: str, program: str) -> int:
    """The address of function `name` of a program, which stays there until the process ends."""
    with _busy:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
        )
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(program), machine)
        engine.finalize_object()
        _engines.append(engine)
        return int(engine.get_function_address(name))


def has(feature: str) -> bool:
    """Whether the processor at hand has what LLVM calls `feature`, such as `sse4.2`."""
    return bool(llvm.get_host_cpu_features().get(feature))
