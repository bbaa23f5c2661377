"""Finds a head by the name of its file, and builds it from a section of the params.

`nets/heads/NAME.py` defines one subclass of `HeadLayer` and imports no other head's file, so a
change to one head retrains that head alone.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from quickspine.errors import InputError
from quickspine.nets.backbones.layers.head_block import HeadLayer
from quickspine.params import HeadConfig


def head_class(name: str) -> type[HeadLayer]:
    """Import the one head that `nets/heads/NAME.py` defines.

    Raises:
        InputError: if the file defines none, or several.
    """
    module = importlib.import_module(f"quickspine.nets.heads.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, HeadLayer)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = ", ".join(kind.__name__ for kind in found) or "none"
        raise InputError(f"{module.__file__}: must define one subclass of HeadLayer, not {names}")
    return found[0]


def option_names(kind: type[HeadLayer]) -> set[str]:
    """The arguments that a head's `__init__` names, those of its bases up to HeadLayer included."""
    bases = kind.__mro__[: kind.__mro__.index(HeadLayer) + 1]
    own = [vars(base)["__init__"] for base in bases if "__init__" in vars(base)]
    return {name for function in own for name in inspect.signature(function).parameters}


def build_head(
    name: str, section: HeadConfig, classes: int, *, seed: int, initialisation: str, **context: Any
) -> HeadLayer:
    """Build the head `name`: of all options it gets those that its `__init__` names.

    Args:
        name: one of the params' `heads`.
        section: of the params. `NAME_option` there is the option `option` of the head NAME, such
            as `dense_width`; other values go by their own names, such as `sub_layers`.
        classes: number of logits.
        seed: decides initial weights and dropout.
        initialisation: "pytorch" or "keras".
        context: further options, which depend on the network.
    """
    kind = head_class(name)
    values = {field: getattr(section, field) for field in HeadConfig.model_fields}
    own = {field.removeprefix(f"{name}_"): value for field, value in values.items()}
    options = {**values, **own, **context, "seed": seed, "initialisation": initialisation}
    named = option_names(kind) - {"classes"}
    return kind(
        classes,
        **{option: value for option, value in options.items() if option in named},
        name="head",
        dtype="float32",  # a few small products: their logits stay exact in mixed precision too
    )
