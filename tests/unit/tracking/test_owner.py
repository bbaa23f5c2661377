import subprocess
import sys

import psutil  # type: ignore[import-untyped] # ships no types

from quickspine.tracking.owner import alive, identity


def test_this_process_lives() -> None:
    assert alive(identity())


def test_a_reused_process_number_is_not_this_process() -> None:
    ours = identity()
    assert not alive({**ours, "process_start": str(float(ours["process_start"]) - 60)})


def test_an_ended_process_does_not_live_not_even_before_its_parent_looks() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    tags = {"pid": str(child.pid), "process_start": str(process.create_time())}
    assert alive(tags)
    child.kill()
    while process.status() != psutil.STATUS_ZOMBIE:
        pass
    assert not alive(tags)
    child.communicate()
    assert not alive(tags)


def test_runs_that_do_not_tell_whose_they_are_are_left_alone() -> None:
    assert alive({})
    assert alive({"pid": "1"})
    assert alive({"pid": "x", "process_start": "y"})
