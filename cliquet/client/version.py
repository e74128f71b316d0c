"""Version of the client."""

__version__ = "3.2.0"

USER_AGENT = f"cliquet-client/{__version__}"
