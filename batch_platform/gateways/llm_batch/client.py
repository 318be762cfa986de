"""What every provider's batch endpoint can do for us.

Retries: nothing here is sent twice but the pieces of an upload or a download, which continue
where they broke (`transfers`). All else raises a `RetryableError` that the step or the next tick
of the sensor answers by asking again; a job's creation is looked up first, always.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from batch_platform.gateways.llm_batch.models import BatchJob, BatchLimits, BatchLine, BatchRequest


class BatchClient(Protocol):
    """A provider's batch endpoint. Blocking; for one thread.

    Every method that asks the provider raises:
        ConfigurationError: The key, the address or the model is refused.
        PermanentError: The same request would fail again; a quota or the credit is used up.
        RetryableError: The provider cannot be reached or fails for now.
    """

    @property
    def provider(self) -> str:
        """The provider's name, as in `LLM_PROVIDER`."""
        ...

    @property
    def model(self) -> str:
        """The model that answers."""
        ...

    @property
    def limits(self) -> BatchLimits:
        """What the provider takes in one file."""
        ...

    def line(self, request: BatchRequest) -> bytes:
        """A request as one line of the provider's JSONL, with its line break. Asks nobody."""
        ...

    def upload(self, file: Path, run_key: str) -> str:
        """Bring a file to the provider, or find that it is there already.

        A broken upload goes on where it broke; so does one of a process that was killed, as long
        as the file's folder is the same.

        Returns:
            The provider's name of the file.
        """
        ...

    def find(self, run_key: str) -> BatchJob | None:
        """Look for our job among all that the provider lists.

        When a provider holds several of one key, the one that was made first.
        """
        ...

    def create(self, file_ref: str, run_key: str) -> BatchJob:
        """Create the job, unless the provider already has one of this key.

        Sent once. When the answer is lost the job is looked for.

        Raises:
            RetryableError: It cannot be told whether there is a job now; `find` will tell later.
        """
        ...

    def job(self, name: str) -> BatchJob:
        """Ask how a job is.

        Raises:
            NotFoundError: The provider has no such job.
            PermanentError: Its state is one that nobody here knows.
        """
        ...

    def cancel(self, name: str) -> BatchJob:
        """Ask the provider to end a job; one that has ended is left as it is."""
        ...

    def results(self, job: BatchJob, folder: Path) -> Iterator[BatchLine]:
        """Bring the job's files into a folder and read them, a line at a time, in no order.

        A file that is there whole is not fetched again; one that broke goes on where it broke.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
