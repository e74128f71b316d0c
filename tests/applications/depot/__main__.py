"""The command of the server.

python -m tests.applications.depot --ini depot.ini migrate
"""

import argparse
import sys

from pyramid.paster import bootstrap

from cliquet.scripts.cliquet import init_schema
from tests.applications.depot import __version__


def main(args=None):
    """Run a command, and return its exit code."""
    parser = argparse.ArgumentParser(description="Depot commands")
    parser.add_argument("--ini", default="config/depot.ini", help="configuration file")
    parser.add_argument("command", choices=("migrate", "version"))
    arguments = parser.parse_args(args)

    if arguments.command == "version":
        print(__version__)
        return 0
    with bootstrap(arguments.ini) as env:
        init_schema(env)
    return 0


if __name__ == "__main__":
    sys.exit(main())
