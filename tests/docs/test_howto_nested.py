"""Notes in folders of users."""

import pytest

ID = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a11"


@pytest.fixture
def client(serve):
    return serve("folders")


def create(client, path, name="Name"):
    record = client.post_json(path, {"data": {"name": name}}, status=201).json["data"]
    return f"{path}/{record['id']}"


def test_notes_are_in_their_folder_alone(client):
    work, home = create(client, "/folders"), create(client, "/folders")
    note = create(client, f"{work}/notes")
    client.get(note)
    assert client.get(f"{home}/notes").json["data"] == []
    client.get(note.replace(work, home), status=404)


def test_notes_require_a_folder(client):
    client.get(f"/folders/{ID}/notes", status=404)
    body = {"data": {"name": "Name"}}
    client.post_json(f"/folders/{ID}/notes", body, status=404)
    client.put_json(f"/folders/{ID}/notes/{ID}", body, status=404)


def test_folder_of_another_user_is_not_found(client, become):
    folder = create(client, "/folders")
    become(client, "bob")
    client.get(f"{folder}/notes", status=404)


def test_notes_go_with_their_folder(client):
    folder = create(client, "/folders")
    create(client, f"{folder}/notes")
    client.delete(folder)
    client.get(f"{folder}/notes", status=404)
    client.put_json(folder, {"data": {"name": "Again"}})
    assert client.get(f"{folder}/notes").json["data"] == []


def test_notes_go_with_all_folders(client):
    folders = [create(client, "/folders") for _ in range(2)]
    for folder in folders:
        create(client, f"{folder}/notes")
    client.delete("/folders")
    for folder in folders:
        client.put_json(folder, {"data": {"name": "Again"}})
        assert client.get(f"{folder}/notes").json["data"] == []
