"""Network that loses, repeats, delays and replaces messages."""

import httpx
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from tests.client.fault_proxy import Response

URL = "http://api.example.com/v1"

PORTAL = b"<h1>Please log in</h1>"
#: Responses of gateways and captive portals: the request doesn't reach the application.
REPLACED = [
    Response(200, {"Content-Type": "text/html"}, PORTAL),
    Response(200, {}, b'{"portal": true}'),
    Response(302, {"Location": "http://portal.example.com/"}, b""),
    *(Response(status, {}, PORTAL) for status in (403, 404, 410, 502)),
    *(Response(status, {"Retry-After": "2"}, b"{}") for status in (429, 503)),
]


class Network:
    """The network.

    :param connect: returns a client of :mod:`tests.hostile_client` for a user; None: without
        credentials.
    :param random: source of the faults.
    """

    def __init__(self, connect, random):
        self.is_faulty = True
        #: Names of headers that are removed.
        self.removed = ()
        self._server = connect(None)
        self._random = random
        self._late = []

    def exchange(self, *message):
        """Send the method, URL, headers and body of a request, and return the response.

        :raises ConnectionError: if the response is lost.
        """
        if not self.is_faulty:
            return self._deliver(*message)
        if self._random.random() < 0.1:
            self.deliver_late(1)
        fault = self._random.choices(FAULTS, WEIGHTS)[0]
        return fault(self, message)

    def deliver_late(self, number=None):
        """Deliver some of the requests that are still on their way, in any order."""
        self._random.shuffle(self._late)
        for message in self._late[:number]:
            self._deliver(*message)
        del self._late[:number]

    def _deliver(self, method, url, headers, body):
        path, _, query = url.removeprefix(URL).partition("?")
        response = self._server.send(method, path, query, body or None, self._kept(headers))
        return Response(response.status, self._kept(response.headers), response.body)

    def _kept(self, headers):
        return {name: value for name, value in headers.items() if name.title() not in self.removed}

    def _drop_request(self, message):
        raise ConnectionError

    def _drop_response(self, message):
        self._deliver(*message)
        raise ConnectionError

    def _deliver_later(self, message):
        self._late.append(message)
        raise ConnectionError

    def _deliver_twice(self, message):
        first, second = self._deliver(*message), self._deliver(*message)
        return self._random.choice([first, second])

    def _deliver_twice_with_delay(self, message):
        self._late.append(message)
        return self._deliver(*message)

    def _truncate(self, message):
        response = self._deliver(*message)
        return response._replace(body=response.body[: self._random.randrange(len(response.body))])

    def _replace(self, message):
        return self._random.choice(REPLACED)

    def _pass(self, message):
        return self._deliver(*message)


FAULTS = {
    Network._pass: 20,
    Network._drop_request: 2,
    Network._drop_response: 4,
    Network._deliver_later: 3,
    Network._deliver_twice: 2,
    Network._deliver_twice_with_delay: 2,
    Network._truncate: 2,
    Network._replace: 4,
}
FAULTS, WEIGHTS = list(FAULTS), list(FAULTS.values())


class RequestsAdapter(BaseAdapter):
    """Sends the requests of a session of requests over a network."""

    def __init__(self, network):
        super().__init__()
        self._network = network

    def send(self, request, **options):
        try:
            reply = self._network.exchange(
                request.method, request.url, request.headers, request.body
            )
        except ConnectionError as error:
            raise requests.ConnectionError from error
        response = requests.Response()
        response.status_code, response.request, response.url = reply.status, request, request.url
        response.headers = CaseInsensitiveDict(reply.headers)
        response._content = reply.body
        return response

    def close(self):
        """Close nothing."""


class HttpxTransport(httpx.AsyncBaseTransport):
    """Sends the requests of a client of httpx over a network."""

    def __init__(self, network):
        self._network = network

    async def handle_async_request(self, request):
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        try:
            reply = self._network.exchange(
                request.method, str(request.url), headers, request.content
            )
        except ConnectionError as error:
            raise httpx.ReadError("lost", request=request) from error
        headers = {name: value for name, value in reply.headers.items() if name != "Content-Length"}
        return httpx.Response(reply.status, headers=headers, content=reply.body)
