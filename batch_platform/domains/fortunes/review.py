"""Looking over what was made for a day: charts, lengths, names. Counts only; nothing is quoted."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import cast

from batch_platform.core.settings import FortunesSettings
from batch_platform.domains.fortunes.logic import NameFinder
from batch_platform.domains.fortunes.pillars import natal_chart
from batch_platform.domains.fortunes.prompts import LENGTHS, texts_of
from batch_platform.domains.fortunes.store import FortuneStore, charted_user
from batch_platform.domains.fortunes.workflow import user_columns
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase


def charts_that_differ(day: date, db: PlatformDb) -> int:
    """Charts of a day's users that are not what computing them again gives."""
    charted = map(charted_user, FortuneStore(db).charted(day))
    return sum(natal_chart(user.birth) != chart for user, chart in charted)


def texts_out_of_length(day: date, db: PlatformDb) -> int:
    """Texts of a day that are longer or shorter than they may be."""
    return sum(
        not LENGTHS[name][0] <= len(text) <= LENGTHS[name][1]
        for texts in _texts(day, db)
        for name, text in texts.items()
    )


def fortunes_with_a_name(
    day: date, db: PlatformDb, source: SourceDatabase, fortunes: FortunesSettings
) -> int:
    """Fortunes of a day in which the full name of a user of the app stands; 0 without names."""
    column = user_columns(source, fortunes).get("name")
    if column is None:
        return 0
    with source.open_table(fortunes.table_users, {"name": column}) as rows:
        names = NameFinder(
            name
            for batch in rows.batches()
            for name in cast(list[str | None], batch.column("name").to_pylist())
            if name
        )
    return sum(names.is_in(" ".join(texts.values())) for texts in _texts(day, db))


def _texts(day: date, db: PlatformDb) -> Iterable[Mapping[str, str]]:
    # What an old system wrote has fewer texts, of other lengths: it was not made by these rules.
    return (
        texts_of(fortune.data)
        for fortune in FortuneStore(db).fortunes(day, imported=False)
        if fortune.data is not None
    )
