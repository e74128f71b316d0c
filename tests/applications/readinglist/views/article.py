"""Articles: their schema, the computed fields and the rules of reading."""

import math

import colander
from colander import SchemaNode, String

from cliquet import resource
from cliquet.errors import raise_invalid
from cliquet.resource import Filter
from cliquet.resource.schema import URL, ResourceSchema, TimeStamp
from cliquet.utils import COMPARISON, strip_whitespace

TITLE_MAX_LENGTH = 1024
READING_FIELDS = ("read_on", "read_by")


class DeviceName(SchemaNode):
    """Name of a device, without white space around it."""

    schema_type = String
    validator = colander.Length(min=1)

    def preparer(self, appstruct):
        return strip_whitespace(appstruct)


class ArticleTitle(SchemaNode):
    """Title of an article, cut when it is too long."""

    schema_type = String
    validator = colander.Length(min=1)

    def preparer(self, appstruct):
        if appstruct:
            appstruct = strip_whitespace(appstruct)[:TITLE_MAX_LENGTH]
        return appstruct


class ArticleSchema(ResourceSchema):
    # The saved page.
    url = URL()
    title = ArticleTitle()
    added_by = DeviceName()
    added_on = TimeStamp()
    stored_on = TimeStamp()

    # The content found at the URL.
    resolved_url = URL(missing=None)
    resolved_title = ArticleTitle(missing=None)
    excerpt = SchemaNode(String(), missing="")
    language = SchemaNode(String(), missing=colander.drop)
    word_count = SchemaNode(colander.Integer(), validator=colander.Range(min=0), missing=None)
    minutes = SchemaNode(colander.Integer(), missing=None)

    # The state set by the user.
    favorite = SchemaNode(colander.Boolean(), missing=False)
    archived = SchemaNode(colander.Boolean(), missing=False)
    unread = SchemaNode(colander.Boolean(), missing=True)
    read_on = TimeStamp(auto_now=False, missing=None)
    read_by = DeviceName(missing=None)
    read_position = SchemaNode(colander.Integer(), validator=colander.Range(min=0), missing=0)

    class Options(ResourceSchema.Options):
        readonly_fields = (*ResourceSchema.Options.readonly_fields, "url", "stored_on", "minutes")
        unique_fields = ("url", "resolved_url")


@resource.register()
class Article(resource.UserResource):
    mapping = ArticleSchema()

    def collection_get(self):
        """List the articles; a header gives the number of those that are unread."""
        result = super().collection_get()
        unread = Filter("unread", True, COMPARISON.EQ)
        _, total = self.model.get_records(filters=[unread])
        self.request.response.headers["Total-Unread"] = str(total)
        return result

    def process_record(self, new, old=None):
        new = super().process_record(new, old)

        if old:
            # Replacing an article doesn't store it anew.
            new["stored_on"] = old["stored_on"]

        if new["resolved_title"] is None:
            new["resolved_title"] = new["title"]
        if new["resolved_url"] is None:
            new["resolved_url"] = new["url"]

        self.compute_minutes(new)
        if new["unread"]:
            new.update(dict.fromkeys(READING_FIELDS), read_position=0)
        else:
            self.mark_as_read(new, old)
        return new

    def compute_minutes(self, record):
        settings = self.request.registry.settings
        words = record["word_count"]
        per_minute = settings["words_per_minute"]
        record["minutes"] = None if words is None else math.ceil(words / per_minute)

    def mark_as_read(self, new, old):
        """Require the name of the device, and set the time."""
        if not new["read_by"]:
            raise_invalid(self.request, name="read_by", description="read_by is required")
        was_read = old and not old["unread"]
        if was_read:
            new["read_on"] = old["read_on"]
            # Devices report their positions late: the furthest one counts.
            new["read_position"] = max(new["read_position"], old["read_position"])
        elif new["read_on"] is None:
            new["read_on"] = TimeStamp().deserialize()
