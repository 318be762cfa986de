"""A night with a canary in every secret setting and a phone number in a chat: neither gets out.

The night is run by the command line, its failure is mailed, and then everything is read that the
platform wrote anywhere: files, both databases, mails, requests to the model, output.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import dagster as dg
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from batch_platform.build import build_definitions
from batch_platform.core.settings import ENV_FILE_VARIABLE, Settings, load_settings
from batch_platform.operations.incidents.sensors import failed_run_sensor
from batch_platform_tests.integration.cli.conftest import DAY, Installation
from batch_platform_tests.recording_model import recording_model

pytestmark = pytest.mark.xdist_group("cli leaks")

CANARY = "canary-9d41"
PHONE_DIGITS = "01048157263"
PHONE = "010-4815-7263"
QUESTION = f"전학 서류를 {PHONE}으로 보내 주실 수 있나요?"

MAY_HOLD_PHONES = {
    "chats.raw_chats": "what people wrote, as they wrote it",
    "chats.questions": "the distinct questions of those chats",
    "chats.classifications": "each of those questions with its category",
}
"""Tables of the people who own the chats; no other table may hold a number."""

IN_THE_SHAPE_OF_A_URL = {
    "ENGINE_FOR_SQLALCHEMY",
    "PLATFORM_DATABASE_URL",
    "DATABASE_URL",
    "INTERVENTIONS_DATABASE_URL",
    "EMOTIONS_SOURCE",
    "BACKUP_DATABASE_URLS",
    "BACKUP_SCRATCH_URL",
}
NEEDED_AS_THEY_ARE = {"ENGINE_FOR_SQLALCHEMY", "PLATFORM_DATABASE_URL"}
"""The night needs what these point at; that nobody shows their password is in `test_config`."""

UNUSABLE_HERE = {"WEBHOOK_URL": "", "SENDER_PASSWORD": ""}
"""The night's mail server knows no log-in, which the run that fails has; nobody hears a webhook."""


BROKEN_NOW = {"SENDER_PASSWORD": CANARY}
"""A bundle is asked for when something does not work."""


@dataclass(frozen=True)
class Night:
    """What a night left: where it was found → text."""

    found: Mapping[str, str]
    mails: Mapping[str, str]
    asked: str
    printed: Mapping[str, str]


def secret_settings(settings: Settings) -> set[str]:
    """Variables of every setting that is declared a secret."""
    return {
        variable
        for section, variable, attribute, *_ in settings.variables()
        if SecretStr
        in getattr(
            type(getattr(settings, section)).model_fields[attribute].annotation, "__args__", ()
        )
    }


def canaries() -> dict[str, str]:
    """A canary for every secret setting, whatever settings there will be."""
    return {
        variable: f"postgresql://user:{CANARY}@127.0.0.1:1/none"
        if variable in IN_THE_SHAPE_OF_A_URL
        else f"http://127.0.0.1:1/{CANARY}"
        if variable.endswith("_URL")
        else CANARY
        for variable in secret_settings(load_settings()) - NEEDED_AS_THEY_ARE
    }


@pytest.fixture(scope="module")
def night(installation: Installation) -> Iterator[Night]:
    installation.in_source(
        "INSERT INTO chattings SELECT max(chatting_pk) + 1, ?, ? FROM chattings",
        QUESTION,
        f"{DAY} 12:00:00.000000",
    )
    with (
        recording_model(passes_for_real=True, api_key=CANARY) as model,
        pytest.MonkeyPatch.context() as patch,
    ):
        used = replace_model(installation, model.server.url)
        printed = {}
        wrong = used.run(
            "chats",
            "batch",
            "-s",
            str(DAY),
            "-e",
            str(DAY),
            changes={"LLM_API_KEY": f"{CANARY}-wrong", "SENDER_PASSWORD": CANARY},
        )
        assert wrong.code != 0, wrong
        printed["failing batch"] = wrong.out + wrong.err
        mail_the_failure(used, patch)
        good = used.run("--debug", "chats", "complete", str(DAY))
        assert good.code == 0, good
        printed["batch --debug"] = good.out + good.err
        for command in (("config", "show"), ("status",), ("retention", "run", "--dry-run")):
            shown = used.run(*command)
            printed[" ".join(command)] = shown.out + shown.err
        printed |= bundle_of(used)
        yield Night(
            {**dict(files_of(used)), **dict(tables_of(used))},
            {mail.name: text_of(mail.message) for mail in used.mails.mails()},
            "\n".join(model.received),
            printed,
        )


