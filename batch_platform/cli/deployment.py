"""`batch-platform deploy`: the files of `deploy/` that are made of others."""

from pathlib import Path
from typing import Annotated

import typer

from batch_platform.cli.console import out
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import PROJECT_ROOT

app = typer.Typer(help="배포 파일을 만듭니다.", no_args_is_help=True)


@app.command(epilog="예: batch-platform deploy files   |   batch-platform deploy files --check")
def files(
    check: Annotated[
        bool, typer.Option(help="쓰지 않고, 원본과 다르면 종료 코드 2로 끝납니다.")
    ] = False,
) -> None:
    """dagster.yaml과 프록시 틀에서 Docker와 Kubernetes의 설정 파일을 만듭니다."""
    from batch_platform.cli.deployment_files import deployment_files

    stale = [
        file
        for file, text in deployment_files().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    if check and stale:
        raise ConfigurationError(
            f"Not what their sources say: {', '.join(map(_shown, stale))}",
            "Run batch-platform deploy files",
        )
    texts = deployment_files()
    for file in stale:
        file.write_text(texts[file], encoding="utf-8")
        out.print(f"썼습니다: {_shown(file)}", markup=False)
    if not stale:
        out.print("모두 원본과 같습니다.")


@app.command(
    epilog="예: batch-platform deploy proxy --listen 443 > /etc/nginx/conf.d/batch-platform.conf"
)
def proxy(
    listen: Annotated[str, typer.Option(help="프록시가 듣는 주소")] = "127.0.0.1:8080",
    api: Annotated[str, typer.Option(help="API의 주소")] = "127.0.0.1:3001",
    webserver: Annotated[
        str, typer.Option(help="--path-prefix /dagster 로 띄운 웹서버의 주소")
    ] = "127.0.0.1:3000",
    viewer: Annotated[
        str, typer.Option(help="--path-prefix /view --read-only 로 띄운 웹서버의 주소")
    ] = "127.0.0.1:3002",
) -> None:
    """웹서버와 API를 한 주소로 모으는 nginx 설정을 출력합니다."""
    from batch_platform.gateways.reverse_proxy import ProxyAddresses, site_configuration

    addresses = ProxyAddresses(listen, api, webserver, viewer)
    text = site_configuration(
        addresses,
        access_log="/var/log/nginx/batch-platform.log",
        error_log="/var/log/nginx/batch-platform-error.log",
    )
    typer.echo(text, nl=False)


def _shown(file: Path) -> str:
    return str(file.relative_to(PROJECT_ROOT))
