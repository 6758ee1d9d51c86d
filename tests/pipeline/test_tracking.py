"""MLflow is told everything once, whatever becomes of it.

In a process of its own, since the library warns.
"""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from progan.datasets.files import write_whole
from progan.pipeline.config import load_config
from progan.pipeline.plan import stage_specs
from progan.pipeline.rundir import RunFolder
from progan.pipeline.tracking import Tracker
from progan.pipeline.yamlfile import write_yaml
from progan.stages.ticks import append_tick

run = RunFolder(Path("run").absolute())
for uri, last in (("http://127.0.0.1:9", 300), ("sqlite", 300), ("sqlite", 500)):
    config = load_config("demo", (f"tracking.mlflow={uri}",))
    write_yaml(run.config, config)
    folder = run.stage(4)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.metrics.unlink(missing_ok=True)
    for seen in range(100, last + 1, 100):
        append_tick(folder.metrics, {"images_seen": seen, "loss": seen / 2, "time": 1e9 + seen})
        write_whole(folder.fakes(seen), b"png")
    tracker = Tracker(run, config, stage_specs(config, run, ""))
    tracker.start()
    tracker.close("FINISHED")
    print(uri, run.tracking.exists())

from mlflow import MlflowClient
client = MlflowClient("sqlite:///mlflow.db")
(child,) = [r for e in client.search_experiments() for r in client.search_runs([e.experiment_id])
            if r.info.run_name == "run-0004"]
print([(m.step, m.value) for m in client.get_metric_history(child.info.run_id, "loss")])
print(len(client.list_artifacts(child.info.run_id, "samples")))
"""


def test_a_dead_server_loses_nothing_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert result.stdout.splitlines() == [
        "http://127.0.0.1:9 False",
        "sqlite True",
        "sqlite True",
        "[(100, 50.0), (200, 100.0), (300, 150.0), (400, 200.0), (500, 250.0)]",
        "5",
    ], result.stderr
    assert result.stderr.count("MLflow cannot be told, training goes on") == 1
    assert "it will be sent with the next `progan resume" in result.stderr
