"""Counters of article events."""

from pyramid.events import subscriber

from cliquet.events import AfterResourceChanged, AfterResourceRead
from cliquet.statsd import statsd_count


@subscriber(AfterResourceRead, for_resources=("article",))
@subscriber(AfterResourceChanged, for_resources=("article",))
def on_articles_used(event):
    statsd_count(event.request, "articles.{action}".format(**event.payload))
