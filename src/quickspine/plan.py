"""`make plan`: which stages `dvc repro` would run, which it may run, and why.

`dvc repro --dry` cannot tell: it takes outputs that a stage has yet to write for unchanged, and
calls stages cached that never ran. This walks DVC's own graph with DVC's own status instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quickspine.console import make_output_safe

Status = Mapping[str, list[Any]]  # stage to what `dvc status --json` lists for it
OUTSIDE = {"inputs/data": "data.folder or data.mirror", "inputs/weights": "finetune.weights"}


@dataclass(frozen=True)
class Step:
    """What `dvc repro` would do with one stage.

    Attributes:
        stage: its name, such as "train@dense-1".
        decision: "runs", "may run" (if the output of a stage before it changes) or "up to date".
        reasons: why, one phrase each.
    """

    stage: str
    decision: str
    reasons: list[str]


def plan(graph: Mapping[str, list[str]], status: Status, outputs: Mapping[str, str]) -> list[Step]:
    """Decide for each stage whether it runs.

    Args:
        graph: stage to the stages it depends on, in an order in which they can run.
        status: of the stages that are not up to date, as `dvc status --json` has it.
        outputs: path of an output to the stage that writes it.

    Returns:
        One step a stage, in the order of `graph`.
    """
    steps: dict[str, Step] = {}

    def will_be_written(path: str) -> bool:
        """Whether a stage before this one may write `path`, or something below it, anew."""
        writers = [s for out, s in outputs.items() if out == path or out.startswith(f"{path}/")]
        return any(s in steps and steps[s].decision != "up to date" for s in writers)

    for stage, before in graph.items():
        changes = _reasons(status.get(stage, []))
        reasons = [reason for path, reason in changes if not will_be_written(path)]
        waiting = [name for name in before if steps[name].decision != "up to date"]
        if reasons:
            steps[stage] = Step(stage, "runs", reasons)
        elif waiting:
            why = f"if the output of {_listed(waiting)} changes"
            steps[stage] = Step(stage, "may run", [why])
        else:
            steps[stage] = Step(stage, "up to date", [])
    return list(steps.values())


def _reasons(entries: list[Any]) -> Iterator[tuple[str, str]]:
    """The (path, phrase) of each change; the path of a change of the stage itself is empty."""
    for entry in entries:
        if not isinstance(entry, dict):
            yield "", str(entry)  # "changed command"
            continue
        for path, change in entry.get("changed deps", {}).items():
            if isinstance(change, dict):  # a params file: key to change
                for key, kind in change.items():
                    yield "", f"{key} {kind}"
            else:
                yield path, f"{OUTSIDE.get(path, path)} {change}"
        for path, change in entry.get("changed outs", {}).items():
            words = {"deleted": "is missing", "not in cache": "does not exist yet"}
            yield "", f"{path} {words.get(change, change)}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def read_project() -> tuple[dict[str, list[str]], Status, dict[str, str]]:
    """Read the arguments of `plan` from the DVC project around the working directory."""
    from dvc.repo import Repo
    from networkx import lexicographical_topological_sort

    with Repo() as repo:
        found = repo.index.graph  # edges lead from a stage to those it depends on
        place = {stage: number for number, stage in enumerate(repo.index.stages)}
        ordered = list(lexicographical_topological_sort(found.reverse(), place.get))
        graph = {stage.addressing: [s.addressing for s in found[stage]] for stage in ordered}
        outputs = {out.def_path: stage.addressing for stage in ordered for out in stage.outs}
        return graph, repo.status(), outputs


def main() -> None:
    """Print the plan."""
    make_output_safe()  # before DVC, which wraps stdout
    from dvc.exceptions import DvcException

    try:
        steps = plan(*read_project())
    except (DvcException, OSError, UnicodeError) as error:  # the latter of outside data
        remedy = "" if isinstance(error, DvcException) else "; run: make plan, which says the key"
        print(f"plan: {error}{remedy}", file=sys.stderr)
        sys.exit(2)
    width = max(len(step.stage) for step in steps)
    for step in steps:
        why = f": {_listed(step.reasons)}" if step.reasons else ""
        print(f"{step.stage:<{width}}  {step.decision}{why}")
    if any(step.decision == "runs" for step in steps):
        print("A stage that ran before with the same inputs is restored from DVC's cache instead.")
    else:
        print("Nothing to do.")


if __name__ == "__main__":
    main()
