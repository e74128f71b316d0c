"""Run a load test with clients that mostly poll for changes, and sometimes write."""

import argparse
import json
import random
import time
from base64 import b64encode
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit
from uuid import uuid4


class Client:
    """A connection of a new user."""

    def __init__(self, url, resource, data):
        parts = urlsplit(url)
        connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.connection = connect(parts.netloc, timeout=30)
        self.path = f"{parts.path}/{resource}"
        self.body = json.dumps({"data": data})
        credentials = b64encode(f"load-{uuid4()}:secret".encode()).decode()
        self.headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
        }
        self.records = [str(uuid4()) for _ in range(20)]
        self.etag = '"1"'

    def send(self, method, path, body=None, **headers):
        self.connection.request(method, self.path + path, body, {**self.headers, **headers})
        response = self.connection.getresponse()
        response.read()
        return response

    def poll(self):
        since = self.etag.strip('"')  # some servers reject quotes in URLs
        response = self.send("GET", f"?_since={since}", **{"If-None-Match": self.etag})
        self.etag = response.headers.get("ETag", self.etag)
        return response.status

    def write(self):
        return self.send("PUT", f"/{random.choice(self.records)}", self.body).status


def work(url, resource, data, seconds, writes):
    """Send requests, and return their durations in seconds, by operation and status."""
    client = Client(url, resource, data)
    times = defaultdict(list)
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        operation = client.write if random.random() < writes else client.poll
        status = operation()
        times[operation.__name__, status].append(time.monotonic() - start)
    return dict(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="URL of the service, with its version")
    parser.add_argument("resource", help="name of the resource in URLs: bookmarks")
    parser.add_argument("data", type=json.loads, help="a valid record, in JSON")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument(
        "--writes", type=float, default=0.2, help="share of writes among all requests"
    )
    options = parser.parse_args()
    job = (options.url, options.resource, options.data, options.seconds, options.writes)
    all_times = defaultdict(list)
    with ProcessPoolExecutor(options.clients) as pool:
        for done in [pool.submit(work, *job) for _ in range(options.clients)]:
            for key, times in done.result().items():
                all_times[key] += times
    print(f"{'operation':10}{'status':>7}{'per second':>12}{'50 %':>9}{'99 %':>9}{'max':>9}  ms")
    for (operation, status), times in sorted(all_times.items()):
        times.sort()
        shown = [times[int(len(times) * part)] * 1000 for part in (0.5, 0.99)]
        shown.append(times[-1] * 1000)
        columns = "".join(f"{each:9.1f}" for each in shown)
        print(f"{operation:10}{status:>7}{len(times) / options.seconds:>12.1f}{columns}")
    return any(status >= 400 for _, status in all_times)


if __name__ == "__main__":
    raise SystemExit(main())
