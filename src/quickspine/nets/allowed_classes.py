"""What a `model.keras` of ours is made of: anything else in one is refused before Keras sees it.

Keras's `safe_mode` refuses code inside a file. But a file also says which of Keras's classes to
make, and with what: some of them read files, open addresses or load code. None of those is here.
"""

from __future__ import annotations

import pkgutil
from typing import Any

from quickspine.nets import heads
from quickspine.nets.backbones.layers.head_builder import head_class
from quickspine.nets.backbones.layers.normalisation import FusedBatchNormalization

# Importing them registers them with Keras.
HEADS = [head_class(module.name) for module in pkgutil.iter_modules(heads.__path__)]
KINDS: list[type[Any]] = [FusedBatchNormalization, *HEADS]
OURS = {f"quickspine>{kind.__name__}": kind.__name__ for kind in KINDS}
# By the modules that Keras writes: what our networks and the backbones of keras.applications use.
KERAS = {
    None: "__keras_tensor__",
    "keras": "DTypePolicy Sequential",
    "keras.src.models.functional": "Functional",
    "keras.initializers": "Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal "
    "LecunUniform Ones RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros",
    "keras.regularizers": "L1 L1L2 L2",
    "keras.layers": "Activation Add AveragePooling2D BatchNormalization Concatenate Conv2D "
    "Cropping2D Dense DepthwiseConv2D Dropout Flatten GlobalAveragePooling2D GlobalMaxPooling2D "
    "InputLayer LayerNormalization MaxPooling2D Multiply Normalization ReLU Rescaling Reshape "
    "Resizing SeparableConv2D SpatialDropout2D ZeroPadding2D",
    "keras.src.ops.numpy": "Add Flip Multiply",
    "keras.src.applications.convnext": "LayerScale",
    "keras.src.applications.inception_resnet_v2": "CustomScaleLayer",
}
KNOWN = {(module, name) for module, names in KERAS.items() for name in names.split()}


def check(config: Any) -> None:
    """Walk a model's configuration, as JSON gave it.

    Raises:
        ValueError: naming the first part that our models do not have.
    """
    if isinstance(config, dict):
        if "class_name" in config:
            _check_class(config)
        if config.get("compile_config"):
            raise ValueError("it is compiled, and models are written without that")
        for value in config.values():
            check(value)
    elif isinstance(config, list):
        for value in config:
            check(value)


def _check_class(config: dict[str, Any]) -> None:
    # Keras looks for the registered name first, and then into the module.
    module, name = config.get("module"), config["class_name"]
    registered = config.get("registered_name")
    given = f"{module!r:.60}, {name!r:.60}, {registered!r:.60}"
    if not all(part is None or isinstance(part, str) for part in (module, name, registered)):
        raise ValueError(f"a part is named by something else than text ({given})")
    ours = registered in OURS and OURS[registered] == name
    if not ours and ((module, name) not in KNOWN or registered not in (None, name)):
        raise ValueError(f"it holds a part that no model here has ({given})")
