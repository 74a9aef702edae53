"""What a run takes of its machine."""

import sys
import types

import psutil
import pytest
import torch

from scripts.tracking.machine import MachineMeter


def test_peak_memory_is_that_of_this_process():
    values = MachineMeter().values()
    if not torch.cuda.is_initialized():
        assert values.keys() == {"memory_mib"}
    now = psutil.Process().memory_info().rss / 2**20
    assert 0.9 * now <= values["memory_mib"] < psutil.virtual_memory().total / 2**20


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with a counter of millijoules, as NVML gives it: [handle's name, readings]."""
    nvml = types.ModuleType("pynvml")
    nvml.readings = [5_000, 3_605_000, 7_205_000]
    nvml.NVMLError = type("NVMLError", (Exception,), {})
    nvml.nvmlInit = lambda: None
    nvml.nvmlDeviceGetHandleByUUID = lambda name: name
    nvml.nvmlDeviceGetTotalEnergyConsumption = lambda name: nvml.readings.pop(0)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**21)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: types.SimpleNamespace(uuid="1f"))
    return nvml


def test_energy_counts_from_the_first_reading(gpu):
    meter = MachineMeter()
    first, second = meter.values(), meter.values()
    assert first["gpu_memory_mib"] == 2.0
    assert (first["energy_kwh"], second["energy_kwh"]) == (pytest.approx(0.001), pytest.approx(0.002))


def test_no_energy_where_the_gpu_does_not_count_it_or_nvml_is_absent(gpu, monkeypatch):
    def refuse(name):
        raise gpu.NVMLError

    gpu.nvmlDeviceGetTotalEnergyConsumption = refuse
    assert MachineMeter().values().keys() == {"memory_mib", "gpu_memory_mib"}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "energy_kwh" not in MachineMeter().values()
