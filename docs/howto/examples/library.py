"""Books and authors: a book requires an existing author, and is deleted with its author."""

import colander

from cliquet import resource
from cliquet.errors import raise_invalid
from cliquet.storage import Filter
from cliquet.storage.exceptions import RecordNotFoundError
from cliquet.utils import COMPARISON


class AuthorModel(resource.Model):
    def delete_record(self, record, parent_id=None, last_modified=None):
        deleted = super().delete_record(record, parent_id, last_modified)
        self._delete_books([deleted], parent_id)
        return deleted

    def delete_records(self, filters=None, parent_id=None):
        deleted = super().delete_records(filters, parent_id)
        self._delete_books(deleted, parent_id)
        return deleted

    def _delete_books(self, authors, parent_id):
        by_author = Filter("author", [author["id"] for author in authors], COMPARISON.IN)
        self.storage.delete_all("book", parent_id or self.parent_id, filters=[by_author])


class BookModel(resource.Model):
    """Add the name of the author to each book that is read."""

    def get_record(self, record_id, parent_id=None):
        record = super().get_record(record_id, parent_id)
        return self._with_names([record], parent_id)[0]

    def get_records(self, *args, parent_id=None, **kwargs):
        records, total = super().get_records(*args, parent_id=parent_id, **kwargs)
        return self._with_names(records, parent_id), total

    def _with_names(self, books, parent_id):
        ids = list({book["author"] for book in books if "author" in book})
        authors, _ = self.storage.get_all(
            "author", parent_id or self.parent_id, filters=[Filter("id", ids, COMPARISON.IN)]
        )
        names = {author["id"]: author["name"] for author in authors}
        # Tombstones don't have an author.
        return [
            {**book, "author_name": names.get(book["author"])} if "author" in book else book
            for book in books
        ]


class AuthorSchema(resource.ResourceSchema):
    name = colander.SchemaNode(colander.String())


class BookSchema(resource.ResourceSchema):
    title = colander.SchemaNode(colander.String())
    author = colander.SchemaNode(colander.String())


@resource.register()
class Author(resource.UserResource):
    mapping = AuthorSchema()
    default_model = AuthorModel


@resource.register()
class Book(resource.UserResource):
    mapping = BookSchema()
    default_model = BookModel

    def process_record(self, new, old=None):
        new = super().process_record(new, old)
        try:
            # Lock the author, so that no other request deletes it before the commit.
            self.model.storage.get_for_update("author", self.model.parent_id, new["author"])
        except RecordNotFoundError:
            raise_invalid(
                self.request, name="data.author", description="This author does not exist"
            )
        return new


def includeme(config):
    config.scan(__name__)
