"""Questions that come together are put to the database together.

Two hundred requests in flight cost a few statements, not two hundred; one that comes alone does not
wait for others.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MOST_AT_ONCE = 64
_MOST_STATEMENTS = 2


class Gathered(Generic[Key, Value]):
    """Answers questions by asking for all that wait at once.

    Args:
        find: Looks up many keys; what it does not return is not there.
    """

    def __init__(self, find: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        self._find = find
        self._waiting: deque[tuple[Key, asyncio.Future[Value | None]]] = deque()
        self._statements: set[asyncio.Task[None]] = set()

    async def get(self, key: Key) -> Value | None:
        """The key's value; None when there is none.

        Raises:
            PlatformError: As `find`.
        """
        future: asyncio.Future[Value | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if len(self._statements) < _MOST_STATEMENTS:
            task = asyncio.create_task(self._ask())
            self._statements.add(task)
            task.add_done_callback(self._statements.discard)
        return await future

    async def _ask(self) -> None:
        while self._waiting:
            count = min(_MOST_AT_ONCE, len(self._waiting))
            asked = [self._waiting.popleft() for _ in range(count)]
            try:
                found = await self._find(list(dict.fromkeys(key for key, _ in asked)))
            except Exception as error:  # noqa: BLE001 - handed to every one who waits
                for _, future in asked:
                    if not future.done():
                        future.set_exception(error)
            else:
                for key, future in asked:
                    # Whoever went away meanwhile has cancelled theirs.
                    if not future.done():
                        future.set_result(found.get(key))
