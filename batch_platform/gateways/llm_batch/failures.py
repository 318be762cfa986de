"""What a failed exchange with a provider's batch endpoint means, as an error of the platform."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime

import httpx2
import openai

from batch_platform.core.errors import (
    ConfigurationError,
    NotFoundError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.gateways.llm.failures import Kind, failure_of
from batch_platform.gateways.llm.providers import Provider

_NOT_FOUND = 404
_MADE_UP_HEADER = "x-sandbox"


class LostAnswerError(RetryableError):
    """The request may have arrived and been carried out, but no answer to it came."""


class Refusals:
    """Turns what goes wrong with one provider into errors that say what to do.

    Args:
        provider: Who is asked.
        is_made_up: Whether answers of the sandbox are welcome.
        now: Clock, for delays that are dates.
    """

    def __init__(
        self, provider: Provider, *, is_made_up: bool, now: Callable[[], datetime]
    ) -> None:
        self._provider = provider
        self._is_made_up = is_made_up
        self._now = now

    @contextmanager
    def told(self, doing: str, missing: str = "") -> Generator[None]:
        """Tell what an exchange died of.

        Args:
            doing: What was tried, for the error: "create a job".
            missing: What a 404 means, when it is not that address or model are wrong.

        Raises:
            NotFoundError: A 404, and `missing` says what is not there.
            ConfigurationError: Key, address or model is refused.
            PermanentError: The same request would be refused again.
            LostAnswerError: It may have been carried out.
            RetryableError: It was not carried out, and may succeed later.
        """
        try:
            yield
        except openai.APIStatusError as error:
            raise self.refusal(error.response, doing, missing) from None
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            raise self._broken(error, doing) from None

    def refusal(self, response: httpx2.Response, doing: str, missing: str = "") -> PlatformError:
        """The error of a response that is none; its body must have been read."""
        if missing and response.status_code == _NOT_FOUND:
            return NotFoundError(missing)
        failure = failure_of(
            response.status_code,
            response.headers,
            response.content,
            self._provider.key_variable,
            self._now(),
        )
        if failure.fatal is not None:
            return failure.fatal
        problem = f"{self._provider.name} could not {doing}: {failure.reason}"
        if failure.kind is Kind.BAD_REQUEST:
            return PermanentError(problem)
        if failure.kind is Kind.REFUSED:
            return RetryableError(problem, "Try again later", failure.delay_seconds)
        return LostAnswerError(problem, "Try again later", failure.delay_seconds)

    def check_real(self, headers: Mapping[str, str]) -> None:
        """Refuse what the sandbox says where only the provider may speak.

        Raises:
            ConfigurationError: It is the sandbox.
        """
        if not self._is_made_up and _MADE_UP_HEADER in headers:
            raise ConfigurationError(
                f"What answers at {self._provider.base_url} is the sandbox: its answers are made"
                " up",
                "Set the real provider's address, or use the demo's profile",
            )

    def _broken(self, error: Exception, doing: str) -> RetryableError:
        name = self._provider.name
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        if any(isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout) for cause in causes):
            return RetryableError(
                f"{name} cannot be reached to {doing}", "Check its address and the network"
            )
        if any(
            isinstance(cause, openai.APITimeoutError | httpx2.TimeoutException) for cause in causes
        ):
            return LostAnswerError(f"{name} did not answer in time when asked to {doing}")
        return LostAnswerError(f"The connection to {name} broke when asked to {doing}")
