"""engine.compile: compiled passes in a step, and the same step."""

import shutil
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from cases import ENCODER
from progan.datasets.synthetic import SHAPES
from progan.stages.distributed.world import World
from progan.stages.engine import compile as compiling
from progan.stages.errors import StageError
from progan.stages.specs.stage import EngineSpec, GrowthSpec, MetricsSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.storage.tensors import parameters
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from workers import checkpoints, content, figures, kill, run, spec, start

# torch hides this warning of its own where warnings are shown, but not where they are errors.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
HEADER = Path(sysconfig.get_path("include"), "Python.h")
CAN_COMPILE = shutil.which("g++") is not None and HEADER.exists()
BATCH, FADE = 16, 64
SHAPE = {"latent": 16, "fmap_base": 64, "fmap_max": 8}
BOTH = ["generator", "discriminator"]


def model(**keys: Any) -> dict[str, Any]:
    return {"model": SHAPE | keys}


def penalised(*penalties: dict[str, Any], **keys: Any) -> dict[str, Any]:
    weighted = [each if each["kind"] == "spectral_norm" else {"weight": 0.1} | each
                for each in penalties]  # fmt: skip
    return {"objective": {"loss": "nonsaturating", "penalties": weighted} | keys}


def engine(**keys: Any) -> dict[str, Any]:
    return {"engine": EngineSpec.model_validate({"precision": "fp32"} | keys)}


CASES: dict[str, dict[str, Any]] = {"paper": {}}
MORE_CASES: dict[str, dict[str, Any]] = {
    "fp16, gan_zoo": engine(precision="fp16") | model(variant="pytorch_gan_zoo"),
    "bf16, recomputed, attention": engine(precision="bf16", activation_checkpointing=4)
    | model(discriminator={"attention": (8,)}, generator={"attention": (8,)}),
    "bf16, stacked, micro-batches": engine(precision="bf16") | {"micro_batch": 8}
    | {"growth": GrowthSpec(mode="stacked", fade_images=FADE, steady_images=FADE)},
    "recomputed, projection, layer norm, attention, shared encoder, feature penalties, replay":
    engine(activation_checkpointing=4)
    | model(classes=len(SHAPES), generator={"attention": (8,)},
            discriminator={"head": "projection", "norm": "layer", "attention": (8,),
                           "representative": ENCODER})
    | penalised({"kind": "feature_matching"}, {"kind": "pulling_away"},
                replay={"size": 64, "share": 0.5}, critic_steps=2),
    "encoder, critics, acgan, spectral norm, r1, augmented": {"augment": "diffaugment"} |
    model(classes=len(SHAPES), discriminator={"critics": 2, "head": "acgan"})
    | penalised({"kind": "mode_regularizer", "distance": "features"},
                {"kind": "spectral_norm", "networks": BOTH}, {"kind": "r1"}, critics="hardest"),
    "infogan, discrimination, virtual batch norm, ragan, dragan, js":
    model(generator={"codes": {"categorical": (3,), "continuous": 1}, "norm": "virtual_batch"},
          discriminator={"head": "infogan", "minibatch": "discrimination"})
    | penalised({"kind": "dragan"}, {"kind": "js_regularizer"}, loss={"kind": "ragan"}),
    "began, batch norm": model(generator={"norm": "batch", "norm_group": 2},
                               discriminator={"head": "autoencoder", "minibatch": "none"})
    | {"objective": {"loss": "began", "penalties": []}},
    "dcgan, micro-batches": model(arch="dcgan", generator={"norm": "batch", "norm_group": 2})
    | {"micro_batch": 8},
}  # fmt: skip
ALL = CASES | MORE_CASES


class Graphs(CompileCounterWithBackend):
    """Compiles as torch does but for the last step, native code; and counts the graphs."""

    def __init__(self) -> None:
        super().__init__("aot_eager")


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    """What has been compiled in this test."""
    torch._dynamo.reset()
    counted = Graphs()
    monkeypatch.setattr(compiling, "BACKEND", counted)
    return counted


