"""Books have an author that exists, and are read with the author's name."""

import pytest

ID = "4f4ee7a4-7a0a-4f5c-8d4d-0d5dfa5f0a11"


@pytest.fixture
def client(serve):
    return serve("library")


def create(client, path, **data):
    return client.post_json(path, {"data": data}, status=201).json["data"]


@pytest.fixture
def author(client):
    return create(client, "/authors", name="Virginia Woolf")


def test_book_needs_an_author_that_exists(client, author):
    create(client, "/books", title="Orlando", author=author["id"])
    body = {"data": {"title": "Emma", "author": ID}}
    for response in (
        client.post_json("/books", body, status=400),
        client.put_json(f"/books/{ID}", body, status=400),
    ):
        assert response.json["details"][0]["name"] == "data.author"


def test_book_is_read_with_the_name_of_its_author(client, author):
    book = create(client, "/books", title="Orlando", author=author["id"])
    client.patch_json(f"/authors/{author['id']}", {"data": {"name": "V. Woolf"}})
    assert client.get(f"/books/{book['id']}").json["data"]["author_name"] == "V. Woolf"
    assert [each["author_name"] for each in client.get("/books").json["data"]] == ["V. Woolf"]


def test_name_of_the_author_is_not_stored_with_the_book(client, author):
    book = create(client, "/books", title="Orlando", author=author["id"])
    client.patch_json(f"/books/{book['id']}", {"data": {"title": "The Waves"}})
    user = client.get("/").json["user"]["id"]
    stored = client.registry.storage.get("book", user, book["id"])
    assert set(stored) == {"id", "last_modified", "title", "author"}


def test_books_go_with_their_author(client, author):
    other = create(client, "/authors", name="Jane Austen")
    book = create(client, "/books", title="Orlando", author=author["id"])
    emma = create(client, "/books", title="Emma", author=other["id"])
    client.delete(f"/authors/{author['id']}")
    client.get(f"/books/{book['id']}", status=404)
    changes = client.get(f"/books?_since={emma['last_modified']}").json["data"]
    assert [(each["id"], each["deleted"]) for each in changes] == [(book["id"], True)]
    client.delete("/authors")
    assert client.get("/books").json["data"] == []


def test_author_of_a_failed_batch_is_still_there_with_the_books(client, author):
    create(client, "/books", title="Orlando", author=author["id"])
    requests = [
        {"method": "DELETE", "path": f"/authors/{author['id']}"},
        {"method": "GET", "path": "/books"},
    ]
    storage = client.registry.storage
    storage.get_page = None  # the second one fails
    client.post_json("/batch", {"requests": requests}, status=500)
    del storage.get_page
    assert len(client.get("/books").json["data"]) == 1
