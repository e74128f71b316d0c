"""JSON log lines for a log collector."""

import logging
import os
from datetime import UTC, datetime

from cliquet.utils import json


def json_line(level, message, **fields):
    return json.dumps(
        {
            "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "host": os.uname().nodename,
            "level": level,
            "message": message,
            **fields,
        },
        default=str,  # for values that JSON can't represent
    )


class Renderer:
    """Format the events of Cliquet and the application: ``logger.info("event", key=value)``."""

    def __init__(self, settings):
        self.service = settings["project_name"]

    def __call__(self, logger, name, event_dict):
        """Return the line for an event; ``name`` is its level."""
        fields = dict(event_dict)
        return json_line(name, fields.pop("event", ""), service=self.service, **fields)


class Formatter(logging.Formatter):
    """Format the lines of other libraries."""

    def format(self, record):
        message = record.getMessage()
        if message.startswith("{"):
            return message  # already formatted by Renderer
        fields = {"logger": record.name}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json_line(record.levelname.lower(), message, **fields)
