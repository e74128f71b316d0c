"""Settings that limit the size of pages, batches, bodies and queries."""

from __future__ import annotations

from cliquet.settings.types import DIGITS, LIMIT, NESTING, POSITIVE, TIME_LIMIT, Setting

PAGES = (
    Setting(
        "paginate_by",
        None,
        LIMIT,
        "Default and maximum number of records in a page; empty or 0: no limit.",
        example="100",
    ),
    Setting(
        "storage_max_fetch_size",
        10000,
        POSITIVE,
        "Maximum number of records that one query returns.",
        example="1000",
    ),
    Setting(
        "batch_max_requests",
        25,
        LIMIT,
        "Maximum number of requests in a batch; empty or 0: no limit.",
        example="50",
    ),
)

LIMITS = (
    Setting(
        "max_body_bytes",
        1_000_000,
        LIMIT,
        "Maximum size of a JSON body, and of all bodies in a batch, in bytes; empty: no limit.",
        example="100000",
    ),
    Setting(
        "max_record_bytes",
        262_144,
        LIMIT,
        "Maximum size of a record, in bytes of JSON; empty: no limit.",
        example="10000",
    ),
    Setting(
        "max_values",
        50_000,
        LIMIT,
        "Maximum number of values in a JSON body or a record, including arrays and objects; "
        "empty: no limit.",
        example="1000",
    ),
    Setting(
        "max_nesting",
        100,
        NESTING,
        "Maximum nesting depth of arrays and objects in a record, at most 500.",
        example="10",
    ),
    Setting(
        "max_digits",
        1_000,
        DIGITS,
        "Maximum digits of an integer in a body, at most 4300.",
        example="20",
    ),
    Setting("max_filters", 20, LIMIT, "Maximum number of filters; empty: no limit.", example="5"),
    Setting(
        "max_filter_values",
        1_000,
        LIMIT,
        "Maximum number of values in the filters ``in_`` and ``exclude_``; empty: no limit.",
        example="100",
    ),
    Setting(
        "max_sort_fields",
        5,
        LIMIT,
        "Maximum number of fields in ``_sort``; empty: no limit.",
        example="2",
    ),
    Setting(
        "max_selected_fields",
        100,
        LIMIT,
        "Maximum number of fields in ``_fields``; empty: no limit.",
        example="20",
    ),
    Setting(
        "max_page_bytes",
        10_000_000,
        LIMIT,
        "Bytes of JSON after which a page ends early, with a ``Next-Page``; empty: no limit.",
        example="1000000",
    ),
    Setting(
        "batch_max_bytes",
        20_000_000,
        LIMIT,
        "Total size of responses, in bytes, after which a batch rejects its remaining requests; "
        "empty: no limit.",
        example="2000000",
    ),
    Setting(
        "batch_timeout_seconds",
        10,
        TIME_LIMIT,
        "Seconds after which a batch rejects its remaining requests; empty: no limit.",
        example="5",
    ),
)

#: The groups, by their titles.
GROUPS = {"Lists and batches": PAGES, "Limits": LIMITS}
