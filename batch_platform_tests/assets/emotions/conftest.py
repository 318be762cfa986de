"""The emotions' world with Dagster around it: runs of the job, ticks of the sensor."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from batch_platform.build import build_definitions
from batch_platform.domains.emotions.automation import BATCH_JOB, POSTS_JOB
from batch_platform.domains.emotions.partitions import emotions_batches
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.failed_steps import FailedStep, failed_steps
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform_tests.emotion_world import EmotionWorld, emotion_world


@dataclass
class Made:
    """What a run did."""

    result: dg.ExecuteInProcessResult

    @property
    def failures(self) -> list[FailedStep]:
        return failed_steps(self.result.all_events)

    def metadata(self, asset: str) -> Mapping[str, Any]:
        event = next(
            event
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["emotions", asset])
        )
        metadata = event.step_materialization_data.materialization.metadata
        return {key: value.value for key, value in metadata.items()}

    @property
    def checks(self) -> dict[str, bool]:
        return {
            evaluation.check_name: evaluation.passed
            for evaluation in self.result.get_asset_check_evaluations()
        }


@dataclass
class Platform:
    """The platform's definitions over a world."""

    world: EmotionWorld
    instance: dg.DagsterInstance

    @property
    def overrides(self) -> Mapping[str, object]:
        return {"platform_db": self.world.db, "clock": self.world.clock}

    def make(self, key: str, assets: Sequence[str] = ()) -> Made:
        """Run the batch's job, or some of its assets."""
        self.instance.add_dynamic_partitions(emotions_batches.name or "", [key])
        return self._run(BATCH_JOB, [dg.AssetKey(["emotions", name]) for name in assets], key)

    def read(self, day: str) -> Made:
        return self._run(POSTS_JOB, [], day)

    def _run(self, job: str, assets: Sequence[dg.AssetKey], partition: str) -> Made:
        definitions = build_definitions(self.world.settings, self.overrides)
        return Made(
            definitions.resolve_job_def(job).execute_in_process(
                instance=self.instance,
                partition_key=partition,
                asset_selection=list(assets) or None,
                tags={COMMAND_TAG: "test"},
                raise_on_error=False,
            )
        )

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        """Let the sensor look once."""
        definitions = build_definitions(self.world.settings, self.overrides)
        sensor = definitions.resolve_sensor_def("emotions_batches_sensor")
        with dg.build_sensor_context(
            instance=self.instance,
            definitions=definitions,
            resources={
                "settings": self.world.settings,
                "emotion_models": self.world.models,
                **self.overrides,
            },
        ) as context:
            found = sensor(context)
        assert isinstance(found, dg.SensorResult | dg.SkipReason)
        return found


@pytest.fixture
def platform(
    platform_db: PlatformDb, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Platform]:
    with (
        emotion_world(platform_db, tmp_path, **getattr(request, "param", {})) as world,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        yield Platform(world, instance)
