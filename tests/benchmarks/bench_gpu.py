"""A training step at the paper's size on one GPU: batch 128, bf16 autocast.

    python -m tests.benchmarks gpu

Prints films a second, peak memory, and which part of the device's bf16 speed the step reaches. That speed is measured
here, by multiplying large square matrices. The step's operations are those PyTorch's counter sees: matrix products,
convolutions and attention, the loss's second pass over its maps included.
"""

import torch
from torch.utils.flop_counter import FlopCounterMode

from scripts.losses import AFLocLoss
from tests.benchmarks.measure import GIB, print_table, seconds
from tests.benchmarks.paper_size import BERT_BASE, make_films, make_network, make_reports, make_step


def matmul_speed(device: str, side: int = 8192) -> float:
    """Operations a second of a bf16 product of square matrices."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / seconds({"mm": lambda: left @ right}, repeats=20, warm_ups=5, device=device)["mm"]


def measure_step(
    device: str, batch: int, resnet: str = "resnet50", bert: dict[str, int] = BERT_BASE, repeats: int = 10
) -> tuple[float, int]:
    """Seconds and counted operations of one step."""
    network = make_network(resnet, bert).train().to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-5, betas=(0.5, 0.999), weight_decay=1e-6, fused=True)
    films = make_films(batch).to(device)
    reports = {key: value.to(device) for key, value in make_reports(batch).items()}
    step = make_step(network, optimizer, AFLocLoss(), films, reports, torch.bfloat16)
    duration = seconds({"step": step}, repeats, warm_ups=3, device=device)["step"]
    with FlopCounterMode(display=False) as counter:
        step()
    return duration, counter.get_total_flops()


def main(batch: int = 128) -> None:
    if not torch.cuda.is_available():
        print(f"\nGPU training step: skipped, torch {torch.__version__} sees no CUDA device", flush=True)
        return
    peak = matmul_speed("cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    duration, operations = measure_step("cuda", batch)
    figures = {
        "seconds a step": f"{duration:.3f}",
        "films/s": f"{batch / duration:.1f}",
        "peak memory allocated": f"{torch.cuda.max_memory_allocated() / GIB:.1f} GiB",
        "operations a step": f"{operations / 1e12:.1f} TFLOP",
        "bf16 matmul, measured": f"{peak / 1e12:.0f} TFLOP/s",
        "part of that speed": f"{operations / duration / peak:.1%}",
    }
    title = f"GPU training step, ResNet-50, BERT-base, 97 tokens, batch {batch}, bf16, {torch.cuda.get_device_name()}"
    print_table(title, ("what", "figure", "target"), [[name, value, "none set"] for name, value in figures.items()])


if __name__ == "__main__":
    main()
