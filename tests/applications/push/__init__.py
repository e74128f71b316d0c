"""A listener that notifies a push server of changes, in a background thread.

Enable it with::

    cliquet.event_listeners = push
    cliquet.event_listeners.push.use = tests.applications.push
    cliquet.event_listeners.push.actions = create update delete
    cliquet.event_listeners.push.resources = task
    cliquet.event_listeners.push.server_url = https://push.example/notify
"""

import logging
import queue
import threading

import requests

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5


class PushSender(threading.Thread):
    """Sends messages, one after the other."""

    def __init__(self, server_url):
        super().__init__(name="push", daemon=True)
        self.server_url = server_url
        self.messages = queue.Queue()

    def run(self):
        while True:
            message = self.messages.get()
            try:
                self.send(message)
            except requests.RequestException as error:
                logger.error("%s can't be notified: %s", self.server_url, error)
            finally:
                self.messages.task_done()

    def send(self, message):
        response = requests.post(self.server_url, json=message, timeout=TIMEOUT_SECONDS)
        response.raise_for_status()


def load_from_config(config, prefix):
    """Return the listener, a function of the event."""
    settings = config.get_settings()
    sender = PushSender(settings[prefix + "server_url"])
    sender.start()
    config.registry.push_sender = sender

    def notify(event):
        records = [change.get("new", change.get("old")) for change in event.impacted_records]
        sender.messages.put(
            {
                "channel": "{resource_name}s of {user_id}".format(**event.payload),
                "action": event.payload["action"],
                "version": event.payload["timestamp"],
                "ids": [record["id"] for record in records],
            }
        )

    return notify
