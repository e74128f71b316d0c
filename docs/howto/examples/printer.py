from cliquet import load_default_settings
from cliquet.listeners import ListenerBase


class Printer(ListenerBase):
    def __init__(self, title):
        self.title = title

    def __call__(self, event):
        print(self.title, event.payload["action"], event.payload["uri"])


def load_from_config(config, prefix):
    load_default_settings(config, {prefix + "title": "Changed:"})
    return Printer(config.get_settings()[prefix + "title"])
