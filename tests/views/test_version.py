import pytest
from pyramid.exceptions import ConfigurationError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "version.json"


def test_file_is_returned_without_authentication(serve, path):
    path.write_text('{"version": "1.2.3", "commit": "f00ba2", "build": 98765432109876543210}')
    response = serve({"cliquet.version_json_path": str(path)}).get("/__version__")
    assert response.content_type == "application/json"
    expected = {"version": "1.2.3", "commit": "f00ba2", "build": 98765432109876543210}
    assert response.json == expected


def test_returned_version_is_that_of_the_process(serve, path):
    path.write_text('{"version": "1"}')
    client = serve({"cliquet.version_json_path": str(path)})
    path.write_text('{"version": "2"}')
    assert client.get("/__version__").json == {"version": "1"}


@pytest.mark.parametrize("settings", [{}, {"cliquet.version_json_path": ""}])
def test_url_does_not_exist_without_a_file(serve, settings):
    assert serve(settings).get("/__version__", status=404).json["errno"] == 111


@pytest.mark.parametrize("content", [None, "", "{version: 1}", "[1]", "\xff"])
def test_missing_file_or_invalid_content_is_reported_at_start_up(serve, path, content):
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError) as raised:
        serve({"cliquet.version_json_path": str(path)})
    expected = f"version_json_path = {str(path)!r} (from the configuration): expected a file"
    assert expected in str(raised.value)


def test_two_applications_in_a_process_return_their_own_version(serve, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).write_text(f'{{"version": "{name}"}}')
    one, other = (
        serve({"cliquet.version_json_path": str(tmp_path / name)}) for name in ("one", "other")
    )
    assert one.get("/__version__").json == {"version": "one"}
    assert other.get("/__version__").json == {"version": "other"}
