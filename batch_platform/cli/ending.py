"""What `batch-platform down` does.

Reads no setting but the home: it must work while others are broken.
"""

from pathlib import Path

from batch_platform.cli.console import out
from batch_platform.cli.up_claim import end_up
from batch_platform.gateways.embedded_postgres import server_folder
from batch_platform.gateways.leased_process import stop
from batch_platform.gateways.platform_services import sandbox_folder


def end_everything(home: Path) -> None:
    """End what runs in the background, whoever uses it, and say what there was."""
    ended = {
        "웹서버, 데몬, API": end_up(home),
        "샌드박스": stop(sandbox_folder(home)),
        "내장 PostgreSQL": stop(server_folder(home)),
    }
    for what, was_running in ended.items():
        out.print(f"{what}: {'끝냈습니다' if was_running else '실행 중이 아니었습니다'}")
