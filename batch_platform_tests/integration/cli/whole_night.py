"""A night that goes wrong in many ways, and then well, with a canary in every secret setting.

What it leaves anywhere is read into texts: files, both databases, mails, chats, requests to the
model, output of commands, and every answer of the API.
"""

import io
import logging
import os
import re
import shlex
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
import typer
from aiohttp import web
from psycopg import sql
from pydantic import SecretStr

from batch_platform.build import build_definitions
from batch_platform.cli.main import app
from batch_platform.cli.runs import dagster_home
from batch_platform.core.redaction import redactor
from batch_platform.core.settings import ENV_FILE_VARIABLE, Settings, load_settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.incidents.sensors import failed_run_sensor
from batch_platform.orchestration.run_process import NOT_AGAIN
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform.sandbox.loopback import loopback_socket, serving_in_a_thread
from batch_platform_tests.integration.cli.conftest import DAY, Installation
from batch_platform_tests.recording_model import recording_model
from batch_platform_tests.running_api import running_api
from batch_platform_tests.signed_in import signed_in

CANARY = "canary-9d41"
PHONE = "010-4815-7263"
EMAIL = "minji.canary@school.example"
RESIDENT_NUMBER = "061224-4815726"
QUESTION = f"전학 서류를 {PHONE} {EMAIL} {RESIDENT_NUMBER} 앞으로 보내 주실 수 있나요?"

_NOBODY = "127.0.0.1:1"
"""An address at which nothing listens: errors quote what they could not reach."""

URLS_THAT_ARE_SECRET = {
    "ENGINE_FOR_SQLALCHEMY": "mysql+pymysql",
    "PLATFORM_DATABASE_URL": "postgresql",
    "DATABASE_URL": "postgresql",
    "INTERVENTIONS_DATABASE_URL": "postgresql",
    "EMOTIONS_SOURCE": "postgresql",
    "BACKUP_DATABASE_URLS": "postgresql",
    "BACKUP_SCRATCH_URL": "postgresql",
    "CELERY_BROKER_URL": "redis",
    "CELERY_RESULT_BACKEND": "redis",
    "WEBHOOK_URL": "http",
    "DISCORD_WEBHOOK_URL": "http",
}
"""Secret settings that are addresses, with what such an address begins with."""

SHOWN_TO_PEOPLE = {"DAGSTER_WEBSERVER_URL", "BATCH_PLATFORM_API_URL", "RUNBOOKS_URL"}
"""Addresses that stand in mails as links: who puts a password there publishes it."""

FAILING = {
    "backups_database_job": datetime.now(UTC).date(),
    "chats_night_job": DAY,
    "emotions_posts_job": DAY,
    "fortunes_night_job": DAY,
    "interventions_job": DAY,
    "stocks_night_job": DAY,
    "stocks_financials_job": DAY.replace(month=4, day=1),
}
"""Job → partition, of every domain, while nothing that they read from can be reached."""

COMMANDS = ("status", "retention run --dry-run", "config show", "alerts list", "quarantine list")


@dataclass(frozen=True)
class Night:
    """What a night left: where it was found → text.

    Attributes:
        found: Files of the platform's folder and tables of its databases.
        answers: Of the API and its pages.
        sent: Mails, and messages in chats.
        asked: Requests to the model.
        printed: By commands, and in the support bundle.
        failed: Jobs that failed.
    """

    found: Mapping[str, str]
    answers: Mapping[str, str]
    sent: Mapping[str, str]
    asked: str
    printed: Mapping[str, str]
    failed: Sequence[str]

    @property
    def everything(self) -> Mapping[str, str]:
        """All of it but what the model was asked, which may hold its own key."""
        return {**self.found, **self.answers, **self.sent, **self.printed}


