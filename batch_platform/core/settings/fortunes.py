"""The fortunes app: its database, and what its old `.env` holds."""

from pydantic import SecretStr

from batch_platform.core.settings.section import Section, variable


class FortunesSettings(Section):
    """The fortunes app: its database and what its old `.env` holds."""

    database_url: SecretStr | None = variable("DATABASE_URL", None, "The app's own database")
    secret_key: SecretStr | None = variable("SECRET_KEY", None, "Key of the old Django service")
    use_s3: bool = variable("USE_S3", False, "Whether files are in S3")
    aws_access_key_id: SecretStr | None = variable("AWS_ACCESS_KEY_ID", None, "S3 key's id")
    aws_secret_access_key: SecretStr | None = variable("AWS_SECRET_ACCESS_KEY", None, "S3 key")
