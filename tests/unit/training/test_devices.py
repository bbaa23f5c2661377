"""Where a training runs: decided by params and machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from quickspine.params import Params
from quickspine.training import devices
from quickspine.training.devices import cpu_has_bfloat16, exact, prepare


@pytest.fixture(autouse=True)
def rewrites(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What TensorFlow was told about rewriting graphs to bfloat16; without GPUs."""
    told: list[bool] = []

    def note(options: dict[str, Any]) -> None:
        told.append(options["auto_mixed_precision_onednn_bfloat16"])

    monkeypatch.setattr(tf.config.optimizer, "set_experimental_options", note)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    return told


@pytest.mark.parametrize(
    ("flags", "fast"),
    [("fpu avx512_bf16 sse", True), ("amx_tile amx_bf16", True), ("avx2 avx512f", False)],
)
def test_bfloat16_is_for_cpus_that_have_it(tmp_path: Path, flags: str, fast: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    assert cpu_has_bfloat16(tmp_path / "cpuinfo") == fast
    assert not cpu_has_bfloat16(tmp_path / "missing")


@pytest.mark.parametrize("fast", [True, False])
def test_auto_is_what_the_machine_is_fast_in(
    make_params: Callable[..., Params],
    monkeypatch: pytest.MonkeyPatch,
    rewrites: list[bool],
    fast: bool,
) -> None:
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: fast)
    device = prepare(make_params({"train.precision": "auto"}).train, 1)
    assert device.precision == ("bfloat16" if fast else "float32")
    assert device.rewritten == rewrites[-1] == fast
    assert (device.policy, device.name, device.compiled) == ("float32", "CPU", False)
    assert keras.config.dtype_policy().name == "float32"
    assert device.strategy.num_replicas_in_sync == 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_taken(
    make_params: Callable[..., Params], rewrites: list[bool], precision: str
) -> None:
    device = prepare(make_params({"train.precision": precision}).train, 1)
    assert device.precision == precision
    assert rewrites[-1] == (precision == "bfloat16")


def test_exact_is_float32_inside_and_as_before_after(
    make_params: Callable[..., Params], rewrites: list[bool]
) -> None:
    device = prepare(make_params({"train.precision": "bfloat16"}).train, 1)
    rewrites.clear()
    with exact(device):
        assert rewrites == [False]
    assert rewrites == [False, True]

    def fail() -> None:
        with exact(device):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert rewrites == [False, True] * 2


def test_a_seed_sets_what_has_no_seed_of_its_own(make_params: Callable[..., Params]) -> None:
    train = make_params({}).train

    def drawn(seed: int) -> bytes:
        prepare(train, seed)
        return bytes(keras.random.normal((4,)).numpy().tobytes())

    assert drawn(1) == drawn(1) != drawn(2)
