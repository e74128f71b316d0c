"""The WSGI application, for the servers that want it in a file.

The configuration is that of the example application, unless the variable CLIQUET_INI names
another file.
"""

import os
import sys
from pathlib import Path

from pyramid.paster import get_app, setup_logging

HERE = Path(__file__).resolve().parent

ini_file = os.environ.get("CLIQUET_INI")
if not ini_file:
    ini_file = str(HERE / "config" / "example.ini")
    sys.path.insert(0, str(HERE / "examples"))

setup_logging(ini_file)
application = get_app(ini_file)
