"""The classifier that is trained privately: its losses, its per-record gradients and its labels for images."""

import pytest
import torch
from torch.nn import functional as F

from configs.components.generators import TeacherConfig
from configs.components.networks import LeNetConfig, ResNetConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.dp_sgd.engine import ENGINES, trained_parameters
from lightning_modules.dp_sgd.validation import check_network, check_records_apart
from lightning_modules.teacher import Teacher, moved


@pytest.fixture
def teacher() -> Teacher:
    torch.manual_seed(0)
    config = TeacherConfig(network=LeNetConfig(width=4, hidden=16))
    return Teacher(config, image=Image(resolution=8, channels=1), classes=3)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_loss_is_the_cross_entropy_of_its_own_record(teacher: Teacher, images: torch.Tensor) -> None:
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    random = torch.Generator().manual_seed(2)
    state = random.get_state()
    losses = teacher.record_losses(images, labels, random, multiplicity=1)
    assert torch.equal(random.get_state(), state)
    for i in range(len(images)):
        logits = teacher.network(images[i : i + 1].float() / 127.5 - 1)
        torch.testing.assert_close(losses[i], F.cross_entropy(logits[0], labels[i]))
    assert teacher.record_losses(images[:0], labels[:0], random).shape == (0,)


@pytest.mark.parametrize("engine", ["fused", "opacus"])
def test_the_clipped_sum_is_that_of_autograd(teacher: Teacher, images: torch.Tensor, engine: str) -> None:
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    clip = 0.7
    found, _ = ENGINES[engine](teacher, clip, "fp32").clipped_sum(images, labels, torch.Generator())
    expected = torch.zeros_like(found)
    for i in range(len(images)):
        loss = teacher.record_losses(images[i : i + 1], labels[i : i + 1], torch.Generator()).sum()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained_parameters(teacher))])
        expected += gradient * min(1, clip / (1 + 2**-10) / float(gradient.norm()))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_views_of_a_record_are_moved_and_clipped_together(images: torch.Tensor) -> None:
    config = TeacherConfig(network=LeNetConfig(width=4, hidden=16), multiplicity=3, shift=0.1, turn=20, stretch=1.2)
    teacher = Teacher(config, image=Image(resolution=8, channels=1), classes=3)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    random = torch.Generator().manual_seed
    losses = teacher.record_losses(images, labels, random(3))
    assert losses.shape == (18,) and losses.view(6, 3).std(dim=1).min() > 0
    parts = torch.Generator().manual_seed(3)  # views of a record depend only on it and its place
    halves = [teacher.record_losses(images[i : i + 3], labels[i : i + 3], parts) for i in (0, 3)]
    torch.testing.assert_close(torch.cat(halves), losses)
    clip = 0.3
    found, _ = ENGINES["fused"](teacher, clip, "fp32").clipped_sum(images, labels, random(3))
    expected = torch.zeros_like(found)
    for i in range(len(images)):
        loss = teacher.record_losses(images, labels, random(3)).view(6, 3)[i].mean()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained_parameters(teacher))])
        expected += gradient * min(1, clip / (1 + 2**-10) / float(gradient.norm()))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_views_have_their_own_records_label(images: torch.Tensor) -> None:
    config = TeacherConfig(network=LeNetConfig(width=4, hidden=16), multiplicity=2, shift=0.1)
    teacher = Teacher(config, image=Image(resolution=8, channels=1), classes=3)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    before = teacher.record_losses(images, labels, torch.Generator().manual_seed(0)).view(6, 2)
    labels[0] = 1
    after = teacher.record_losses(images, labels, torch.Generator().manual_seed(0)).view(6, 2)
    assert (before[0] != after[0]).all() and torch.equal(before[1:], after[1:])


def test_a_view_stays_within_its_limits() -> None:
    config = TeacherConfig(network=LeNetConfig(width=4, hidden=16), shift=0.25, turn=30, stretch=1.5)
    teacher = Teacher(config, image=Image(resolution=8, channels=1), classes=3)
    matrices = teacher.movements(500, 1, torch.Generator().manual_seed(0))
    assert matrices[:, :, 2].abs().max() <= 0.5 and matrices[:, :, 2].abs().max() > 0.45
    scale = torch.linalg.det(matrices[:, :, :2]).sqrt()
    assert 1 / 1.5 <= scale.min() < 0.7 and 1.4 < scale.max() <= 1.5
    angle = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert angle.abs().max() <= 30 and angle.abs().max() > 27
    images = torch.rand(2, 1, 8, 8)
    still = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(2, 2, 3)
    torch.testing.assert_close(moved(images, still), images)
    right = torch.tensor([[1.0, 0, 0.25], [0, 1, 0]]).expand(2, 2, 3)  # one of eight pixels
    torch.testing.assert_close(moved(images, right)[..., :-1], images[..., 1:])


def test_several_views_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(UserError, match="multiplicity: 2 views of a record are all the same"):
        Teacher(TeacherConfig(multiplicity=2), image=Image(resolution=8, channels=1), classes=3)


def test_it_may_be_trained_with_dp_sgd_and_one_that_mixes_records_may_not(teacher: Teacher) -> None:
    check_network(teacher.trainable)
    engine = ENGINES["fused"](teacher, 1.0, "fp32")
    check_records_apart(teacher, engine, shape=(1, 8, 8), classes=3, device=torch.device("cpu"))
    mixing = TeacherConfig(network=ResNetConfig(blocks=[1], width=4))
    with pytest.raises(UserError, match="BatchNorm2d"):
        check_network(Teacher(mixing, image=Image(resolution=8, channels=1), classes=3).trainable)


def test_probabilities_are_of_each_image_alone(teacher: Teacher, images: torch.Tensor) -> None:
    found = teacher.probabilities(images)
    assert found.shape == (6, 3) and torch.allclose(found.sum(1), torch.ones(6))
    torch.testing.assert_close(teacher.probabilities(images[2:3]), found[2:3])
