"""The ``cliquet`` command, as ``python -m cliquet``."""

import sys

from cliquet.scripts.cliquet import main

if __name__ == "__main__":
    sys.exit(main())