def canaries() -> dict[str, str]:
    """A canary for every secret setting and for every address that could hold a password."""
    found: dict[str, str] = {}
    settings = load_settings()
    for section, variable, attribute, *_ in settings.variables():
        field = type(getattr(settings, section)).model_fields[attribute]
        kinds = {field.annotation, *getattr(field.annotation, "__args__", ())}
        is_address = str in kinds and variable.endswith("_URL") and variable not in SHOWN_TO_PEOPLE
        canary = f"{CANARY}-{variable.lower().replace('_', '-')}"
        if variable in URLS_THAT_ARE_SECRET:
            scheme = URLS_THAT_ARE_SECRET[variable]
            # A webhook's path is as good as a password.
            path = canary if scheme == "http" else "none"
            found[variable] = f"{scheme}://user:{canary}@{_NOBODY}/services/{path}"
        elif is_address:
            found[variable] = f"http://user:{canary}@{_NOBODY}/none/"
        elif SecretStr in kinds:
            found[variable] = canary
    return found


@contextmanager
def whole_night(installation: Installation) -> Iterator[Night]:
    """Make it; what is in the way of a good night is taken out of the way before it."""
    installation.in_source(
        "INSERT INTO chattings SELECT max(chatting_pk) + 1, ?, ? FROM chattings",
        QUESTION,
        f"{DAY} 12:00:00.000000",
    )
    told: list[str] = []
    right_key = canaries()["LLM_API_KEY"]
    with (
        recording_model(passes_for_real=True, api_key=right_key) as model,
        chat_that_hears(told) as chat,
        pytest.MonkeyPatch.context() as patch,
    ):
        given = installation.variables
        broken = replace(
            installation,
            variables={
                **given,
                **canaries(),
                "PLATFORM_DATABASE_URL": as_a_canary(given["PLATFORM_DATABASE_URL"]),
                "EMOTIONS_PROVIDER": "openai",
            },
        )
        healthy = replace(
            broken,
            variables={
                **broken.variables,
                "ENGINE_FOR_SQLALCHEMY": given["ENGINE_FOR_SQLALCHEMY"],
                "LLM_BASE_URL": model.server.url,
                # The mail server knows no log-in.
                "SENDER_PASSWORD": "",
                "WEBHOOK_URL": f"{chat}/services/T0/{CANARY}-webhook",
            },
        )
        patch.delenv("BATCH_PLATFORM_HOME", raising=False)
        patch.delenv("PLATFORM_DATABASE_URL", raising=False)
        printed: dict[str, str] = {}
        unreachable = replace(
            broken, variables={**broken.variables, "LLM_BASE_URL": model.server.url}
        )
        failed = [*fail_everywhere(unreachable, patch, printed)]
        wrong_key = {"LLM_API_KEY": f"{right_key}-wrong"}
        wrong = healthy.run("chats", "batch", "-s", str(DAY), "-e", str(DAY), changes=wrong_key)
        assert wrong.code != 0, wrong
        printed["failing batch"] = wrong.out + wrong.err
        use(healthy, patch)
        tell_what_failed(healthy)
        good = healthy.run("--debug", "chats", "complete", str(DAY))
        assert good.code == 0, good
        printed["batch --debug"] = good.out + good.err
        for command in COMMANDS:
            printed[command] = in_this_process(command)
        printed |= bundle_of(broken, patch)
        with logged() as log:
            answers = dict(answers_of(healthy, patch))
        yield Night(
            {**dict(files_of(healthy)), **dict(tables_of(healthy))},
            {**answers, "the API's log": log.getvalue()},
            {mail.name: text_of(mail.message) for mail in healthy.mails.mails()}
            | {f"chat {number}": text for number, text in enumerate(told)},
            "\n".join(model.received),
            printed,
            failed,
        )


def use(installation: Installation, patch: pytest.MonkeyPatch) -> Settings:
    """Let this process be one of the installation's."""
    for name, value in installation.environment().items():
        patch.setenv(name, value)
    patch.setenv("DAGSTER_HOME", str(installation.home / "dagster"))
    settings = load_settings()
    assert os.environ[ENV_FILE_VARIABLE].startswith(str(installation.folder))
    return settings


