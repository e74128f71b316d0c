def test_public_settings_keep_their_given_names_and_are_sorted(serve):
    client = serve({"testapp.paginate_by": "5", "cliquet.colour": "red"})
    client.registry.public_settings |= {
        "cliquet.paginate_by",
        "testapp.colour",
        "unknown",
        "batch_max_requests",
    }
    assert list(client.get("/").json["settings"].items()) == [
        ("batch_max_requests", 25),
        ("cliquet.paginate_by", 5),
        ("readonly", False),
        ("testapp.colour", "red"),
        ("unknown", None),
    ]


def test_user_and_end_of_service_are_returned_if_any(serve, alice):
    hello = serve({"eos": "2069-01-01"}).get("/", headers=alice).json
    assert hello["eos"] == "2069-01-01"
    assert hello["user"]["id"].startswith("basicauth:")
    assert not {"eos", "user"} & set(serve().get("/").json)


def test_application_can_add_to_the_user(serve, alice):
    def setup(config):
        config.add_request_method(lambda request: {"id": "x", "name": "Al"}, "get_user_info")

    assert serve(setup=setup).get("/", headers=alice).json["user"] == {"id": "x", "name": "Al"}
