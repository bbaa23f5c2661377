"""The front doors: quick help, wrong params said early, exit codes, the lock, SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from quickspine import cli
from quickspine.errors import InputError, NoSpaceError
from quickspine.files import whole_folder
from quickspine.params import Params

ROOT = Path(__file__).resolve().parents[2]
STAGES = sorted(path.stem for path in (ROOT / "pipeline").glob("[a-z]*.py"))
TRAINS = {"train", "finetune"}

# Runs a front door twice in one process, as `python -m` would: for help, and with bad params.
TWICE = """
import runpy, sys
name, *more = sys.argv[1:]
for arguments in (["--help"], ["--params", "bad.yaml", *more]):
    sys.argv[1:] = arguments
    try:
        runpy.run_module(f"pipeline.{name}", run_name="__main__", alter_sys=True)
    except SystemExit as done:
        print("code", done.code)
heavy = {"tensorflow", "keras", "mlflow", "matplotlib", "scipy", "dvc", "tensorflow_datasets"}
print("heavy", sorted(heavy & set(sys.modules)))
"""


@pytest.fixture
def project(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and bad params, as the current one."""
    values = params.model_dump(mode="json")
    values.update(seeds=[1, 2, 3], heads=["dense", "spinal"])
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    values["train"]["epoch"] = values["train"].pop("epochs")
    values["data"]["categories"][0] = "appel"
    values["split"] = {"train": 0.7, "validation": 0.1, "test": 0.1}
    (tmp_path / "bad.yaml").write_text(json.dumps(values))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'src'}")
    return tmp_path


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str, **options: object) -> int | str | None:
    """The exit code of a stage made of `options`."""
    monkeypatch.setattr(sys, "argv", ["stage", *arguments])
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    work = options.pop("work", lambda params, args: None)
    try:
        cli.main("fetch", "Fetch.", work, **options)  # type: ignore[arg-type]
    except SystemExit as done:
        return done.code
    return 0


@pytest.mark.parametrize("name", STAGES)
def test_help_and_wrong_params_import_nothing_heavy(project: Path, name: str) -> None:
    more = ["--head", "dense", "--seed", "1"] if name in TRAINS else []
    done = python("-c", TWICE, name, *more)
    assert done.stdout.startswith(f"usage: python -m pipeline.{name} [-h] [--params PARAMS]")
    assert "code 0\ncode 2\nheavy []\n" in done.stdout, done.stdout + done.stderr
    for part in (
        f"{name}{'-dense-1' if more else ''}: bad.yaml: 4 wrong",
        "data.categories: 'appel': no such category; did you mean 'apple'",
        "split: train, validation and test sum to 0.9; make it 1",
        "train.epochs: missing",
        "train.epoch: unknown key; did you mean epochs?",
    ):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / ".quickspine").exists()  # said no before it touched anything


