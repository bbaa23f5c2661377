"""The one error that is the user's to mend."""


class WrongInputError(Exception):
    """Wrong params or data: shown without a traceback, the stage exits with 2.

    The message names the key or file, what was received, and what would do.
    """