Make = Callable[..., StageSpec]
Begin = Callable[..., Stage]


@pytest.fixture
def make(shapes: Path, tmp_path: Path, world: World) -> Make:
    """Makes the spec of a stage at 8x8, grown from untrained networks if it can be."""

    def made(compile: str, **fields: Any) -> StageSpec:
        steady = {"growth": GrowthSpec(mode="none", fade_images=0, steady_images=FADE)}
        fields = model() | fields
        if fields["model"].get("arch") == "dcgan":
            return spec(shapes, **steady, compile=compile, **fields)
        final = tmp_path / "final"
        if not final.exists():
            before = build(spec(shapes, **fields | steady | {"resolution": 4}), world, None, [])
            before.batches.close()
            handoff.publish(final, before.final(), before.networks())
        fading = {"growth": GrowthSpec(fade_images=FADE, steady_images=FADE)}
        return spec(shapes, **fading | fields, grown_from=final, compile=compile)

    return made


@pytest.fixture
def begin(make: Make, world: World) -> Iterator[Begin]:
    """Begins such a stage, or goes on with it."""
    with ExitStack() as stages:

        def begun(compile: str, checkpoint: Checkpoint | None = None, **fields: Any) -> Stage:
            stage = build(make(compile, **fields), world, checkpoint, [])
            stages.enter_context(stage.batches)
            return stage

        yield begun


def one_step(stage: Stage) -> dict[str, float]:
    """Its scalars."""
    scalars = step(stage, dict).read()
    stage.images_seen += stage.spec.images_per_step
    stage.position += stage.spec.images_per_step
    return scalars


def after(stage: Stage, steps: int) -> Stage:
    """The stage after more steps."""
    for _ in range(steps):
        one_step(stage)
    return stage


def gradients(stage: Stage) -> dict[str, Tensor]:
    """Of the last step: with beta1 = 0 they are Adam's first moments."""
    tensors = stage.checkpoint({}).tensors["optimizer"]
    return {name: value for name, value in tensors.items() if name.endswith("exp_avg")}


def apart(eager: dict[str, Tensor], compiled: dict[str, Tensor], network: str = "") -> float:
    """Of a network's gradients, how far they are apart, in lengths of the first.

    Of a network as a whole: some parameters' are nothing but rounding, as those of biases that a
    norm takes away again.
    """
    one, two = (
        torch.cat([value.flatten() for name, value in each.items() if name.startswith(network)])
        for each in (eager, compiled)
    )
    length = torch.linalg.vector_norm(one).clamp(min=1e-12)  # 0 where fp16 left a step out
    return float(torch.linalg.vector_norm(two - one) / length)


@pytest.mark.parametrize(
    "name", [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_CASES)]
)
def test_compiled_step_computes_the_same(name: str, begin: Begin, graphs: Graphs) -> None:
    scalars, found = [], []
    for compile in ("off", "default"):
        stage = begin(compile, **ALL[name])
        stage.images_seen = BATCH  # within the fade
        scalars.append(one_step(stage))
        found.append(gradients(stage))
    assert graphs.frame_count >= 4
    half = "bf16" in name or "fp16" in name
    assert scalars[1] == pytest.approx(scalars[0], rel=1e-3 if half else 1e-4, abs=1e-5)
    for network in BOTH:
        assert apart(found[0], found[1], network) < (1e-2 if half else 1e-4)


