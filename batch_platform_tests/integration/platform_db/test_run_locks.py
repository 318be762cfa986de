"""Whether a run's process lives is told by its lock, through a restart of the database too."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.run_locks import RunLock, living_runs
from batch_platform.operations import run_launcher
from batch_platform.operations.abandoned_runs import fail_abandoned_runs
from batch_platform.operations.run_launcher import PlatformRunLauncher
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform_tests.running_platform import wait_until

HOLDING = """
import sys, time
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.run_locks import RunLock
with RunLock(PlatformDb(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


def cut_connections(db: PlatformDb) -> None:
    """As a restart of the server does."""
    with psycopg.connect(db.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'run %' AND datname = current_database()"
        )


def test_a_run_lives_as_long_as_its_process(platform_db: PlatformDb) -> None:
    run_id, other = str(uuid4()), str(uuid4())
    command = [sys.executable, "-c", HOLDING, platform_db.url, run_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert living_runs(platform_db, [run_id, other]) == {run_id}
        os.kill(process.pid, signal.SIGSTOP)
        assert living_runs(platform_db, [run_id]) == {run_id}
        process.kill()
        wait_until(lambda: not living_runs(platform_db, [run_id]), 5, "the lock is given back")


def test_a_process_takes_its_lock_again_after_the_database_was_away(
    platform_db: PlatformDb,
) -> None:
    run_id = str(uuid4())
    with RunLock(platform_db, run_id, seconds_between_looks=0.1):
        assert living_runs(platform_db, [run_id])
        cut_connections(platform_db)
        wait_until(lambda: living_runs(platform_db, [run_id]), 5, "it is taken again")
    assert not living_runs(platform_db, [run_id])


def test_a_database_that_does_not_answer_keeps_no_run_from_working() -> None:
    with RunLock(PlatformDb("postgresql://u:p@127.0.0.1:1/none"), "run", seconds_between_looks=0.1):
        pass


@pytest.fixture
def launcher(platform_db: PlatformDb) -> PlatformRunLauncher:
    made = PlatformRunLauncher()
    made.__dict__["_db"] = platform_db
    return made


def test_a_run_whose_lock_stays_away_is_gone_and_one_that_just_lost_it_is_not(
    platform_db: PlatformDb, launcher: PlatformRunLauncher
) -> None:
    run = dg.DagsterRun(job_name="night", run_id=str(uuid4()))
    clock = [1000.0]

    def status() -> WorkerStatus:
        with patch.object(run_launcher.time, "monotonic", lambda: clock[0]):
            return launcher.check_run_worker_health(run).status

    assert status() is WorkerStatus.RUNNING, "its process is about to take the lock"
    clock[0] += run_launcher.GRACE_SECONDS - 1
    with RunLock(platform_db, run.run_id):
        assert status() is WorkerStatus.RUNNING
        clock[0] += 3600
        assert status() is WorkerStatus.RUNNING
    assert status() is WorkerStatus.RUNNING
    clock[0] += run_launcher.GRACE_SECONDS
    assert status() is WorkerStatus.FAILED


def test_a_run_is_not_called_gone_while_nobody_could_launch_it_again(
    platform_db: PlatformDb, launcher: PlatformRunLauncher, tmp_path: Path
) -> None:
    where = json.dumps({"host": "localhost", "socket": str(tmp_path / "code.sock")})
    with dg.DagsterInstance.ephemeral() as instance:
        launcher.register_instance(instance)
        run = instance.create_run_for_job(
            dg.JobDefinition(graph_def=dg.GraphDefinition("night"), resource_defs={}),
            tags={GRPC_INFO_TAG: where},
            status=dg.DagsterRunStatus.STARTED,
        )
        clock = [1000.0]

        def status() -> WorkerStatus:
            with patch.object(run_launcher.time, "monotonic", lambda: clock[0]):
                return launcher.check_run_worker_health(run).status

        assert status() is WorkerStatus.RUNNING
        clock[0] += run_launcher.GRACE_SECONDS
        assert status() is WorkerStatus.RUNNING, "its code server does not answer"
        clock[0] += run_launcher.MOST_SECONDS_WITHOUT_CODE_SERVER
        assert status() is WorkerStatus.FAILED, "it does not come back"


def test_a_command_finds_the_runs_of_commands_that_were_killed(platform_db: PlatformDb) -> None:
    with dg.DagsterInstance.ephemeral() as instance:

        def going(**tags: str) -> str:
            run = instance.create_run_for_job(
                dg.JobDefinition(graph_def=dg.GraphDefinition("night"), resource_defs={}),
                tags=tags,
                status=dg.DagsterRunStatus.STARTED,
            )
            return run.run_id

        killed, alive = going(**{COMMAND_TAG: "chats batch"}), going(**{COMMAND_TAG: "chats batch"})
        nightly = going()
        with RunLock(platform_db, alive):
            assert fail_abandoned_runs(platform_db, instance) == [killed]
            assert fail_abandoned_runs(platform_db, instance) == []
        states = [instance.get_run_by_id(each) for each in (killed, alive, nightly)]
        assert [run.status.value for run in states if run] == ["FAILURE", "STARTED", "STARTED"]
