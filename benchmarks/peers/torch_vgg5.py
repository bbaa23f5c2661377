"""VGG-5 with a spinal head as a user of plain PyTorch would train it; prints images a second.

    python torch_vgg5.py [bf16|fp32] [batch] [steps]

Random images in memory, 24 classes, Adam, channels last; three steps of warm-up are not counted.
Knows nothing of quickspine: `python -m benchmarks` runs it in an environment of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES, SIDE, DROPOUT, WARM_UP = 24, 28, 0.5, 3
PLAN = (64, 64, None, 128, 128, None, 256, 256, 256, None, 256, 256, 256, None)  # None: pooling
FEATURES, UNITS, SUB_LAYERS = 256, 128, 4


def backbone() -> Iterator[nn.Module]:
    """The layers of VGG-5, up to 256 maps of one pixel."""
    channels = 1
    for filters in PLAN:
        if filters is None:
            yield nn.MaxPool2d(kernel_size=2)
            continue
        yield nn.Conv2d(channels, filters, kernel_size=3, padding=1)
        yield nn.BatchNorm2d(filters)
        yield nn.ReLU()
        channels = filters
    yield nn.Flatten()


class Spine(nn.Module):
    """Four sub-layers that take turns at the halves of the features, each fed by the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.links = nn.ModuleList()
        for number in range(SUB_LAYERS):
            fan_in = FEATURES // 2 + (UNITS if number else 0)
            linear = nn.Linear(fan_in, UNITS)
            self.links.append(
                nn.Sequential(nn.Dropout(DROPOUT), linear, nn.BatchNorm1d(UNITS), nn.ReLU())
            )
        self.logits = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(SUB_LAYERS * UNITS, CLASSES))

    def forward(self, features: Tensor) -> Tensor:
        """[n, 256] to [n, 24]."""
        left, right = features.chunk(2, dim=1)
        first, *others = self.links
        outputs = [first(left)]
        for number, link in enumerate(others, start=1):
            half = right if number % 2 else left
            outputs.append(link(torch.cat((half, outputs[-1]), dim=1)))
        return self.logits(torch.cat(outputs, dim=1))


class Trainer:
    """A network, its optimizer, and the one batch that it sees again and again."""

    def __init__(self, precision: str, batch: int) -> None:
        torch.manual_seed(0)
        network = nn.Sequential(*backbone(), Spine())
        self.network = network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.network.parameters())
        images = torch.rand(batch, 1, SIDE, SIDE)
        self.images = images.to(memory_format=torch.channels_last)
        self.labels = torch.randint(CLASSES, (batch,))
        self.lower = precision == "bf16"

    def train(self, steps: int) -> float:
        """Take `steps` steps; returns the seconds that they took."""
        start = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.lower):
                loss = functional.cross_entropy(self.network(self.images), self.labels)
            loss.backward()
            self.optimizer.step()
        return time.perf_counter() - start


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("precision", nargs="?", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("batch", nargs="?", type=int, default=128)
    parser.add_argument("steps", nargs="?", type=int, default=12)
    args = parser.parse_args()
    trainer = Trainer(args.precision, args.batch)
    trainer.train(WARM_UP)
    rate = args.steps * args.batch / trainer.train(args.steps)
    print(f"PyTorch {torch.__version__}, {args.precision}, batch {args.batch}: {rate:.1f} images/s")


if __name__ == "__main__":
    main()
