"""A pair of networks that teach each other: what teaches whom, a resumed run, two ranks against one process."""

from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from torch import nn
from torch.utils.data import DataLoader

from scripts.engines import VisionLanguageTrainer
from scripts.engines.co_teaching import CoTeaching, new_partner
from scripts.files.errors import UserError
from scripts.handlers import CheckpointHandler
from scripts.loading.dataset import EpochSampler
from scripts.losses import FVLMLoss
from tests.losses.small_anatomies import CASES, Small, batch
from tests.ranks import run_ranks

MOMENTUM, BATCHES, BATCH_SIZE = 0.75, 3, 4


class Student(Small):
    """With what an average must treat apart: dropout, and batch statistics."""

    def __init__(self, seed):
        super().__init__(seed)
        self.architecture = {"anatomies": ["lung", "heart", "aorta"]}
        self.normalize = nn.BatchNorm1d(5).double()
        self.drop = nn.Dropout(0.3)

    def forward(self, images, **inputs):
        images = self.drop(self.normalize(images.flatten(0, 1)).unflatten(0, images.shape[:2]))
        return super().forward(images, **inputs)


def shift(network, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator).abs()


def test_copies_follow_their_networks_slowly():
    pair = CoTeaching(Student(1), Student(2), MOMENTUM)
    students = (pair.network, pair.partner)
    for student in students:
        shift(student, 3)  # as weights loaded before the training would
    pair.train()
    means = []
    for step in range(4):
        now = [{name: value.detach().clone() for name, value in student.named_parameters()} for student in students]
        means = (
            now
            if not step
            else [
                {name: MOMENTUM * mean[name] + (1 - MOMENTUM) * value for name, value in new.items()}
                for mean, new in zip(means, now, strict=True)
            ]
        )
        statistics = [student.normalize.running_mean.clone() for student in students]
        pair(**batch("all there"))
        for teacher, mean, seen in zip(pair.teachers, means, statistics, strict=True):
            for name, value in teacher.module.named_parameters():
                torch.testing.assert_close(value, mean[name])
            torch.testing.assert_close(teacher.module.normalize.running_mean, seen)
        for number, student in enumerate(students):
            shift(student, 10 * step + number)


def test_in_training_the_copies_read_without_dropout_and_without_gradient():
    pair = CoTeaching(Student(1), Student(2), MOMENTUM)
    inputs = batch("all there")
    _, _, lessons = pair.train()(**inputs)
    assert pair.network.training and pair.partner.training
    for teacher, taught in zip(pair.teachers, (lessons.by_network, lessons.by_partner), strict=True):
        again = teacher.module.eval()(**inputs)
        assert torch.equal(taught[0].anatomies, again[0].anatomies) and torch.equal(taught[1].anatomies, again[1].anatomies)
        assert not taught[0].anatomies.requires_grad and not taught[1].anatomies.requires_grad
    assert not torch.allclose(lessons.by_network[0].anatomies, lessons.by_partner[0].anatomies)
    FVLMLoss(co_teaching_weight=0.5)(*pair(**inputs))["loss"].backward()
    assert all(p.grad is not None for student in (pair.network, pair.partner) for p in student.parameters())
    assert all(p.grad is None for p in pair.teachers.parameters())


def test_in_evaluation_the_pair_is_its_first_network():
    pair = CoTeaching(Student(1), Student(2), MOMENTUM).eval()
    before = pair.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    found, expected = pair(**batch("all there")), pair.network(**batch("all there"))
    assert len(found) == 2 and torch.equal(found[0].anatomies, expected[0].anatomies)
    assert torch.equal(found[1].anatomies, expected[1].anatomies)
    assert all(torch.equal(value, before[name]) for name, value in pair.state_dict().items())


def test_a_momentum_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match=r"1\.5"):
        CoTeaching(Student(1), Student(2), 1.5)


def test_a_partner_shares_what_is_pretrained_alone():
    network, other = Small(1), Small(2)
    network.text.weight.requires_grad_(False)
    partner = new_partner(network, other, ["text."])
    assert torch.equal(partner.text.weight, network.text.weight) and torch.equal(partner.text.bias, network.text.bias)
    assert torch.equal(partner.image.weight, other.image.weight) and partner.image.weight is not other.image.weight
    assert not partner.text.weight.requires_grad and partner.image.weight.requires_grad
    assert torch.equal(new_partner(network, other).text.weight, other.text.weight)


