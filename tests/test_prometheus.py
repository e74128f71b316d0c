"""Metrics for Prometheus."""

import socket
from contextlib import closing
from pathlib import Path

import pytest
import requests
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from pyramid.exceptions import ConfigurationError
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet import transactions
from cliquet.state import state_of
from cliquet.storage.exceptions import BackendError
from tests import postgresql_server
from tests.http_servers import http_servers
from tests.reuse import Applications

ROOT = Path(__file__).parent.parent
ON = {"cliquet.includes": "cliquet.prometheus"}


@pytest.fixture
def applications():
    """New ones for each test, because these tests change them."""
    return Applications(kept=0)


def samples(text, parse=parse_text):
    """The samples of an exposition: ``{(name, *values of the labels in order): value}``."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def metrics_of(client):
    return samples(client.get("/__metrics__").text)


def test_metrics_are_off_by_default(serve):
    assert serve().get("/__metrics__", status=404).json["errno"] == 111


def test_requests_are_counted_and_timed_by_method_service_and_status(serve, alice):
    client = serve(ON)
    for _ in range(2):
        client.post_json("/mushrooms", {"data": {"name": "a"}}, headers=alice)
    client.get("/mushrooms", status=401)
    metrics = metrics_of(client)
    posted = ("POST", "mushroom-collection", "201")
    refused = ("GET", "mushroom-collection", "401")
    assert metrics["cliquet_requests_total", *posted] == 2
    assert metrics["cliquet_requests_total", *refused] == 1
    assert metrics["cliquet_request_duration_seconds_count", *posted] == 2
    assert 0 < metrics["cliquet_request_duration_seconds_sum", *posted] < 60


def test_urls_and_methods_that_are_unknown_share_one_label(serve):
    client = serve(ON)
    client.lint = False  # which knows no method but those of HTTP
    for name in ("a", "b"):
        client.get(f"/{name}", status=404)
        client.request("/echo", method=name.upper(), status=405)
    metrics = metrics_of(client)
    assert metrics["cliquet_requests_total", "GET", "none", "404"] == 2
    assert metrics["cliquet_requests_total", "other", "echo", "405"] == 2
    assert sum(key[0] == "cliquet_requests_total" for key in metrics) == 2


def test_response_of_a_tween_is_counted_without_a_duration(serve):
    client = serve(ON)
    client.registry.settings["eos"] = "2015-01-01"
    client.get("/echo", status=410)
    client.registry.settings["eos"] = None
    metrics = metrics_of(client)
    assert metrics["cliquet_requests_total", "GET", "none", "410"] == 1
    assert ("cliquet_request_duration_seconds_count", "GET", "none", "410") not in metrics


def test_requests_of_a_batch_are_counted_apart(serve, alice):
    client = serve(ON)
    body = {"requests": [{"path": "/mushrooms"}, {"path": "/echo"}, {"path": "/echo"}]}
    client.post_json("/batch", body, headers=alice)
    metrics = metrics_of(client)
    assert metrics["cliquet_requests_total", "POST", "batch", "200"] == 1
    assert metrics["cliquet_subrequests_total", "GET", "echo", "200"] == 2
    assert ("cliquet_requests_total", "GET", "echo", "200") not in metrics


def run_twice(config):
    def view(request):
        if request.environ["retry.attempt"] == 0:
            raise transactions.retryable(BackendError(message="again"))
        return {}

    service = cliquet.Service(name="again", path="/again")
    service.add_view("GET", view, permission=NO_PERMISSION_REQUIRED)
    config.add_cornice_service(service)


def test_request_that_runs_again_is_counted_once(serve):
    client = serve(ON, run_twice)
    client.get("/again")
    metrics = metrics_of(client)
    counted = {key: value for key, value in metrics.items() if key[0] == "cliquet_requests_total"}
    assert counted == {("cliquet_requests_total", "GET", "again", "200"): 1}


def test_calls_of_backends_are_timed_in_addition_to_statsd(serve, alice):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        url = f"udp://127.0.0.1:{listener.getsockname()[1]}"
        client = serve({**ON, "statsd_url": url})
        client.post_json("/mushrooms", {"data": {"name": "a"}}, headers=alice)
        while not listener.recv(1000).startswith(b"testapp.storage.storage.create:"):
            pass
    metrics = metrics_of(client)
    assert metrics["cliquet_backend_call_duration_seconds_count", "storage", "create"] == 1


def test_applications_of_one_process_count_apart(serve):
    one, two = serve(ON), serve(ON)
    one.get("/echo")
    assert ("cliquet_requests_total", "GET", "echo", "200") in metrics_of(one)
    assert ("cliquet_requests_total", "GET", "echo", "200") not in metrics_of(two)


def test_metrics_are_documented(serve):
    families = serve(ON).registry.prometheus.registry.collect()
    documented = ROOT.joinpath("docs", "howto", "monitor.rst").read_text(encoding="utf-8")
    names = {family.name for family in families}
    assert {name for name in names if f"``{name}" not in documented} == set()
    assert len(names) == 5


def test_metrics_are_returned_as_openmetrics_if_accepted(serve):
    client = serve(ON)
    client.get("/echo")
    headers = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    response = client.get("/__metrics__", headers=headers)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    metrics = samples(response.text, parse_openmetrics)
    assert metrics["cliquet_requests_total", "GET", "echo", "200"] == 1


def test_metrics_are_for_no_page_of_another_origin(serve):
    response = serve(ON).get("/__metrics__", headers={"Origin": "http://a.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


def on_postgresql(**settings):
    url = postgresql_server.shared_url()
    kinds = ("storage", "permission", "cache")
    engine = {f"cliquet.{kind}_backend": f"cliquet.{kind}.postgresql" for kind in kinds}
    return {**ON, **engine, **{f"cliquet.{kind}_url": url for kind in kinds}, **settings}


def test_connections_in_use_are_reported(serve, alice):
    def setup(config):
        config.registry.storage.initialize_schema()

    client = serve(on_postgresql(), setup)
    client.get("/mushrooms", headers=alice)
    pool = "cliquet_pool_connections", "postgresql"
    metrics = metrics_of(client)
    assert (metrics[*pool, "in_use"], metrics[*pool, "idle"]) == (0, 1)
    ((_, database),) = state_of(client.registry).shared["postgresql_clients"].items()
    with database.grouped_writes() as run:
        run("SELECT 1")
        metrics = metrics_of(client)
    assert (metrics[*pool, "in_use"], metrics[*pool, "idle"]) == (1, 0)


def test_pool_without_connections_reports_none(serve):
    client = serve(on_postgresql(**{"cliquet.storage_poolclass": "sqlalchemy.pool.NullPool"}))
    assert metrics_of(client)["cliquet_pool_connections", "postgresql", "idle"] == 0


def test_each_worker_process_reports_the_totals_of_all(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with http_servers("postgresql", postgresql_server.shared_url(), **ON) as workers:
        for worker in workers:
            assert requests.get(f"{worker.url}/v1/__lbheartbeat__", timeout=30).ok
            assert requests.get(f"{worker.url}/v1/__heartbeat__", timeout=30).ok
        for worker in workers:
            metrics = samples(requests.get(f"{worker.url}/v1/__metrics__", timeout=30).text)
            assert metrics["cliquet_requests_total", "GET", "lbheartbeat", "200"] == 2
            assert metrics["cliquet_backend_call_duration_seconds_count", "cache", "set"] >= 2
            assert metrics["cliquet_pool_connections", "postgresql", "idle"] >= 2
    # Their counts outlive them, and a new worker reports them too.
    values = metrics_of(serve(ON))
    assert values["cliquet_requests_total", "GET", "lbheartbeat", "200"] == 2


def test_missing_directory_is_reported(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="MULTIPROC_DIR = .*missing': expected a directo"):
        serve(ON)


def test_missing_package_is_reported(serve, monkeypatch):
    monkeypatch.setattr("cliquet.prometheus.prometheus_client", None)
    with pytest.raises(ConfigurationError, match="cliquet.prometheus.*package prometheus-client"):
        serve(ON)
