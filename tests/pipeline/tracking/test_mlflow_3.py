"""What MLflow 3 shows of a run: training page, data set, final metrics, logged model, versions."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from networks import published
from progan.pipeline.tracking.mlflow.page import run_page
from progan.stages.metrics.evaluation import Result, add_results
from tracked import FINGERPRINT, TrackedRun, mlflow_runs

# MLflow emits FutureWarnings and DeprecationWarnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def parent_of(uri: str, name: str = "run") -> Any:
    return MlflowClient(uri).get_run(mlflow_runs(uri)[name]["id"])


@pytest.mark.parametrize("exists", [False, True])
def test_user_interface_opens_the_page_of_trainings(tmp_path: Path, uri: str, exists: bool) -> None:
    client = MlflowClient(uri)
    if exists:
        client.create_experiment("progan")
    TrackedRun(tmp_path / "run").sender().send()
    experiment = client.get_experiment_by_name("progan")
    assert experiment
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_data_set_is_an_input_once(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run", "data.path=/data/faces")
    run.train(4, ticks=1)
    for _ in range(2):
        run.sender().send()
    for name in ("run", "run-0004"):
        (found,) = parent_of(uri, name).inputs.dataset_inputs
        assert (found.dataset.name, found.dataset.digest) == ("faces", FINGERPRINT[:36])
        assert FINGERPRINT in found.dataset.profile


def test_runs_can_be_sorted_by_their_final_metrics(tmp_path: Path, uri: str) -> None:
    for name, losses in (("a", (9.0, 1.0)), ("b", (3.0, 2.0)), ("c", (1.0, 3.0))):
        run = TrackedRun(tmp_path / name)
        for resolution, loss in zip((4, 8), losses, strict=True):
            run.train(resolution, ticks=2, loss=loss)
            run.finish(resolution)
        for _ in range(2):
            run.sender().end("FINISHED")
    client = MlflowClient(uri)
    found = client.search_runs(["1"], "tags.`progan.stage` = 'all'", order_by=["metrics.loss DESC"])
    assert [each.info.run_name for each in found] == ["c", "b", "a"]
    history = client.get_metric_history(found[0].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(4, 1.0), (8, 3.0)]


def test_later_evaluation_is_a_final_metric_too(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    stage = run.train(8, ticks=1)
    published(stage.final)
    run.sender().end("FINISHED")
    add_results(stage, [Result(metric="fid", at=8, images=8, values={"fid": 12.5})])
    run.sender().end("FINISHED")
    assert parent_of(uri).data.metrics["fid"] == 12.5


def test_report_is_an_artifact(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    run.folder.report.write_text("<html>")
    run.sender().end("KILLED")
    client, run_id = MlflowClient(uri), mlflow_runs(uri)["run"]["id"]
    assert "report.html" in [each.path for each in client.list_artifacts(run_id)]


def finished(run: TrackedRun) -> TrackedRun:
    stage = run.train(8, ticks=1)
    published(stage.final)
    add_results(stage, [Result(metric="fid", at=8, images=8, values={"fid": 12.5})])
    return run


def test_generator_is_a_logged_model_of_its_run(tmp_path: Path, uri: str, no_export: None) -> None:
    run = finished(TrackedRun(tmp_path / "run", "tracking.register_as=auto"))
    for _ in range(2):
        run.sender().end("FINISHED")
    client, stage = MlflowClient(uri), mlflow_runs(uri)["run-0008"]
    (model,) = client.search_logged_models(["1"])
    assert (model.source_run_id, model.status) == (stage["id"], "READY")
    assert {metric.key: metric.value for metric in model.metrics or []}["fid"] == 12.5
    for name in ("run", "run-0008"):
        (output,) = parent_of(uri, name).outputs.model_outputs
        assert output.model_id == model.model_id


def test_version_has_description_tags_and_alias(tmp_path: Path, uri: str, no_export: None) -> None:
    for name in ("a", "b"):
        finished(TrackedRun(tmp_path / name, "tracking.register_as=faces")).sender().end("FINISHED")
    client = MlflowClient(uri)
    newest = client.get_model_version_by_alias("faces", "newest")
    assert int(newest.version) == 2
    assert newest.description and "run b at 8x8" in newest.description
    assert "| fid | 12.5 |" in newest.description
    assert (newest.tags["resolution"], newest.tags["fid"]) == ("8", "12.5")


def test_interrupted_registration_is_continued(
    tmp_path: Path, uri: str, no_export: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(TrackedRun(tmp_path / "run", "tracking.register_as=auto"))
    for step in ("finalize_logged_model", "create_model_version", "set_registered_model_alias"):
        with monkeypatch.context() as patch, pytest.raises(ConnectionError):
            patch.setattr(MlflowClient, step, failing)
            run.sender().end("FINISHED")
    run.sender().end("FINISHED")
    client = MlflowClient(uri)
    assert len(client.search_logged_models(["1"])) == 1
    (version,) = client.search_model_versions()
    assert client.get_model_version_by_alias("progan-run", "newest").version == version.version


def failing(*_: object, **__: object) -> None:
    raise ConnectionError("lost")


def test_demonstrations_are_not_registered() -> None:
    from progan.pipeline.config.schema import load_config

    for preset in ("demo", "shapes-32"):
        assert load_config(preset).tracking.registered_name("run") is None
    asked = load_config("demo", ("tracking.register_as=auto",))
    assert asked.tracking.registered_name("run") == "progan-run"


def test_page_of_a_run(tmp_path: Path, uri: str) -> None:
    run = TrackedRun(tmp_path / "run")
    assert run_page(run.folder, run.config) is None
    run.sender().send()
    page = run_page(run.folder, run.config)
    parent = parent_of(uri).info
    assert page and page.command == f"mlflow ui --backend-store-uri {uri}"
    fragment = f"#/experiments/{parent.experiment_id}/runs/{parent.run_id}"
    assert page.url == f"http://127.0.0.1:5000/{fragment}"
