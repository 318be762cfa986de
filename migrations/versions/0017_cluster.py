"""What several machines need to know of each other."""

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    pass