def new_run(folder, seed=5, epochs=2, extra=True, **options):
    """A training of a pair on twelve patients; its trace gets the losses as they come."""
    patients = [
        {name: value[row] for name, value in batch(case).items()} for case in CASES[:2] + CASES[:1] for row in range(BATCH_SIZE)
    ]

    def collate(rows):
        inputs = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        return {"images": inputs.pop("images"), "inputs": inputs, "case_ids": [str(number) for number in range(len(rows))]}

    class Patients:
        def __len__(self):
            return len(patients)

        def __getitem__(self, index):
            return patients[index % len(patients)]

    dataset = Patients()
    loader = DataLoader(dataset, BATCH_SIZE, sampler=EpochSampler(dataset, seed=1), collate_fn=collate)
    pair = CoTeaching(Student(seed), Student(seed + 1), MOMENTUM)
    students = [*pair.network.parameters(), *pair.partner.parameters()]
    optimizer = torch.optim.AdamW(students, lr=0.02)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    parts = {"partner": pair.partner, "teachers": pair.teachers} if extra else {}
    checkpoints = CheckpointHandler(
        folder, pair.network, optimizer, schedule, Engine(lambda *_: None), "loss", "min", extra=parts, **options
    )
    trainer = VisionLanguageTrainer(
        "cpu", epochs, loader, pair, optimizer, FVLMLoss(co_teaching_weight=0.4), train_handlers=[checkpoints], clip_grad_norm=1.0
    )
    trace = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: trace.append(dict(engine.state.output)))
    return SimpleNamespace(trainer=trainer, pair=pair, trace=trace)


@pytest.mark.parametrize("stop, saved", [(BATCHES, BATCHES - 1), (BATCHES + 1, BATCHES + 1)])  # an epoch's end is saved after it
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(tmp_path, stop, saved):
    torch.manual_seed(7)
    whole = new_run(tmp_path / "whole")
    whole.trainer.run()
    torch.manual_seed(7)
    broken = new_run(tmp_path / "broken", every_iterations=1)

    @broken.trainer.on(Events.ITERATION_COMPLETED(once=stop))
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.trainer.run()
    torch.rand(5)
    again = new_run(tmp_path / "broken", seed=20, every_iterations=1, resume=True)
    again.trainer.run()
    assert len(whole.trace) == 2 * BATCHES and broken.trace == whole.trace[:stop] and again.trace == whole.trace[saved:]
    ours, theirs = again.pair.state_dict(), whole.pair.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_checkpoint_keeps_the_first_network_apart_from_the_rest(tmp_path):
    run = new_run(tmp_path, epochs=1)
    run.trainer.run()
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    network = Student(0)
    network.load_state_dict(state["network"])
    assert torch.equal(network.image.weight, run.pair.network.image.weight)
    assert set(state["extra"]) == {"partner", "teachers"}
    new_run(tmp_path / "plain", epochs=1, extra=False).trainer.run()
    assert "extra" not in torch.load(tmp_path / "plain" / "checkpoint_last.pt", weights_only=True)


def test_a_pair_and_a_single_network_do_not_resume_each_other(tmp_path):
    for name, extra, said in [
        ("single", False, "holds no part beside the network, this run needs partner, teachers"),
        ("pair", True, "holds partner, teachers beside the network, this run needs no part"),
    ]:
        new_run(tmp_path / name, epochs=1, extra=extra).trainer.run()
        with pytest.raises(UserError, match=said):
            new_run(tmp_path / name, extra=not extra, resume=True).trainer.run()


def gradients_of_rank(case, rank):
    network = nn.parallel.DistributedDataParallel(CoTeaching(Small(1), Small(2), MOMENTUM))
    inputs = {name: part[2 * rank : 2 * rank + 2] for name, part in batch(case).items()}
    loss = FVLMLoss(co_teaching_weight=0.4)(*network(**inputs))["loss"]
    loss.backward()
    return float(loss.detach()), {name: p.grad.tolist() for name, p in network.module.named_parameters() if p.requires_grad}


def run_rank(rank, store):
    results = []
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for case in CASES:
        results.append((case, *gradients_of_rank(case, rank)))
    # No network is left: one that outlives its process group can wait for it for ever.
    dist.barrier()
    dist.destroy_process_group()
    return results


@pytest.mark.slow
def test_two_ranks_equal_one_process(tmp_path):
    found = [result for results in run_ranks(run_rank, tmp_path / "store") for result in results]
    assert sorted(case for case, _, _ in found) == sorted(2 * CASES)
    for case, rank_loss, gradients in found:
        pair = CoTeaching(Small(1), Small(2), MOMENTUM).train()
        terms = FVLMLoss(co_teaching_weight=0.4)(*pair(**batch(case)))
        terms["loss"].backward()
        assert rank_loss == pytest.approx(float(terms["loss"].detach()), rel=1e-12), case
        trained = {name: p.grad for name, p in pair.named_parameters() if p.requires_grad}
        assert gradients.keys() == trained.keys() and not any(name.startswith("teachers.") for name in trained)
        for name, gradient in trained.items():
            torch.testing.assert_close(torch.tensor(gradients[name], dtype=torch.float64), gradient, rtol=1e-9, atol=1e-12)
