"""Where the platform's own API listens."""

from batch_platform.core.settings.section import Section, variable


class ApiSettings(Section):
    """The API that `up` serves beside the webserver."""

    host: str = variable("BATCH_PLATFORM_API_HOST", "127.0.0.1", "Address that it listens on")
    port: int = variable("BATCH_PLATFORM_API_PORT", 3001, "Its port", ge=1, le=65535)
