"""The peers: what users of plain PyTorch and of plain Keras would write, in `bench/peers/`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from quickspine.bench import environments, processes
from quickspine.bench.turns import CannotRunError, Contestant

FOLDER = Path("bench/peers")


@dataclass(frozen=True)
class Peer:
    """A program in an environment of its own.

    Attributes:
        name: of the contestant.
        environment: of its packages; its requirements are `<environment>.txt`.
        arguments: before batch and steps.
        room: bytes of its environment where the largest builds are taken.
    """

    name: str
    environment: str
    arguments: tuple[str, ...]
    room: int

    @property
    def program(self) -> str:
        """The file's name: `bench/peers/` has it, and so has a folder of references."""
        return f"{self.environment}_vgg5.py"

    def contestant(self, batch: int, steps: int, folder: Path | None = None) -> Contestant:
        """This peer, or in `folder` the reference of the same file name and command line."""
        home = FOLDER if folder is None else folder
        name = self.name if folder is None else f"{self.name}, reference"

        def run() -> float:
            python = _python(self.environment, self.room)
            if isinstance(python, CannotRunError):
                raise python
            if not (home / self.program).is_file():
                raise CannotRunError(f"{home / self.program} is not there")
            command: list[str | Path] = [
                python,
                home / self.program,
                *self.arguments,
                str(batch),
                str(steps),
            ]
            return processes.rate(command)

        return Contestant(name, run)


@functools.cache
def _python(environment: str, room: int) -> Path | CannotRunError:
    """Asked once a bench: two peers share an environment, and a failure takes its time."""
    try:
        return environments.python_of(environment, FOLDER / f"{environment}.txt", room)
    except CannotRunError as error:
        return error


PEERS = (
    Peer("PyTorch, bfloat16", "torch", ("bf16",), 1_000_000_000),
    Peer("PyTorch, float32", "torch", ("fp32",), 1_000_000_000),
    Peer("Keras, float32", "keras", (), 2_000_000_000),
)
