"""Outputs that take no text, terminals that close: no traceback, and training goes on."""

import io
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from progan.pipeline.cli.main import Cli
from progan.pipeline.cli.streams import Unfailing, write_any_character
from progan.pipeline.errors import StoppedError
from progan.pipeline.run.stop_signals import STOP_SIGNALS, stop_on_signals
from progan.pipeline.run.terminal import Terminal
from progan.stages.training.stop_request import EXIT_STOPPED


@pytest.fixture
def restored_signals() -> Iterator[None]:
    handlers = [signal.getsignal(number) for number in STOP_SIGNALS]
    yield
    for number, handler in zip(STOP_SIGNALS, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("restored_signals")
def test_closed_terminal_stops_a_run_in_order_but_not_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    stop_on_signals()
    with pytest.raises(StoppedError):
        signal.raise_signal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop_on_signals()
    signal.raise_signal(signal.SIGHUP)


@pytest.mark.usefixtures("restored_signals")
def test_process_that_has_stopped_is_not_ended_by_one_more_ctrl_c() -> None:
    group = Cli("progan")

    @group.command()
    def train() -> None:
        stop_on_signals()
        signal.raise_signal(signal.SIGINT)

    assert CliRunner().invoke(group, ["train"]).exit_code == EXIT_STOPPED
    assert {signal.getsignal(number) for number in STOP_SIGNALS} == {signal.SIG_IGN}


@pytest.mark.parametrize("full", [False, True], ids=["closed pipe", "full disk"])
def test_output_that_takes_nothing_more_is_given_up_silently(
    full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if full:
        writer = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, writer = os.pipe()
        os.close(reader)
    with io.TextIOWrapper(os.fdopen(writer, "wb")) as stream:
        monkeypatch.setattr(sys, "stderr", Unfailing(stream))
        for _ in range(3):
            Terminal(stderr=True).say("8x8 fading")
            print("by a library", file=sys.stderr, flush=True)


def test_names_beyond_the_encoding_of_the_output_are_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    write_any_character()
    Terminal().say("runs/l\xe4uf")
    assert raw.getvalue() == b"runs/l\\xe4uf\n"
