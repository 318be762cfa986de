"""The chats domain's rules. Pure: values in, values out; no SQL, no Dagster, no model."""

import re
from collections import Counter
from collections.abc import Sequence

from batch_platform.core.errors import ConfigurationError
from batch_platform.domains.chats.models import Category

MAX_TEXT_FOR_MODEL = 3_000
"""Characters of a question that the model reads; what a question is about stands at its ends."""

_KEPT_AT_END = 600

INVISIBLE = r"\t-\r \u0085\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
"""Unicode's white space and what machines type without anybody seeing it.

As in the brackets of a regular expression, of Python's and of PostgreSQL's alike.
"""

_VISIBLE = re.compile(f"[^{INVISIBLE}]")


def usable_categories(
    categories: Sequence[Category], *, default_id: int, excluded_ids: Sequence[int], table: str
) -> tuple[Category, ...]:
    """The categories a model may choose from, in id order, the default one among them.

    Args:
        categories: All rows of the source's category table.
        default_id: The category of what fits none.
        excluded_ids: Categories that are never offered.
        table: The table's name, for messages.

    Raises:
        ConfigurationError: The table is empty, lacks the default, or names a category twice.
    """
    if not categories:
        raise ConfigurationError(
            f"The category table {table} is empty, so nothing can be classified",
            "Fill it, or name another one in DB_TABLE_CATEGORIES",
        )
    offered = sorted(
        (category for category in categories if category.category_id not in excluded_ids),
        key=lambda category: category.category_id,
    )
    if default_id not in {category.category_id for category in offered}:
        raise ConfigurationError(
            f"The default category {default_id} is not among those of {table}",
            "Set BATCH_DEFAULT_CATEGORY_ID to one of its ids",
        )
    repeated = [
        name for name, count in Counter(category.name for category in offered).items() if count > 1
    ]
    if repeated:
        raise ConfigurationError(
            f"{table} has several categories named {repeated[0]!r}",
            "Rename them, or leave one out with BATCH_EXCLUDE_CATEGORY_IDS",
        )
    return tuple(offered)


def is_blank(text: str) -> bool:
    """Tell whether a text is no question: white space, or what machines type without a trace."""
    return _VISIBLE.search(text) is None


def final_category(chosen: Sequence[Category], default: Category) -> Category:
    """The category of a question: the most frequent one of its keywords that is not the default.

    Among equally frequent ones the first chosen wins, as models name the weightiest keyword first.

    Args:
        chosen: Categories of all the question's keywords, in the answer's order.
        default: What a question gets whose keywords fit no category.
    """
    counts = Counter(category for category in chosen if category != default)
    return counts.most_common(1)[0][0] if counts else default


def text_for_model(text: str) -> str:
    """A question as the model gets it: as it is, or its beginning and end when it is very long."""
    if len(text) <= MAX_TEXT_FOR_MODEL:
        return text
    mark = " …(중략)… "
    beginning = MAX_TEXT_FOR_MODEL - _KEPT_AT_END - len(mark)
    return text[:beginning] + mark + text[-_KEPT_AT_END:]


def too_many_quarantined(quarantined: int, total: int, allowed_share: float) -> bool:
    """Tell whether a day has failed. One question may always be set aside."""
    return quarantined > max(1, int(total * allowed_share))
