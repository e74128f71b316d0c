"""The module of a listener that is none."""


def load_from_config(config, prefix):
    return object()