def as_a_canary(url: str) -> str:
    """The same database, whose user's password is a canary."""
    role, canary = f"leaks_{uuid4().hex}", f"{CANARY}-platform-database-url"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(canary)
            )
        )
    return re.sub(r"//.*@", f"//{role}:{canary}@", url)


@contextmanager
def chat_that_hears(told: list[str]) -> Iterator[str]:
    """A chat's webhooks on the loopback address; what is posted is kept, where to is not."""

    async def hear(request: web.Request) -> web.Response:
        told.append(await request.text())
        return web.Response(text="ok")

    def application() -> web.Application:
        made = web.Application()
        made.router.add_post("/{path:.*}", hear)
        return made

    bound = loopback_socket()
    with serving_in_a_thread(application, bound):
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def fail_everywhere(
    installation: Installation, patch: pytest.MonkeyPatch, printed: dict[str, str]
) -> Iterator[str]:
    """Run every domain's job while nothing answers; yield those that failed."""
    in_this_process_of(installation, "db migrate", patch)
    settings = use(installation, patch)
    out = io.StringIO()
    with (
        redirect_stdout(out),
        redirect_stderr(out),
        dg.DagsterInstance.from_config(str(dagster_home(settings))) as instance,
    ):
        definitions = build_definitions(settings)
        for job, day in FAILING.items():
            result = definitions.resolve_job_def(job).execute_in_process(
                instance=instance,
                partition_key=day.isoformat(),
                # Without them a step waits for a minute before it tries again, and so would a run.
                tags={COMMAND_TAG: "somebody waits", **NOT_AGAIN},
                raise_on_error=False,
            )
            if not result.success:
                yield job
        dg.materialize([careless], instance=instance, raise_on_error=False, tags=NOT_AGAIN)
    # On a terminal's stream; that of a server is redacted by who reads it.
    printed["failing runs"] = redactor(settings)(out.getvalue())


@dg.asset
def careless(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Says all that it knows, wherever it can."""
    secrets = " ".join(
        value.get_secret_value()
        for *_, value, _description in load_settings().variables()
        if isinstance(value, SecretStr)
    )
    context.log.info(f"careless log: {secrets} {QUESTION}")
    sys.stdout.write(f"careless print: {secrets} {QUESTION}\n")
    sys.stderr.write(f"careless warning: {secrets} {QUESTION}")
    said = f"careless metadata: {secrets} {QUESTION}"
    metadata = {"text": said, "table": dg.MetadataValue.md(said), "json": {"said": [said]}}
    context.log_event(dg.AssetObservation("careless", metadata=metadata))
    raise ValueError(f"careless failure: {secrets} {QUESTION}")


def in_this_process(command: str) -> str:
    """Run a command; return what it printed."""
    out = io.StringIO()
    # A platform that is broken says so by its exit code.
    with redirect_stdout(out), redirect_stderr(out), suppress(typer.Exit):
        app(shlex.split(command), standalone_mode=False)
    return out.getvalue()


def in_this_process_of(installation: Installation, command: str, patch: pytest.MonkeyPatch) -> str:
    """Run a command of an installation."""
    use(installation, patch)
    return in_this_process(command)


def bundle_of(installation: Installation, patch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is in the support bundle of a platform that is broken, and logged what it should not."""
    log = installation.home / "logs" / "daemon.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"postgresql://somebody:{CANARY}-a@db/x Bearer {CANARY}\nasked: {QUESTION}\n")
    file = installation.folder / "bundle.zip"
    shown = in_this_process_of(installation, f"debug-info --output {file}", patch)
    assert file.stat().st_mode & 0o777 == 0o600
    log.unlink()
    with zipfile.ZipFile(file) as bundle:
        parts = {f"bundle {name}": bundle.read(name).decode() for name in bundle.namelist()}
    return {**parts, "debug-info": shown}


def tell_what_failed(installation: Installation) -> None:
    """Let the sensors look once, as the daemon does after runs have failed."""
    settings = load_settings()
    definitions = build_definitions(settings)
    made = definitions.resources or {}
    resources = {
        "settings": settings,
        **{role: made[role] for role in ("clock", "platform_db")},
    }
    with dg.DagsterInstance.from_config(str(installation.home / "dagster")) as instance:
        for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])):
            (failure,) = [
                entry.get_dagster_event()
                for entry in instance.all_logs(run.run_id)
                if entry.is_dagster_event and entry.get_dagster_event().is_run_failure
            ]
            with dg.build_run_status_sensor_context(
                sensor_name="failed_run_sensor",
                dagster_event=failure,
                dagster_instance=instance,
                dagster_run=run,
                resources=resources,
            ).for_run_failure() as context:
                failed_run_sensor(context)
        with dg.build_sensor_context(
            instance=instance,
            repository_def=definitions.get_repository_def(),
            resources={**resources, "mailer": made["mailer"]},
        ) as context:
            definitions.resolve_sensor_def("incidents_sensor").evaluate_tick(context)


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """What this process logs while the block runs, as nobody redacted it."""
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    logging.getLogger().addHandler(handler)
    try:
        yield kept
    finally:
        logging.getLogger().removeHandler(handler)


