"""What is said of drawings, said of images where the source has others."""

from __future__ import annotations

import re
from typing import Any

from quickspine.params import DRAWN

# Not the class of an element, which the page's style knows by that name.
WORD = re.compile(r'(?<!class=")\b(?P<article>[Aa] )?(?P<first>[Dd])rawing(?P<more>s?)\b')


def fitting(text: str, data: dict[str, Any]) -> str:
    """The text with "image" for "drawing", unless it is about drawings, or names a category so.

    Args:
        text: HTML or Markdown.
        data: `data` of `metrics.json`.
    """
    named = any("drawing" in name.casefold() for name in data["categories"])
    return text if data["source"] in DRAWN or named else WORD.sub(_image, text)


def _image(found: re.Match[str]) -> str:
    article = f"{found['article'].strip()}n " if found["article"] else ""
    return f"{article}{'I' if found['first'] == 'D' else 'i'}mage{found['more']}"