def bundle_of(installation: Installation) -> dict[str, str]:
    """What is in the support bundle, of a platform whose log holds what it should not."""
    log = installation.home / "logs" / "daemon.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"key {CANARY} of postgresql://somebody:{CANARY}@db/x\nasked: {QUESTION}\n")
    file = installation.folder / "bundle.zip"
    shown = installation.run("debug-info", "--output", str(file), changes=BROKEN_NOW)
    assert shown.code == 0, shown
    assert file.stat().st_mode & 0o777 == 0o600
    log.unlink()
    with zipfile.ZipFile(file) as bundle:
        parts = {f"bundle {name}": bundle.read(name).decode() for name in bundle.namelist()}
    return {**parts, "debug-info": shown.out + shown.err}


def replace_model(installation: Installation, url: str) -> Installation:
    return replace(
        installation,
        variables={
            **canaries(),
            **installation.variables,
            "LLM_BASE_URL": url,
            "LLM_API_KEY": CANARY,
            **UNUSABLE_HERE,
        },
    )


def mail_the_failure(installation: Installation, patch: pytest.MonkeyPatch) -> None:
    """Let the sensors look once, as the daemon does after a run has failed."""
    patch.setenv(ENV_FILE_VARIABLE, installation.environment()[ENV_FILE_VARIABLE])
    patch.delenv("BATCH_PLATFORM_HOME", raising=False)
    settings = load_settings()
    definitions = build_definitions(settings)
    with dg.DagsterInstance.from_config(str(installation.home / "dagster")) as instance:
        run = instance.get_runs()[0]
        (failure,) = [
            entry.get_dagster_event()
            for entry in instance.all_logs(run.run_id)
            if entry.is_dagster_event and entry.get_dagster_event().is_run_failure
        ]
        made = definitions.resources or {}
        resources = {
            "settings": settings,
            **{role: made[role] for role in ("clock", "platform_db")},
        }
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


def text_of(message: object) -> str:
    parts = [str(dict(message.items()))]  # type: ignore[attr-defined]
    for part in message.walk():  # type: ignore[attr-defined]
        if not part.is_multipart():
            parts.append(unpacked(part.get_payload(decode=True)))
    return "\n".join(parts)


def holds_phone(text: str) -> bool:
    return PHONE_DIGITS in re.sub(r"(?<=\d)[-. ](?=\d)", "", text)


def test_the_night_was_one(night: Night) -> None:
    """What is looked through below is there at all: the failure's mail, the report, the chat."""
    assert len(night.mails) == 2
    assert holds_phone(night.found["chats.raw_chats"])
    assert night.found["public.event_logs"]
    assert night.found["llm.calls"]
    assert any(name.endswith(".xlsx") for name in night.found)


def test_no_secret_is_anywhere(night: Night) -> None:
    everything = {**night.found, **night.mails, **night.printed}
    assert [place for place, text in everything.items() if CANARY in text] == []


def test_the_phone_number_stays_with_the_chats(night: Night) -> None:
    holding = {place for place, text in night.found.items() if holds_phone(text)}
    assert holding <= set(MAY_HOLD_PHONES)
    everything = {**night.mails, **night.printed, "model": night.asked}
    assert [place for place, text in everything.items() if holds_phone(text)] == []


def test_the_bundle_tells_what_a_helper_needs(night: Night) -> None:
    """The run that failed was mended meanwhile; its incident is open until the sensors look."""
    held = {place: text for place, text in night.printed.items() if place.startswith("bundle ")}
    assert "RETENTION_RUN_DAYS=90" in held["bundle settings.txt"]
    assert "LLM_API_KEY=********" in held["bundle settings.txt"]
    assert "chats/classifications" in held["bundle database.json"]
    assert '"dagster"' in held["bundle versions.json"]
    assert '"state": "bad"' in held["bundle status.json"]
    assert "asked: 전학 서류를 [전화번호_1]" in held["bundle logs/daemon.log"]
