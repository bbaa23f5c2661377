"""Where a training runs: decided by params and machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from quickspine.params import Params
from quickspine.training import devices
from quickspine.training.devices import cpu_flags, cpu_has_bfloat16, prepare, threads


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What TensorFlow finds; none, unless a test puts one in."""
    found: list[str] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: found)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: None)
    return found


@pytest.fixture(autouse=True)
def _without_gpus(gpus: list[str]) -> None:
    assert gpus == []


@pytest.mark.parametrize(
    ("flags", "fast"),
    [("fpu avx512_bf16 sse", True), ("amx_tile amx_bf16", True), ("avx2 avx512f", False)],
)
def test_bfloat16_is_for_cpus_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, fast: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: bf16 amx_bf16\nflags\t\t: {flags}\n")
    found = cpu_flags(tmp_path / "cpuinfo")
    assert found == set(flags.split())
    monkeypatch.setattr(devices, "cpu_flags", lambda: found)
    assert cpu_has_bfloat16() == fast
    assert cpu_flags(tmp_path / "missing") == set()


def test_threads_are_those_that_tensorflow_will_use(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    assert threads() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "5")
    assert threads() == 5
    chosen: list[int] = []
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", chosen.append)
    prepare(make_params({}).train, 1)
    prepare(make_params({"train.threads": 3}).train, 1)
    assert chosen == [3]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("asked", ["float32", "bfloat16", "auto"])
def test_a_precision_is_taken_and_auto_is_what_the_machine_is_fast_in(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, asked: str, fast: bool
) -> None:
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: fast)
    device = prepare(make_params({"train.precision": asked}).train, 1)
    low = asked == "bfloat16" or (asked == "auto" and fast)
    assert device.precision == ("bfloat16" if low else "float32")
    assert device.tuned == low
    assert device.policy == keras.config.dtype_policy().name
    assert device.policy == ("mixed_bfloat16" if low else "float32")
    assert (device.name, device.compiled) == ("CPU", False)
    assert device.strategy.num_replicas_in_sync == 1


@pytest.mark.parametrize(("capability", "precision"), [((8, 0), "bfloat16"), ((7, 5), "float32")])
def test_a_gpu_is_left_to_xla(
    make_params: Callable[..., Params],
    monkeypatch: pytest.MonkeyPatch,
    gpus: list[str],
    capability: tuple[int, int],
    precision: str,
) -> None:
    gpus.append("GPU:0")
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    device = prepare(make_params({"train.precision": "auto"}).train, 1)
    assert (device.precision, device.name) == (precision, "1 GPU")
    assert (device.tuned, device.compiled) == (False, True)
    assert (device.policy == "mixed_bfloat16") == (precision == "bfloat16")


def test_a_seed_sets_what_has_no_seed_of_its_own(make_params: Callable[..., Params]) -> None:
    train = make_params({}).train

    def drawn(seed: int) -> bytes:
        prepare(train, seed)
        return bytes(keras.random.normal((4,)).numpy().tobytes())

    assert drawn(1) == drawn(1) != drawn(2)
