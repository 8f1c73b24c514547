"""The semantic classifier: what it learns, and how it answers."""

import lightning
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from configs.components.networks import ResNetConfig
from configs.schema import Classifier, Image
from lightning_modules.classifier import SemanticClassifier

CLASSES = 4
NETWORK = ResNetConfig(blocks=[1, 1], width=8)


def build(steps: int = 60) -> SemanticClassifier:
    torch.manual_seed(0)
    training = Classifier(network=NETWORK, steps=steps, learning_rate=0.01)
    return SemanticClassifier(NETWORK, training, Image(resolution=8, channels=1), CLASSES)


def quadrants(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise with one bright quadrant, which is the category."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[0, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 80
    return images.to(torch.uint8), labels


@pytest.fixture(scope="module")
def trained() -> tuple[SemanticClassifier, lightning.Trainer]:
    module = build()
    train = DataLoader([(s, *quadrants(32, s)) for s in range(60)], batch_size=None)
    validation = DataLoader([(s, *quadrants(64, 1000 + s)) for s in range(2)], batch_size=None)
    trainer = lightning.Trainer(
        max_steps=60,
        val_check_interval=30,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        accelerator="cpu",
    )
    trainer.fit(module, train, validation)
    return module, trainer


@pytest.mark.filterwarnings("ignore")
def test_it_learns_a_separable_problem(trained: tuple[SemanticClassifier, lightning.Trainer]) -> None:
    module, trainer = trained
    images, labels = quadrants(200, 5000)
    assert (module.topk(images, 1)[:, 0] == labels).float().mean() > 0.95
    assert trainer.callback_metrics["validation/accuracy"] > 0.95
    assert {"train/loss", "validation/loss"} <= set(trainer.callback_metrics)


@pytest.mark.filterwarnings("ignore")
def test_topk_lists_the_likeliest_first(trained: tuple[SemanticClassifier, lightning.Trainer]) -> None:
    module, _ = trained
    images, _ = quadrants(21, 6000)
    with torch.no_grad():
        expected = module.eval()(images).argsort(dim=1, descending=True)
    for k in range(1, CLASSES + 1):
        top = module.topk(images, k, batch_size=8)
        assert top.shape == (21, k) and top.dtype == torch.int64
        assert torch.equal(top, expected[:, :k])


def test_answers_do_not_depend_on_the_batch_or_change_the_model() -> None:
    module = build().train()
    images, _ = quadrants(10, 7000)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    together = module.features(images)
    alone = torch.cat([module.features(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_shapes_of_answers() -> None:
    module = build()
    images, _ = quadrants(3, 0)
    width = module.class_embeddings.shape[1]
    assert module.class_embeddings.shape == (CLASSES, width) and not module.class_embeddings.requires_grad
    assert module.features(images, batch_size=2).shape == (3, width)
    assert module.topk(images[:0], 2).shape == (0, 2)
    assert module.features(images[:0]).shape == (0, width)


def test_checkpoint_state_is_tensors_and_plain_types(tmp_path) -> None:
    module = build()
    optimizers = module.configure_optimizers()
    state = {
        "model": module.state_dict(),
        "optimizer": optimizers["optimizer"].state_dict(),
        "schedule": optimizers["lr_scheduler"]["scheduler"].state_dict(),
    }
    torch.save(state, tmp_path / "state.pt")
    torch.load(tmp_path / "state.pt", weights_only=True)
