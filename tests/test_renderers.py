import pytest

from cliquet.renderers import JSONRenderer


class Own:
    def __json__(self, request):
        return {"own": 1}


class Row:
    def keys(self):
        return ["a"]

    def __getitem__(self, key):
        return 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": "é/"}, '{"a":"é/"}'),
        ({1}, "[1]"),
        (b"\xc3\xa9", '"é"'),
        (Own(), '{"own":1}'),
        (Row(), '{"a":1}'),
        (range(2), "[0,1]"),
    ],
)
def test_values_that_json_does_not_know_are_rendered(value, text):
    assert JSONRenderer(None)(value, {}).decode() == text


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        JSONRenderer(None)(object(), {})


def test_values_are_asked_for_their_json_with_the_request(serve):
    class Method:
        def __json__(self, request):
            return request.method

    def setup(config):
        config.add_route("tell", "/tell")
        config.add_view(lambda request: [Method()], route_name="tell", renderer="json")

    assert serve(setup=setup).get("/tell").json == ["GET"]
