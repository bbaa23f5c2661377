"""Check params.yaml before DVC reads it: `python -m quickspine.params`."""

from __future__ import annotations

import sys

from quickspine.errors import InputError
from quickspine.params import load

if __name__ == "__main__":
    try:
        load(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
