def raises(request):
    raise OSError("down")


def test_heartbeats_of_the_backends_are_told(serve):
    expected = {"storage": True, "permission": True, "cache": True}
    assert serve().get("/__heartbeat__").json == expected


def test_null_is_fine(serve):
    client = serve()
    client.registry.heartbeats["plugin"] = lambda request: None
    assert client.get("/__heartbeat__").json["plugin"] is None


def test_one_that_is_false_is_503_with_the_time_to_wait(serve):
    client = serve()
    client.registry.heartbeats["plugin"] = lambda request: False
    response = client.get("/__heartbeat__", status=503)
    assert response.json["plugin"] is False
    assert response.headers["Retry-After"] == "30"


def test_one_that_raises_is_false_and_logged(serve, caplog):
    client = serve()
    client.registry.heartbeats["plugin"] = raises
    assert client.get("/__heartbeat__", status=503).json["plugin"] is False
    assert "The heartbeat of plugin failed" in caplog.text


def test_process_is_up_whatever_the_backends_say(serve):
    client = serve()
    client.registry.heartbeats["plugin"] = raises
    assert client.get("/__lbheartbeat__").json == {}
