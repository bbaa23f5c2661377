"""Read plain YAML 1.2 from a file that anyone may have written."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from quickspine.errors import InputError

Key = tuple[str, ...]

MAX_BYTES = 1 << 17  # a params.yaml beyond this is something else
MAX_DEPTH = 32  # lists and keys inside each other
MAX_NODES = 10_000  # keys and values: ruamel takes seconds over more
MAX_VALUE = 4096  # characters of a key or value


class _Plain(Composer):
    """Composes keys, lists and values only; refuses what may hide an explosion.

    A few aliases of aliases grow to billions of values, nesting exhausts the stack, and ruamel
    raises whatever comes on tags that do not fit their values.
    """

    _depth = 0
    _nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node, and what is in it."""
        event = self.parser.peek_event()
        problem = ""
        if getattr(event, "anchor", None) is not None:
            problem = f"an anchor or alias ({event.anchor}); write the value itself"
        elif getattr(event, "ctag", None) is not None:
            problem = f"a tag ({event.ctag}); write the plain value"
        elif len(getattr(event, "value", None) or "") > MAX_VALUE:
            problem = f"more than {MAX_VALUE} characters in one piece; shorten it"
        elif self._depth >= MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} deep; write plain nested keys and values"
        elif self._nodes >= MAX_NODES:
            problem = f"more than {MAX_NODES} keys and values; a params file has fewer"
        if problem:
            raise ComposerError(None, None, problem, event.start_mark)
        self._nodes += 1
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _at_once(name: str, flags: int) -> int:
    """Open without waiting, as a named pipe would block until someone writes into it."""
    return os.open(name, flags | os.O_NONBLOCK)


def read(path: Path) -> dict[Any, Any]:
    """Read a file of plain nested keys and values, as DVC reads it.

    Raises:
        InputError: if it is missing, unreadable, too large, or uses anchors, aliases or tags.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Plain
    try:
        # `open` and not `path.open`, which takes no opener.
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{path}: a pipe or a device; give a plain file")
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(
                f"{path}: more than {MAX_BYTES} bytes; a params file has at most as many"
            )
        values = yaml.load(data.decode("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: missing; run this from the project's root") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not readable as YAML ({_summary(error)}); mend that place"
        ) from None
    if not isinstance(values, dict):
        kind = "nothing" if values is None else f"a {type(values).__name__}"
        raise InputError(f"{path}: holds {kind} instead of keys; restore it: git checkout {path}")
    return values


def flatten(values: Mapping[Any, Any]) -> dict[Key, Any]:
    """Values by the path of their keys; an empty mapping is a value."""
    found: dict[Key, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= {(str(key), *inner): each for inner, each in flatten(value).items()}
        else:
            found[(str(key),)] = value
    return found


def _summary(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        line = error.problem_mark.line + 1
        # Of a key written twice ruamel shows the values too, before it has read them.
        return f"line {line}: {error.problem.partition(' with value ')[0]}"
    return " ".join(str(error).split())[:400]
