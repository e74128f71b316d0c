"""Id generator: sixteen characters that are easy to read aloud."""

import base64
import os

from cliquet.storage.generators import Generator


class ShortId(Generator):
    regexp = r"^[a-z2-7]{16}$"

    def __call__(self):
        return base64.b32encode(os.urandom(10)).decode().lower()
