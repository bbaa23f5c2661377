"""Where a training runs, and in which precision: decided once, before anything is built."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from quickspine.dataset.records.seeds import derive
from quickspine.params import HeadConfig
from quickspine.training.prefetch import ahead

BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


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

    def batches(self, data: Any) -> Generator[Any, None, None]:
        """The batches of a tf.data.Dataset for the replicas, one of them asked for ahead."""
        return ahead(iter(self.strategy.experimental_distribute_dataset(data)))


def cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies in bfloat16 itself; without that, float32 is faster."""
    try:
        return any(flag in cpuinfo.read_text(encoding="utf-8") for flag in BFLOAT16_FLAGS)
    except OSError:  # macOS
        return False


def prepare(params: HeadConfig, seed: int) -> Device:
    """Set up TensorFlow for one training.

    Args:
        params: `precision` and `deterministic` of the stage's section.
        seed: of this training.
    """
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