def test_a_pretrained_backbone_is_checked_before_tensorflow_starts(project: Path) -> None:
    values = json.loads((project / "params.yaml").read_text())
    values["finetune"]["backbone"] = "efficientnet_lite9"
    (project / "params.yaml").write_text(json.dumps(values))
    code = (
        "import atexit, runpy, sys; sys.argv[1:] = ['--head', 'dense', '--seed', '1']; "
        "atexit.register(lambda: print('tensorflow' in sys.modules)); "
        "runpy.run_module('pipeline.finetune', run_name='__main__', alter_sys=True)"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert "finetune-dense-1: finetune.backbone: " in done.stderr
    assert "efficientnet_lite0" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--head", "linear", "--seed", "1"], "--head: linear is not among heads (dense, spinal)"),
        (["--head", "../x", "--seed", "1"], "--head: ../x is not among heads"),
        (["--head", "dense", "--seed", "7"], "--seed: 7 is not among seeds (1, 2, 3)"),
        (["--head", "dense", "--seed", "1", "--params", "no.yaml"], "no.yaml: missing"),
        (["--head", "dense"], "the following arguments are required: --seed"),
        (["--head", "dense", "--seed", "one"], "invalid int value: 'one'"),
    ],
)
def test_wrong_arguments_exit_with_2_and_are_named(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main(monkeypatch, *arguments, trains=True) == 2
    assert message in capsys.readouterr().err


def test_a_stage_works_under_its_lock_and_then_frees_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def work(params: Params, args: Namespace) -> None:
        held = sorted(path.name for path in Path(".quickspine/locks").iterdir())
        seen.extend([params.seeds, args.head, args.seed, held])

    arguments = ("--head", "spinal", "--seed", "3")
    assert main(monkeypatch, *arguments, work=work, trains=True) == 0
    names = ["fetch-spinal-3.holder", "fetch-spinal-3.lock"]
    assert seen == [(1, 2, 3), "spinal", 3, names]
    assert not Path(".quickspine/locks/fetch-spinal-3.holder").exists()


def test_a_stage_that_is_not_enabled_leaves_a_folder_that_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads((project / "params.yaml").read_text())
    values["finetune"]["enabled"] = False
    (project / "params.yaml").write_text(json.dumps(values))

    def never(*given: object) -> None:
        raise AssertionError("nothing is checked or trained")

    monkeypatch.setattr(sys, "argv", ["stage", "--head", "spinal", "--seed", "3"])
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    cli.main("finetune", "Fine-tune.", never, check=never, trains=True)
    left = project / "models" / "finetune-spinal-3"
    assert {path.name for path in left.iterdir()} == {"skipped.json"}
    assert "finetune-spinal-3: skipped, as finetune.enabled is false" in capsys.readouterr().out
    values["train"]["enabled"] = False
    (project / "params.yaml").write_text(json.dumps(values))
    with pytest.raises(SystemExit, match="2"):
        cli.main("finetune", "Fine-tune.", never, trains=True)
    assert "train.enabled and finetune.enabled are both false" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            InputError("data/raw: empty; run: dvc repro fetch"),
            2,
            "fetch: data/raw: empty; run: dvc",
        ),
        (NoSpaceError("data: 3.9 GB are needed"), 1, "fetch: data: 3.9 GB are needed\n"),
        (
            OSError(28, "No space left on device", "x.json"),
            1,
            "fetch: x.json: No space left on dev",
        ),
        (MemoryError("of 9 GiB"), 1, "fetch: out of memory (of 9 GiB)"),
    ],
)
def test_wrong_data_and_a_want_of_disk_or_memory_exit_without_a_traceback(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    line: str,
) -> None:
    def fail(*anything: object) -> None:
        raise error

    for where in ("check", "work"):
        assert main(monkeypatch, **{where: fail}) == code
        told = capsys.readouterr().err
        assert told.startswith(line)
        assert told.count("\n") == 1
        assert main(monkeypatch) == 0  # the lock is free again


def test_anything_else_is_a_fault_of_ours_and_shows_its_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(params: Params, args: Namespace) -> None:
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        main(monkeypatch, work=fail)
    assert main(monkeypatch) == 0  # the lock is free again


SLOW = """
import time
from quickspine import cli
from quickspine.files import whole_folder

def work(params, args):
    with whole_folder(cli.RAW) as folder:
        (folder / "half").write_text("half")
        print("ready", flush=True)
        time.sleep(60)

cli.main("fetch", "Fetch.", work)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stage_that_is_stopped_tidies_up(project: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "fetch: interrupted; nothing half-made was kept\n"
    assert list((project / "data").iterdir()) == []
    assert [path.name for path in Path(".quickspine/locks").iterdir()] == ["fetch.lock"]


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), end="", flush=True)
child.wait()
"""