def answers_of(installation: Installation, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Every GET of the API and every page; each must answer what it is there for."""
    use(installation, patch)
    db = installation.db
    storage = PlatformDb(f"{db.url}_dagster")
    with running_api(db, dagster_db=storage, variables=installation.variables) as api:
        api.know_jobs()
        with api.client(Scope.ADMIN) as client:
            schedule = client.post("/api/batch/schedule/", json={"name": "매일"}).json()
            run = client.post("/api/batch/run/", json={}).json()
            route = client.post("/api/alerts/routes/", json={"channel": "slack"}).json()
            known = {
                "schedule_id": schedule["id"],
                "request_id": run["address"].strip("/").rpartition("/")[2],
                "route_id": route["id"],
                "user_id": "1",
                "for_date": DAY.isoformat(),
            }
            document = client.get("/openapi.json")
            yield "/openapi.json", document.text
            for path, methods in document.json()["paths"].items():
                if "get" in methods:
                    answer = client.get(path.format_map(known), params={"user_id": "1"})
                    # Fortunes failed that night: that there are none is an answer.
                    expected = {200, 404} if "fortune" in path else {200}
                    assert answer.status_code in expected, (path, answer.text)
                    yield path, answer.text
        with signed_in(api, Scope.ADMIN) as browser:
            for page in ("/", "/quarantine", "/costs", "/login", "/nothing"):
                answer = browser.get(page, follow_redirects=True)
                assert answer.headers["content-type"].startswith("text/html"), page
                yield f"page {page}", answer.text
            report = browser.get(f"/reports/chats/report/{DAY}")
            assert report.status_code == 200, report.text
            yield "the report", unpacked(report.content)


def files_of(installation: Installation) -> Iterator[tuple[str, str]]:
    """Every file under the home, archives and workbooks unpacked."""
    for path in sorted(installation.home.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(installation.home))
            yield name, unpacked(path.read_bytes())


def unpacked(content: bytes) -> str:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return content.decode(errors="replace")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return "\n".join(unpacked(archive.read(name)) for name in archive.namelist())


def tables_of(installation: Installation) -> Iterator[tuple[str, str]]:
    """Every table of the platform's database and of Dagster's, as text."""
    for url in (installation.db.url, f"{installation.db.url}_dagster"):
        with psycopg.connect(url) as connection:
            tables = connection.execute(
                "SELECT table_schema, table_name FROM information_schema.tables"
                " WHERE table_type = 'BASE TABLE'"
                " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for schema, table in tables:
                rows = connection.execute(
                    sql.SQL("SELECT each::text FROM {} AS each").format(
                        sql.Identifier(schema, table)
                    )
                ).fetchall()
                yield f"{schema}.{table}", "\n".join(row[0] for row in rows)


def text_of(message: EmailMessage) -> str:
    """A mail's headers and all its parts."""
    parts = [str(dict(message.items()))]
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            parts.append(unpacked(content))
    return "\n".join(parts)
