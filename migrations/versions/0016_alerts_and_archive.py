"""What the API of alerts and the monthly archive keep."""

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    pass
