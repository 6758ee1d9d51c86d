"""The model of many GPUs, and the count of bytes that collectives send."""

import pytest
import torch
import torch.distributed as dist

from scaling import Links, count_traffic, modelled_seconds

LINKS = Links(gpus_per_node=8, inside_gb_per_second=100, between_gb_per_second=10, latency_us=0)


def test_one_gpu_sends_nothing() -> None:
    assert modelled_seconds(0.5, 10**7, 6, 1, LINKS) == 0.5


def test_weights_cross_slowest_link_almost_twice() -> None:
    sent = 2 * 15 / 16 * 4 * 10**7
    assert modelled_seconds(0.5, 10**7, 6, 16, LINKS) == pytest.approx(0.5 + sent / 10e9)
    inside = modelled_seconds(0.5, 10**7, 6, 8, LINKS)
    assert inside == pytest.approx(0.5 + 2 * 7 / 8 * 4 * 10**7 / 100e9)


def test_every_collective_adds_two_log2_n_latencies() -> None:
    slow = Links(gpus_per_node=8, inside_gb_per_second=1, between_gb_per_second=1, latency_us=5)
    assert modelled_seconds(0.0, 0, 3, 16, slow) == pytest.approx(3 * 2 * 4 * 5e-6)


def test_bytes_sent_by_collectives_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(dist, "all_reduce", lambda tensor: called.append("all_reduce"))
    monkeypatch.setattr(dist, "all_gather_into_tensor", lambda whole, part: called.append("gather"))
    part = torch.zeros(100)
    with count_traffic() as traffic:
        dist.all_reduce(part)
        dist.all_gather_into_tensor(torch.zeros(400), part)
    assert called == ["all_reduce", "gather"]
    assert (traffic.bytes, traffic.collectives) == (2 * 3 / 4 * 400 + 3 * 400, 2)
