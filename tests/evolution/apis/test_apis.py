"""What every API must do, and how each one does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.components.apis import (
    ChainApiConfig,
    FacesApiConfig,
    GlyphsApiConfig,
    ImportedApiConfig,
    ModelApiConfig,
    PoolApiConfig,
)
from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.glyphs.alphabet import fonts_of
from datamodules.sets.image_set import ImageSet
from evolution.api import APIS, Checked, Surroundings, by_round
from evolution.apis import faces, glyphs, imported, model, pool
from evolution.samples import Samples
from lightning_modules.registries import LEARNERS
from tests.evolution.shapes import SIDE, surroundings

EXAMPLE = str(Path(__file__).parents[3] / "docs" / "examples" / "shapes.py")


def public() -> ImageSet:
    """Flat images of every gray value, the dark ones of category "4"."""
    values = np.arange(256, dtype=np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (256, 1, SIDE, SIDE)).copy()
    return ImageSet(images, (values >= 128).astype(np.int64), ("4", "7"))


def diffusion(labelled: bool = True) -> tuple[Any, bool]:
    """A small untrained diffusion model of two categories."""
    torch.manual_seed(0)
    network = UNetConfig(base_channels=4, blocks_per_level=1, multipliers=[1], attention_resolutions=[])
    config = DiffusionConfig(network=network, sampler=DDIMConfig(steps=4))
    return LEARNERS.build(config, image=Image(resolution=SIDE, channels=1), classes=2), labelled


def where() -> Surroundings:
    return surroundings(public=public, model=diffusion)


CONFIGS = {
    "glyphs": GlyphsApiConfig(),
    "faces": FacesApiConfig(),
    "pool": PoolApiConfig(),
    "model": ModelApiConfig(),
    "chain": ChainApiConfig(first=GlyphsApiConfig(), then=ModelApiConfig(), then_from=1),
    "imported": ImportedApiConfig(path=f"{EXAMPLE}:Shapes", settings={"soft": 0.1}),
}


def test_every_api_is_tried_here() -> None:
    assert set(CONFIGS) == set(APIS.names())


@pytest.mark.parametrize("name", CONFIGS)
def test_answers_are_what_they_have_to_be_and_repeatable(name: str) -> None:
    for round in (0, 1):
        api = by_round(CONFIGS[name], where())(round)
        first = api.random("4", 7, np.random.default_rng(1))
        varied = api.vary(first, 0.5, np.random.default_rng(2))
        again = by_round(CONFIGS[name], where())(round)
        assert np.array_equal(again.random("4", 7, np.random.default_rng(1)).images, first.images)
        assert np.array_equal(again.vary(first, 0.5, np.random.default_rng(2)).images, varied.images)
        assert not np.array_equal(varied.images, first.images)


@pytest.mark.parametrize("name", ["glyphs", "faces", "pool", "model", "imported"])
def test_a_lower_degree_stays_closer(name: str) -> None:
    api = by_round(CONFIGS[name], where())(0)
    first = api.random("4", 40, np.random.default_rng(1))

    def moved(degree: float) -> float:
        varied = api.vary(first, degree, np.random.default_rng(2))
        return np.abs(varied.images.astype(float) - first.images).mean()

    assert moved(0.05) < 0.7 * moved(1.0)


def test_glyphs_stay_in_their_ranges_and_keep_their_character() -> None:
    config = GlyphsApiConfig(stroke=3, bend=0.08)
    simulator = glyphs.GlyphSimulator(config, surroundings(alike={"4": ("4", "mu")}))
    samples = simulator.random("4", 60, np.random.default_rng(0))
    characters = [simulator.glyph(row).character for row in samples.parameters]
    assert sorted(set(characters)) == ["4", "μ"] and characters.count("4") == 30
    bends = [samples.parameters[:, -32:].std()]
    for step in range(6):
        samples = simulator.vary(samples, 0.7, np.random.default_rng(step))
        bends.append(samples.parameters[:, -32:].std())
    for row, character in zip(samples.parameters, characters, strict=True):
        glyph = simulator.glyph(row)
        assert glyph.character == character and glyph.font in fonts_of(character)
        assert 0.75 <= glyph.size <= 1.05 and abs(glyph.rotation) <= 30 and abs(glyph.shear) <= 0.5
        assert 1 / 1.5 - 1e-9 <= glyph.stretch <= 1.5 + 1e-9 and glyph.stroke in (0, 1, 2, 3)
        assert 0 <= glyph.blur <= 0.5 and max(abs(glyph.shift_x), abs(glyph.shift_y)) <= 0.1
    assert np.allclose(bends, 0.08, rtol=0.1)  # variations neither stiffen nor wear out
    assert len({simulator.glyph(row).font for row in samples.parameters}) > 5


def test_a_category_that_nothing_is_known_of_may_be_any_character() -> None:
    simulator = glyphs.GlyphSimulator(GlyphsApiConfig(), surroundings(alike={}))
    rows = simulator.random("cat", 300, np.random.default_rng(0)).parameters
    assert len(set(rows[:, 0])) > 100
    with pytest.raises(UserError, match="fill_smallest"):
        glyphs.GlyphSimulator(GlyphsApiConfig(fill_smallest=1.2), surroundings())


def test_the_pool_gives_its_images_of_the_category_and_those_alike() -> None:
    api = pool.Pool(PoolApiConfig(widest=20, narrowest=3), where())
    first = api.random("4", 50, np.random.default_rng(0))
    assert first.images.max() < 128 and len(set(first.parameters[:, 0])) == 50
    values = first.images[:, 0, 0, 0].astype(int)
    near = api.vary(first, 0.0, np.random.default_rng(1)).images[:, 0, 0, 0].astype(int)
    assert np.abs(near - values).max() <= 2
    assert len(api.random("4", 300, np.random.default_rng(0))) == 300  # more than it has


def test_a_model_that_does_not_know_the_categories_is_asked_for_none() -> None:
    asked = []
    for labelled in (True, False):
        built = diffusion(labelled)
        api = model.DiffusionApi(ModelApiConfig(batch_size=3), surroundings(model=lambda built=built: built))
        sample = built[0].sample
        built[0].sample = lambda labels, generator, sample=sample: (
            asked.append(set(labels.tolist())),
            sample(labels, generator),
        )[1]
        assert len(api.random("7", 7, np.random.default_rng(0))) == 7
    assert asked == [{1}] * 3 + [{2}] * 3  # 2: the null class
    with pytest.raises(UserError, match="needs a diffusion model"):
        model.DiffusionApi(ModelApiConfig(), surroundings(model=lambda: (object(), True))).random(
            "7", 1, np.random.default_rng(0)
        )


def test_what_is_wrong_within_a_chain_is_named_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class Broken:\n    def __init__(self, **_): pass\n    def random(self, *_): pass\n"
        "    def vary(self, *_): raise ValueError('no')\n"
    )
    for part in ("first", "then"):
        config = ChainApiConfig(first=GlyphsApiConfig(), then=PoolApiConfig())
        setattr(config, part, ImportedApiConfig(path="nowhere.py:Shapes"))
        with pytest.raises(UserError, match=rf"^{part}\.path: there is no file 'nowhere.py'"):
            by_round(config, where())
    broken = ImportedApiConfig(path=f"{tmp_path}/own.py:Broken")
    at = by_round(ChainApiConfig(first=GlyphsApiConfig(), then=broken, then_from=1), where())
    samples = at(0).random("7", 2, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"evolution\.api: Broken\.vary failed: ValueError: no"):
        at(1).vary(samples, 0.5, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["glyphs", "faces", "pool"])
def test_what_varies_its_own_samples_alone_cannot_take_over(name: str) -> None:
    with pytest.raises(UserError, match=rf"^then\.name: '{name}' varies samples by the parameters it gave them"):
        by_round(ChainApiConfig(first=ModelApiConfig(), then=CONFIGS[name]), where())


def test_a_class_of_ones_own_changes_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class Own:\n    def __init__(self, image, class_names, options):\n"
        "        self.size = options.pop('size')\n        image.channels = 7\n"
        "    def random(self, *_): pass\n    def vary(self, *_): pass\n"
    )
    config, around = ImportedApiConfig(path=f"{tmp_path}/own.py:Own", settings={"options": {"size": 3}}), where()
    for _ in range(2):  # a run builds it several times
        assert imported.imported(config, around).size == 3
    assert config.settings == {"options": {"size": 3}} and around.image.channels == where().image.channels != 7


def test_a_chain_hands_over_images_without_parameters() -> None:
    at = by_round(CONFIGS["chain"], where())
    simulated = at(0).random("7", 4, np.random.default_rng(0))
    assert simulated.parameters.shape[1] > 0
    assert at(1).vary(simulated, 0.3, np.random.default_rng(0)).parameters.shape == (4, 0)


def test_faces_in_gray_and_colour() -> None:
    for channels in (1, 3):
        where = surroundings(image=Image(resolution=32, channels=channels))
        images = faces.FaceDrawer(FacesApiConfig(), where).random("4", 20, np.random.default_rng(0)).images
        assert images.shape == (20, channels, 32, 32) and images.std() > 20
        assert len({image.tobytes() for image in images}) == 20


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("class Mine: pass", "Other", "has no class 'Other'"),
        ("class Mine:\n    def __init__(self): pass", "Mine", "cannot be built: TypeError"),
        ("class Mine:\n    def __init__(self, image, class_names): pass", "Mine", "no method random and no vary"),
        ("import nothing_of_the_kind", "Mine", "failed: ModuleNotFoundError"),
        ("1 +", "Mine", "failed: SyntaxError"),
    ],
)
def test_a_file_of_ones_own_that_is_wrong(text: str, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=message):
        imported.imported(ImportedApiConfig(path=f"{tmp_path / 'mine.py'}:{name}"), where())


@pytest.mark.parametrize(
    ("path", "message"), [("", "give a file and a class"), ("nowhere.py:Mine", "there is no file")]
)
def test_a_path_that_is_wrong(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        imported.imported(ImportedApiConfig(path=path), where())


def test_what_the_example_answers_wrongly_is_named() -> None:
    api = imported.imported(CONFIGS["imported"], surroundings(image=Image(resolution=SIDE, channels=3)))
    checked = Checked(api, "Shapes", Image(resolution=SIDE, channels=1))
    with pytest.raises(UserError, match=r"Shapes.random\('4', 2\) gave images uint8 \[2, 3, 8, 8\]"):
        checked.random("4", 2, np.random.default_rng(0))
    assert isinstance(api.random("4", 2, np.random.default_rng(0)), Samples)


def test_what_a_file_and_its_class_change_of_the_process_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    messy = "print('{0}'); os.chdir('elsewhere'); torch.set_default_dtype(torch.float64)"
    (tmp_path / "mine.py").write_text(
        f"import os\nimport torch\n\n{messy.format('imported')}\n\n\nclass Mine:\n"
        f"    def __init__(self, image, class_names):\n        {messy.format('built')}\n\n"
        "    def random(self, category, count, rng): ...\n\n    def vary(self, samples, degree, rng): ...\n"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    imported.imported(ImportedApiConfig(path="mine.py:Mine"), surroundings())
    assert Path.cwd() == tmp_path and torch.get_default_dtype() == torch.float32
    assert capsys.readouterr() == ("", "imported\nbuilt\n")
