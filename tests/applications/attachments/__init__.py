"""Documents with an attached file, sent as a multipart body to the URL of the document."""

import os
import shutil

from pyramid.config import Configurator

import cliquet

__version__ = "1.0.0"

DEFAULT_SETTINGS = {
    "attachments.base_url": "https://files.example/",
    "attachments.extensions": "pdf png txt",
    "attachments.folder": None,
    "document_create_principals": "system.Authenticated",
}


class FileStore:
    """Files in a folder per document."""

    def __init__(self, folder):
        self.folder = folder

    def save(self, document_id, name, stream):
        """Write a file, and return its size."""
        folder = os.path.join(self.folder, document_id)
        os.makedirs(folder, exist_ok=True)
        with stream, open(os.path.join(folder, name), "wb") as file:
            return file.write(stream.read())

    def delete(self, document_id, name):
        os.remove(os.path.join(self.folder, document_id, name))

    def delete_all(self, document_id):
        shutil.rmtree(os.path.join(self.folder, document_id), ignore_errors=True)


def main(global_config, **settings):
    """Return the WSGI application."""
    config = Configurator(settings=settings)
    cliquet.initialize(config, __version__, "attachments", default_settings=DEFAULT_SETTINGS)
    settings = config.get_settings()
    config.registry.files = FileStore(settings["folder"])
    config.scan("tests.applications.attachments.views")
    return config.make_wsgi_app()
