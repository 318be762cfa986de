"""Settings for tests that hand them in: as if only the named variables were set."""

from batch_platform.core.settings import Profile, Section, Settings


def settings_of(profile: Profile = Profile.LIVE, **variables: object) -> Settings:
    """Read the settings from these variables alone.

    Args:
        profile: `DEMO` for a platform whose sources and services are the sandbox's.
        variables: Their names as in the environment.
    """
    sections = {
        name: field.annotation(_env_file=None, **variables)  # type: ignore[misc]
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }
    return Settings.model_validate({"profile": profile, **sections})
