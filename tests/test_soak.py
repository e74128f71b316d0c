"""The long load: its periods, its growth and its chart."""

import threading
from collections import Counter
from xml.etree import ElementTree

from benchmarks import load, soak


def period(number, memory=80.0, failed=(), killed=False):
    return soak.Period(number * 5.0, 200.0, 8.0, 90.0, memory, Counter(failed), killed)


def test_server_survives_the_restart_of_the_database(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(soak, "PERIODS", 4)
    monkeypatch.setattr(soak, "_KILLED_EVERY", 2)
    monkeypatch.setattr(soak, "_DOWN", 0.1)
    svg = tmp_path / "soak.svg"
    options = ["--seconds", "1", "--clients", "1", "--streams", "2", "--svg", str(svg)]
    threads = set(threading.enumerate())
    assert soak.main(options) == 0
    assert set(threading.enumerate()) <= threads
    rows = capsys.readouterr().out.splitlines()
    assert [("killed" in row, "× 503" in row) for row in rows[1:5]] == [
        *[(False, False), (True, True)] * 2
    ]
    assert rows[-1] == "2 streams, 0 copies that miss changes"
    assert svg.exists()


def test_growth_is_of_the_medians_of_two_quarters():
    memory = [50, 60, 80, 80, 81, 81, 95, 84]
    assert soak.growth([period(number, value) for number, value in enumerate(memory)]) == 15


def test_row_shows_the_failures():
    shown = soak.row(period(1, failed=[503, 500, 503], killed=True))
    assert shown.endswith("80.0   database killed 1 × 500, 2 × 503")


def test_chart_has_a_curve_for_each_measure():
    drawn = ElementTree.fromstring(soak.picture([period(1), period(2, killed=True)]))
    assert len(drawn.findall("{*}polyline")) == 3
    assert len(drawn.findall("{*}path[@stroke-dasharray]")) == 3


def test_failures_are_the_unexpected_statuses_of_each_operation():
    samples = [("get", 200), ("get", 404), ("poll", 304), ("invalid", 400), ("invalid", 201)]
    assert load.failures([(name, status, 0.1) for name, status in samples]) == {404: 1, 201: 1}
