"""Errors shown without a traceback: wrong input, and a full disk."""

from __future__ import annotations


class InputError(Exception):
    """Wrong params or data: shown without a traceback, the stage exits with 2.

    The message names the key or file, what was received, and what to do.
    """


class NoSpaceError(Exception):
    """Too little space on the disk: shown without a traceback, the stage exits with 1.

    The message names the place, and what helps.
    """
