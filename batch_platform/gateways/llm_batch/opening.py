"""Which providers have a batch endpoint. Their packages are imported when one is opened."""

from batch_platform.core.errors import ConfigurationError
from batch_platform.gateways.llm.providers import Provider
from batch_platform.gateways.llm_batch.client import BatchClient


def open_batch_client(provider: Provider, *, is_made_up: bool) -> BatchClient:
    """Open the batch endpoint of a provider.

    Args:
        provider: From `llm.providers.choose_provider`.
        is_made_up: Whether answers of the sandbox are welcome.

    Raises:
        ConfigurationError: The provider has no batch endpoint.
    """
    match provider.name:
        case "openai" | "compatible":
            from batch_platform.gateways.llm_batch.openai_batches import OpenAIBatches

            return OpenAIBatches(provider, is_made_up=is_made_up)
        case "gemini":
            from batch_platform.gateways.llm_batch.gemini_batches import GeminiBatches

            return GeminiBatches(provider, is_made_up=is_made_up)
        case _:
            raise ConfigurationError(
                f"{provider.name} has no batch endpoint",
                "Choose openai or gemini for batches",
            )