@pytest.mark.faults
@pytest.mark.parametrize("shell", [False, True])
def test_an_orphan_of_dvc_stops_and_tidies_up(project: Path, shell: bool) -> None:
    """DVC, killed with SIGKILL, cannot stop its stage; DVC's shell may stand in between."""
    (project / "slow.py").write_text(SLOW)
    started = [sys.executable, "slow.py"]
    if shell:
        started = ["/bin/sh", "-c", f"{' '.join(started)}; true"]
    with (project / "errors").open("w") as errors:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, *started],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "DVC_STAGE": "fetch"},
        )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    time.sleep(2)
    assert (project / "errors").read_text() == ""  # with its parent alive, it works on
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60
    while "interrupted" not in (said := (project / "errors").read_text()):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    assert said == (
        "fetch: its dvc is gone; stopping\nfetch: interrupted; nothing half-made was kept\n"
    )
    assert list((project / "data").iterdir()) == []


@pytest.mark.faults
def test_an_orphan_from_its_very_start_stops_too(project: Path) -> None:
    """Killed while its stage starts, DVC is gone before the stage looks for it."""
    (project / "slow.py").write_text(SLOW)
    (project / "errors").touch()
    command = f"{sys.executable} slow.py > said 2>> errors &"  # the shell does not wait for it
    subprocess.run(["/bin/sh", "-c", command], check=True, env={**os.environ, "DVC_STAGE": "fetch"})
    deadline = time.monotonic() + 60
    while "interrupted" not in (said := (project / "errors").read_text()):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    assert said.startswith("fetch: its dvc is gone; stopping\n")


TALKS = """
import sys
from pathlib import Path
from quickspine import cli

def work(params, args):
    sys.stdin.read()
    for number in range(10_000):
        print("word", number, flush=True)
        print("word", number, file=sys.stderr)
    Path("done").touch()

cli.main("fetch", "Fetch.", work)
"""


@pytest.mark.parametrize("where", ["closed", "full"])
def test_nobody_listening_does_not_stop_the_work(project: Path, where: str) -> None:
    """A closed `less`, or a full disk behind the log."""
    if where == "full" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full" if where == "full" else os.devnull).open("w") as full:
        to = full if where == "full" else subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", TALKS], stdin=subprocess.PIPE, stdout=to, stderr=to
        )
        for pipe in (process.stdout, process.stderr, process.stdin):
            if pipe is not None:
                pipe.close()
        assert process.wait(60) == 0
    assert (project / "done").exists()


@pytest.mark.parametrize(
    ("number", "module"),
    [(signal.SIGTERM, "pydantic"), (signal.SIGINT, "filelock"), (signal.SIGHUP, "ruamel")],
)
def test_a_stage_stopped_while_it_starts_is_quiet(
    project: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, module: str
) -> None:
    """The signal comes while one of the first imports goes on: nothing is begun, nothing said."""
    (project / "first" / module).mkdir(parents=True)
    strike = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(60)"
    (project / "first" / module / "__init__.py").write_text(strike)
    path = os.pathsep.join(map(str, (project / "first", ROOT, ROOT / "src")))
    monkeypatch.setenv("PYTHONPATH", path)
    done = python("-m", "pipeline.preprocess")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize("folder", ["data", ".quickspine"])
def test_a_file_where_a_folder_belongs_is_named(project: Path, folder: str) -> None:
    (project / folder).write_text("a file")
    done = python("-c", SLOW)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f": {folder}" in done.stderr
    assert "put that right and run this again" in done.stderr


def edit(path: Path, **values: object) -> None:
    """Change values of the section `data` in a params file, and one that fetch does not read."""
    content = json.loads(path.read_text())
    content["data"] |= values
    content["evaluate"]["seed"] += 1
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("own", [True, False])
def test_params_that_change_while_a_stage_runs_leave_no_output(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own: bool,
) -> None:
    """DVC would record the new values beside an output that was made with the old ones."""

    def work(params: Params, args: Namespace) -> None:
        with whole_folder(Path("made")) as folder:
            (folder / "file").write_text("made")
            edit(project / "params.yaml", **({"seed": params.data.seed + 1} if own else {}))

    assert main(monkeypatch, work=work) == (2 if own else 0)
    assert (project / "made").exists() != own
    if own:
        told = capsys.readouterr().err
        assert "data.seed" in told
        assert "evaluate" not in told
