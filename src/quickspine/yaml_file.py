"""YAML 1.2 of a file that may have been written by anyone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from quickspine.errors import WrongInputError

MAX_BYTES = 1 << 17  # a params.yaml beyond this is something else, and takes seconds to read
MAX_DEPTH = 32  # lists and keys inside each other
MAX_VALUE = 4096  # characters of a key or value


class _Plain(Composer):
    """Keys, lists and values as they stand: what may hide an explosion is refused unread.

    A few aliases of aliases grow to billions of values, nesting exhausts the stack, and ruamel
    raises whatever comes on tags that do not fit their values.
    """

    _depth = 0

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
        if problem:
            raise ComposerError(None, None, problem, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def read(path: Path) -> dict[Any, Any]:
    """Read a file of plain nested keys and values, as DVC reads it.

    Raises:
        WrongInputError: if it is missing, unreadable, too large, or uses anchors, aliases or tags.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Plain
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise WrongInputError(
                f"{path}: more than {MAX_BYTES} bytes; a params file has at most as many"
            )
        values = yaml.load(data.decode("utf-8"))
    except FileNotFoundError:
        raise WrongInputError(f"{path}: missing; run this from the project's root") from None
    except OSError as error:
        raise WrongInputError(f"{path}: cannot be read ({error.strerror})") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise WrongInputError(
            f"{path}: not readable as YAML ({_summary(error)}); mend that place"
        ) from None
    if not isinstance(values, dict):
        kind = "nothing" if values is None else f"a {type(values).__name__}"
        raise WrongInputError(
            f"{path}: holds {kind} instead of keys; see params.yaml in the project"
        )
    return values


def _summary(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        line = error.problem_mark.line + 1
        # Of a key written twice ruamel shows the values too, before it has read them.
        return f"line {line}: {error.problem.partition(' with value ')[0]}"
    return " ".join(str(error).split())[:400]