@pytest.mark.slow
def test_each_pass_is_one_graph_for_all_alphas_of_a_phase(begin: Begin, graphs: Graphs) -> None:
    """Four: fakes with and without gradients, reals beside fakes, fakes alone."""
    stage = begin("default")
    counts = []
    for _ in range(2 * FADE // BATCH):
        one_step(stage)
        counts.append(graphs.frame_count)
    assert counts == [4] * (FADE // BATCH) + [8] * (FADE // BATCH)


@pytest.mark.slow
def test_stage_resumed_within_a_fade_ends_with_the_same_bytes(begin: Begin, graphs: Graphs) -> None:
    uninterrupted = begin("default")
    middle = after(uninterrupted, 2).checkpoint({})
    torch._dynamo.reset()
    again = begin("default", Checkpoint(*middle))
    ends = [after(stage, 2).checkpoint({}).tensors for stage in (uninterrupted, again)]
    for file, tensors in ends[0].items():
        for name, value in tensors.items():
            assert torch.equal(value, ends[1][file][name]), name


def test_penalties_differentiate_the_eager_discriminator(begin: Begin, graphs: Graphs) -> None:
    stages = [begin(compile) for compile in ("off", "default")]
    images = torch.rand(4, 3, 8, 8, requires_grad=True)
    slopes = []
    for stage in stages:
        logits = stage.discriminator(images, 0.3)
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        weights = [p for name, p in stage.discriminator.named_parameters() if "weight" in name]
        slopes.append((slope, *torch.autograd.grad(slope.square().sum(), weights)))
    assert graphs.frame_count == 0
    torch.testing.assert_close(slopes[0], slopes[1], rtol=0, atol=0)


def test_compiling_leaves_weights_and_copies_as_they_are(begin: Begin, graphs: Graphs) -> None:
    eager, compiled = (begin(compile) for compile in ("off", "default"))
    for name, network in compiled.networks().items():
        assert list(parameters(network)) == list(parameters(eager.networks()[name]))
    latents = torch.randn(2, 16)
    assert torch.equal(eager.ema(latents, 0.3), compiled.ema(latents, 0.3))
    assert graphs.frame_count == 0


def test_compile_error_is_one_line(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler for Tuesdays\nand a long tail")

    torch._dynamo.reset()
    monkeypatch.setattr(compiling, "BACKEND", broken)
    stage = begin("default")
    with pytest.raises(StageError) as caught:
        after(stage, 1)
    said = str(caught.value)
    assert "no compiler for Tuesdays" in said and "set engine.compile=off" in said
    assert "\n" not in said


@pytest.mark.slow
@pytest.mark.skipif(not CAN_COMPILE, reason="needs g++ and Python's headers")
def test_killed_stage_resumes_to_the_same_bytes(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With native code, from one cache."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    growth = GrowthSpec(fade_images=30 * BATCH, steady_images=0)
    metrics = MetricsSpec(during=(), at_end=())
    stage = make("default", growth=growth, metrics=metrics)
    uninterrupted = run(stage, tmp_path / "uninterrupted", 1)
    killed = StageFolder(tmp_path / "killed")
    kill(killed, start(stage, killed.path, 1), after=3)
    assert 0 < checkpoints(killed)[-1] < growth.fade_images
    run(stage, killed.path, 1)
    assert figures(killed) == figures(uninterrupted)
    assert content(killed.final) == content(uninterrupted.final)


@pytest.mark.nightly
@pytest.mark.skipif(not CAN_COMPILE, reason="needs g++ and Python's headers")
def test_cuda_graphs_are_left_out_on_a_cpu(begin: Begin) -> None:
    torch._dynamo.reset()
    found = [gradients(after(begin(mode), 1)) for mode in ("default", "reduce-overhead")]
    assert apart(found[0], found[1]) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.gpu_values
def test_compiled_step_on_a_gpu_computes_the_same(begin: Begin) -> None:
    torch._dynamo.reset()
    found = []
    for compile in ("off", "default", "reduce-overhead"):
        stage = begin(compile)
        assert stage.world.device.type == "cuda"
        after(stage, 4)  # a graph is recorded at the second call, and replayed from the third
        found.append(gradients(stage))
    assert apart(found[0], found[1]) < 1e-2  # convolutions may be in TF32
    assert apart(found[0], found[2]) < 1e-2
