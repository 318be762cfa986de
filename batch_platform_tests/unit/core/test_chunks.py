"""A day that is cut into chunks loses nothing and has nothing twice."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.chunks import Chunk, chunks_of

DAY = date(2026, 11, 21)


@given(st.text(), st.integers(1, 64))
def test_every_item_is_in_one_chunk(item: str, count: int) -> None:
    assert sum(chunk.holds(item) for chunk in chunks_of(DAY, count)) == 1


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(1, 64), st.data())
def test_a_chunk_is_found_again_by_its_key(day: date, count: int, data: st.DataObject) -> None:
    chunk = Chunk(day, data.draw(st.integers(0, count - 1)), count)
    assert Chunk.named(chunk.key) == chunk
    assert chunk.key.replace("_", "").isalnum()


def test_chunks_are_about_equally_large() -> None:
    sizes = [sum(chunk.holds(str(user)) for user in range(2000)) for chunk in chunks_of(DAY, 8)]
    assert max(sizes) < 1.3 * 250
