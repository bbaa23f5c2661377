"""What the model card says models are not for, and what they expect: by the kind of images."""

from __future__ import annotations

from typing import Any

from quickspine.evaluation.markdown import escape
from quickspine.params import DRAWN

NOT_FOR_DRAWINGS = (
    "Telling people apart, or anything else about who drew: age, health, mood, origin.",
    "Judging a person's ability to draw, or a child's development.",
    "Photographs, handwriting, signs, maps or technical drawings: they are none of what it saw.",
)
NOT_FOR_IMAGES = (
    "Telling people apart, or anything else about who is seen or who made an image.",
    "Images taken in another way than those it learnt from: another camera, scanner, light, crop.",
)
NOT_FOR = (
    "Decisions about safety, health, work, school, money or law.",
    "Anything outside its categories. It always answers one of them, also to an empty sheet, and "
    "often with confidence.",
    "Moderating content: what should not be shown is answered like anything else.",
)


def not_for(data: dict[str, Any]) -> tuple[str, ...]:
    """A sentence each; `data` as in `metrics.json`."""
    first, *others = NOT_FOR_DRAWINGS if data["source"] in DRAWN else NOT_FOR_IMAGES
    return (first, *others, *NOT_FOR)


def thing(data: dict[str, Any]) -> str:
    """What a model is shown."""
    return "a small drawing" if data["source"] in DRAWN else "an image"


def limits(metrics: dict[str, Any]) -> list[str]:
    """A sentence each."""
    data = metrics["data"]
    seeds = min(len(model["seeds"]) for model in metrics["models"].values())
    lines = [
        f"One dataset ({escape(data['source'])}): other drawings, another split or other "
        "categories may order the heads otherwise.",
        "One seed: the intervals speak of other drawings only; they say nothing about other "
        "trainings."
        if seeds == 1
        else f"{seeds} seeds: the intervals speak of other seeds and other drawings of the same "
        "kind; so few seeds say little about rare bad trainings.",
        "Its confidence is not calibrated: nothing was done to make it believable beyond measuring "
        "the error shown above.",
        _expects(data),
        "The licence of the drawings, and of pretrained weights where they are used, goes with the "
        "model.",
    ]
    if data["synthetic"]:
        lines.insert(0, "It learnt from a program's drawings: on people's drawings it is untested.")
    return lines


def _expects(data: dict[str, Any]) -> str:
    height, width, channels = data["shape"]
    colours = "grey" if channels == 1 else "colour (red, green, blue)"
    if data["source"] in DRAWN:
        return (
            f"It expects {colours} drawings of {height} by {width} pixels, white lines on black, "
            "centred and scaled as Quick, Draw!'s bitmaps are: ink on white paper, thin lines or a "
            "drawing in a corner are answered worse, without a warning."
        )
    return (
        f"It expects {colours} images of {height} by {width} pixels, cut and lit as those it "
        "learnt from: others are answered worse, without a warning."
    )
