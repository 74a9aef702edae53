"""A training step at the paper's size on the CPU: our losses against plain ones, all else the same.

    python -m tests.benchmarks training_step

ResNet-50, BERT-base, reports of 97 tokens and 62 words, films of 224 pixels resized to 299, float32, batch 16: forward,
losses, backward, clipping, Adam. Wants about 10 GiB and takes some minutes on two cores.
"""

import torch

from scripts.losses import AFLocLoss
from tests.benchmarks.measure import print_table, seconds
from tests.benchmarks.paper_size import BERT_BASE, make_films, make_network, make_reports, make_step
from tests.benchmarks.plain_loss import plain_loss


def main(batch: int = 16, resnet: str = "resnet50", bert: dict[str, int] = BERT_BASE, repeats: int = 3) -> None:
    network = make_network(resnet, bert).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-5, betas=(0.5, 0.999), weight_decay=1e-6)
    films, reports = make_films(batch), make_reports(batch)
    losses = {"ours": AFLocLoss(), "plain": plain_loss}
    times = seconds({name: make_step(network, optimizer, loss, films, reports) for name, loss in losses.items()}, repeats)
    rows = [
        ["ours", f"{times['ours']:.2f}", f"{batch / times['ours']:.2f}", "", ""],
        [
            "plain",
            f"{times['plain']:.2f}",
            f"{batch / times['plain']:.2f}",
            f"{times['plain'] / times['ours']:.2f}x",
            ">= 1.4x" if batch == 16 else "",
        ],
    ]
    title = f"Training step, {resnet}, BERT of {bert['num_hidden_layers']} layers, 97 tokens, batch {batch}, float32"
    print_table(title, ("losses", "seconds", "films/s", "speed-up by ours", "target"), rows)


if __name__ == "__main__":
    main()
