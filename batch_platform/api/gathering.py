"""Questions that come together are put to the database together.

Two hundred requests in flight cost a few statements, not two hundred; one that comes alone does not
wait for others.
"""

import asyncio
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
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._statements: set[asyncio.Task[None]] = set()

    async def get(self, key: Key) -> Value | None:
        """The key's value; None when there is none.

        Raises:
            PlatformError: As `find`.
        """
        future = self._waiting.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
            if len(self._statements) < _MOST_STATEMENTS:
                task = asyncio.create_task(self._ask())
                self._statements.add(task)
                task.add_done_callback(self._statements.discard)
        # Somebody who goes away must not take the answer from the others.
        return await asyncio.shield(future)

    async def _ask(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:_MOST_AT_ONCE]
            futures = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._find(keys)
            except Exception as error:  # noqa: BLE001 - handed to every one who waits
                for future in futures.values():
                    future.set_exception(error)
            else:
                for key, future in futures.items():
                    future.set_result(found.get(key))
