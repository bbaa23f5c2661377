"""Keys of params.yaml that came later: a file without one of them still loads."""

HEADS: tuple[str, ...] = ("enabled", "progressive_width", "spinal_input", "optimizer", "momentum")
HEADS += ("step_epochs", "step_factor")
OPTIONAL = {
    *(("data", name) for name in ("allow_fewer", "dataset", "folder", "image_size", "strokes")),
    *(
        ("train", "augment", name)
        for name in ("perspective", "perspective_probability", "resized_crop", "crop", "flip")
    ),
    *((section, name) for section in ("train", "finetune") for name in HEADS),
    ("train", "features"),
    *(("finetune", name) for name in ("schedule", "plateau_patience", "plateau_factor")),
}
