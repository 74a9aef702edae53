"""What a run takes of its machine: memory, and the energy of its GPU."""

import importlib
import resource
import sys
from types import ModuleType
from typing import Any

import torch

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_MILLIJOULES_IN_KWH = 3.6e9


class MachineMeter:
    """Peak memory of this process, peak GPU memory, and the energy that the GPU has taken since the first reading.

    Energy needs a GPU that counts it (Volta and later; no slice of a GPU) and the package nvidia-ml-py; without them it is left
    out. The whole GPU is counted, whoever else uses it.
    """

    def __init__(self) -> None:
        self._nvml: ModuleType | None = None
        self._gpu: Any = None
        self._energy_before = 0
        self._asked = False

    def values(self) -> dict[str, float]:
        """{"memory_mib"} and, with a GPU in use, "gpu_memory_mib" and "energy_kwh"."""
        found = {"memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT / 2**20}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["gpu_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
            if not self._asked:
                self._asked = True
                self._find_counter()
            if self._gpu is not None:
                taken = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu) - self._energy_before
                found["energy_kwh"] = taken / _MILLIJOULES_IN_KWH
        return found

    def _find_counter(self) -> None:
        try:
            self._nvml = importlib.import_module("pynvml")
        except ImportError:
            return
        try:
            self._nvml.nvmlInit()
            # By its own name, because CUDA_VISIBLE_DEVICES numbers GPUs anew.
            gpu = self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}")
            self._energy_before = self._nvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
        except self._nvml.NVMLError:
            return
        self._gpu = gpu
