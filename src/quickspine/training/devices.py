"""Where a training runs, and in which precision: decided once, before anything is built."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from quickspine.dataset.records.seeds import derive
from quickspine.params import HeadConfig

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
FLAGS_LINE = re.compile(r"(flags|Features)\s*:")
INSTRUCTIONS = re.compile(r"(avx|amx|fma|f16c|sse|ssse|asimd|sve|sme|bf16)")
SWITCHES = re.compile(r"(TF_ENABLE_|TF_XLA_|XLA_|NVIDIA_TF32|(ONEDNN|DNNL)_(?!VERBOSE))")


@dataclass(frozen=True)
class Device:
    """What a training runs on.

    Attributes:
        strategy: a tf.distribute strategy: mirrored over several GPUs, else the default one.
        name: "cpu" or "gpu" and how many, for logs and tags.
        precision: "float32" or "bfloat16", what `auto` came to.
        policy: the Keras dtype policy to build the network with.
        tuned: whether networks train with `layers.convolution`: one CPU, in bfloat16.
        compiled: whether steps are compiled by XLA; worth it on GPUs only.
    """

    strategy: Any
    name: str
    precision: str
    policy: str
    tuned: bool
    compiled: bool

    def batches(self, data: Any) -> Iterator[Any]:
        """The batches of a tf.data.Dataset, divided among the replicas."""
        batches: Iterator[Any] = iter(self.strategy.experimental_distribute_dataset(data))
        return batches


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16 itself; without that, float32 is faster."""
    return not BFLOAT16_FLAGS.isdisjoint(cpu_flags())


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """What the CPU can do, in Linux's words; nothing where there is no Linux."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:  # macOS
        return set()
    return {flag for line in lines if FLAGS_LINE.match(line) for flag in line.split(":")[1].split()}


def threads() -> int:
    """Threads that TensorFlow computes one operation with."""
    chosen: int = tf.config.threading.get_intra_op_parallelism_threads()
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return chosen or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or available or 1


def arithmetic() -> dict[str, str]:
    """What decides how sums are rounded, besides versions and code."""
    switches = sorted(
        f"{name}={value}" for name, value in os.environ.items() if SWITCHES.match(name)
    )
    instructions = sorted(flag for flag in cpu_flags() if INSTRUCTIONS.match(flag))
    return {
        "threads": str(threads()),
        "oneDNN and XLA switches": " ".join(switches),
        "instruction sets": " ".join(instructions) or platform.machine(),
    }


def prepare(params: HeadConfig, seed: int) -> Device:
    """Set up TensorFlow for one training.

    Args:
        params: `precision`, `deterministic` and `threads` of the stage's section.
        seed: of this training.
    """
    if params.threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(params.threads)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    keras.utils.set_random_seed(derive(seed, "keras"))
    if params.deterministic:
        tf.config.experimental.enable_op_determinism()
    precision = params.precision
    if precision == "auto":
        precision = "bfloat16" if _fast_in_bfloat16(gpus) else "float32"
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    keras.config.set_dtype_policy(policy)
    strategy = tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()
    name = f"{len(gpus)} GPU" if gpus else "CPU"
    tuned = precision == "bfloat16" and not gpus and strategy.num_replicas_in_sync == 1
    return Device(strategy, name, precision, policy, tuned, compiled=bool(gpus))


def _fast_in_bfloat16(gpus: list[Any]) -> bool:
    if not gpus:
        return cpu_has_bfloat16()
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
