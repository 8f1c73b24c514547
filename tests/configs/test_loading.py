"""Configurations: which layer overrides which, and what is refused with which message."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configs.errors import UserError
from configs.fields import walk, within
from configs.loading import differences, load, to_yaml, typed
from configs.presets import preset_names, read_preset
from configs.registry import Catalogue
from configs.schema import Experiment

DEMO = load("demo")
HEUN = load("demo", ["generator.sampler.name=heun"])


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


# --- layers


def test_preset_lies_over_method_and_overrides_over_both(tmp_path: Path) -> None:
    overlay = write(
        tmp_path / "overlay.yaml", "pretrain: {steps: 1, batch_size: 1, learning_rate: 1}\nfinetune: {steps: 7}\n"
    )
    preset = write(tmp_path / "mine.yaml", f"method: {overlay}\npretrain: {{steps: 2, batch_size: 2}}\n")
    config = load(preset, ["pretrain.steps=3"])
    assert (config.pretrain.steps, config.pretrain.batch_size, config.pretrain.learning_rate) == (3, 2, 1.0)
    assert config.finetune.steps == 7  # the method's
    assert config.finetune.batch_size == Experiment().finetune.batch_size  # nobody's: the default


def test_method_may_be_chosen_by_an_override(tmp_path: Path) -> None:
    overlay = write(tmp_path / "overlay.yaml", "finetune: {clip_norm: 0.25}\n")
    assert load("demo", [f"method={overlay}"]).finetune.clip_norm == DEMO.finetune.clip_norm  # the preset says it
    assert load(write(tmp_path / "mine.yaml", "{}"), [f"method={overlay}"]).finetune.clip_norm == 0.25


def test_the_last_of_two_overrides_counts() -> None:
    assert load("demo", ["finetune.steps=3", "finetune.steps=4"]).finetune.steps == 4


def test_a_run_is_named_after_its_experiment(tmp_path: Path) -> None:
    assert load(write(tmp_path / "mine.yaml", "{}")).run.name == "mine"
    assert load("demo", ["run.name=other"]).run.name == "other"


def test_another_part_forgets_the_keys_of_the_part_it_replaces() -> None:
    assert hasattr(DEMO.public, "images_per_category")
    other = load("demo", ["public.name=folder", "public.root=there"])
    assert not hasattr(other.public, "images_per_category") and other.public.root == "there"
    assert HEUN.generator.sampler.steps == 18 != DEMO.generator.sampler.steps  # its own default, not the ddim's
    assert HEUN.generator.network == DEMO.generator.network
    same = load("demo", ["generator.sampler.name=ddim", "generator.sampler.rho=5"])
    assert same.generator.sampler == dataclasses.replace(DEMO.generator.sampler, rho=5.0)


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names("networks"))
def test_network_presets_are_expanded_under_what_is_given(preset: str) -> None:
    network = load("demo", [f"generator.network.preset={preset}", "generator.network.blocks_per_level=9"])
    assert network.generator.network.blocks_per_level == 9
    assert "preset" not in to_yaml(network)
    plain = load("demo", [f"generator.network.preset={preset}"]).generator.network
    assert dataclasses.replace(plain, blocks_per_level=9) == network.generator.network


@pytest.mark.parametrize(("part", "folder"), [("network", "generator_networks"), ("discriminator", "discriminators")])
def test_presets_of_a_gans_networks_are_expanded(part: str, folder: str) -> None:
    for preset in preset_names(folder):
        words = ["method=privimage_g", f"generator.{part}.preset={preset}", f"generator.{part}.base_channels=9"]
        assert getattr(load("demo", words).generator, part).base_channels == 9
        assert getattr(load("demo", words[:2]).generator, part).base_channels != 9


def test_settings_for_a_generator_count_where_it_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "pretrain: {steps: 7, batch_size: 8}\nprivacy: {delta: 1.0e-5}\nfor_generator:\n"
        "  gan: {pretrain: {steps: 9}, generator: {latent: 5}}\n  diffusion: {generator: {multiplicity: 3}}\n"
    )
    plain, gan = load(str(path)), load(str(path), ["method=privimage_g"])
    assert (plain.pretrain.steps, plain.generator.name, plain.generator.multiplicity) == (7, "diffusion", 3)
    assert (gan.pretrain.steps, gan.generator.name, gan.generator.latent) == (9, "gan", 5)
    assert gan.pretrain.batch_size == 8 and gan.privacy.delta == 1e-5
    assert load(str(path), ["generator.name=gan"]).generator == gan.generator
    assert load(str(path), ["method=privimage_g", "pretrain.steps=3"]).pretrain.steps == 3
    assert "for_generator" not in to_yaml(gan)
    path.write_text("for_generator: {gan: 3}")
    with pytest.raises(UserError, match="for_generator"):
        load(str(path))


@pytest.mark.parametrize("preset", preset_names("experiments"))
def test_other_images_than_a_presets_own_get_a_delta_of_their_own(preset: str) -> None:
    """It depends on n, so that of a preset may be no guarantee for another set."""
    own = load(preset)
    assert own.privacy.delta is not None
    other = load(preset, ["sensitive.name=folder", "sensitive.root=scans"])
    assert other.privacy.delta is None and other.privacy.epsilon == own.privacy.epsilon
    assert load(preset, ["sensitive.name=folder", "privacy.delta=1e-6"]).privacy.delta == 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("method", preset_names("methods"))
@pytest.mark.parametrize("own", ["privimage_d", "sim_pe_then_pe", "sim_pe_voted"])
def test_a_method_that_is_asked_for_is_that_method_whatever_a_saved_file_was_of(
    tmp_path: Path, method: str, own: str
) -> None:
    path = tmp_path / "saved.yaml"
    path.write_text(to_yaml(load("demo", [f"method={own}", "pretrain.batch_size=33", "privacy.epsilon=3"])))
    found, plain = load(str(path), [f"method={method}"]), load("demo", [f"method={method}"])
    assert found.method == method and found.stages == plain.stages
    assert found.generator.name == plain.generator.name or method in ("sim_pe", "query_only", "public_only", "nonpriv")
    assert found.evolution.api.name == plain.evolution.api.name
    assert (found.pretrain.batch_size, found.privacy.epsilon) == (33, 3)
    for name, value in read_preset("methods", method).get("evolution", {}).items():
        if method != own and not isinstance(value, dict):
            assert getattr(found.evolution, name) == value


def test_a_saved_file_that_was_changed_keeps_its_changes(tmp_path: Path) -> None:
    path = tmp_path / "saved.yaml"
    stages = "stages=[classifier,query,select,pretrain,finetune,synthesize,evaluate]"
    path.write_text(to_yaml(load("demo", [stages, "generator.multiplicity=7"])))
    for words in ([], ["method=privimage_d"]):
        found = load(str(path), words)
        assert found.generator.multiplicity == 7 and found.stages[-1] == "evaluate"
    other = load(str(path), ["method=dpdm"])
    assert other.generator.multiplicity == 7 and other.stages[-1] == "report"


def test_settings_for_a_method_count_for_it_alone_and_above_those_of_its_components(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "evolution: {rounds: 3}\nfor_api: {glyphs: {evolution: {rounds: 4, smooth: 5, api: {bend: 0.2}}}}\n"
        "for_method: {sim_pe: {evolution: {rounds: 6, api: {bend: 0.3}}}}\n"
    )
    one, other = (load(str(path), [f"method={name}"]).evolution for name in ("sim_pe", "sim_pe_voted"))
    assert (one.rounds, one.smooth, one.api.name, one.api.bend) == (6, 5, "glyphs", 0.3)
    assert (other.rounds, other.smooth, other.api.bend) == (4, 5, 0.2)
    assert load(str(path), ["method=sim_pe", "evolution.rounds=2"]).evolution.rounds == 2
    for wrong, message in (
        ("{sim_peh: {run: {seed: 1}}}", "no method 'sim_peh'"),
        ("[sim_pe]", "write the name of a method"),
        ("{sim_pe: 3}", "write the name of a method"),
    ):
        path.write_text(f"for_method: {wrong}")
        with pytest.raises(UserError, match=message):
            load(str(path), ["method=sim_pe"])


@pytest.mark.slow
@pytest.mark.parametrize("experiment", preset_names("experiments"))
@pytest.mark.parametrize("method", preset_names("methods"))
def test_every_preset_goes_with_every_method(experiment: str, method: str) -> None:
    assert load(experiment, [f"method={method}"]).method == method


# --- values


def test_a_number_may_be_written_as_people_write_it() -> None:
    config = load("demo", ["privacy.delta=1e-5", "finetune.steps=3.0", "privacy.epsilon=2", "pretrain.steps=1e2"])
    assert config.privacy.delta == 1e-5
    assert config.finetune.steps == 3 and isinstance(config.finetune.steps, int)
    assert config.privacy.epsilon == 2.0 and isinstance(config.privacy.epsilon, float)
    assert config.pretrain.steps == 100


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("7", 7), ("7.0", 7), ("'auto'", "auto")])
def test_a_number_or_a_word(text: str, value: object) -> None:
    found = load("demo", [f"finetune.micro_batch={text}"]).finetune.micro_batch
    assert found == value and type(found) is type(value)


def test_null_takes_the_default_way_where_it_is_allowed() -> None:
    assert load("demo", ["privacy.delta=null"]).privacy.delta is None


def test_lists_and_flags() -> None:
    words = ["evaluate.classifiers=[lr,cnn]", "query.per_category=false", "classifier.network.blocks=[2]"]
    config = load("demo", words)
    assert config.evaluate.classifiers == ["lr", "cnn"]
    assert config.query.per_category is False
    assert config.classifier.network.blocks == [2]


BAD = {
    "privacy.epsilom=1": ["privacy.epsilom", "Did you mean privacy.epsilon?"],
    "epsilon=1": ["epsilon: unknown key", "Did you mean privacy.epsilon?"],
    "generator.network.base_channel=4": ["generator.network.base_channel", "generator.network.base_channels?"],
    "sensitive.images_per_category=4": ["'digits' has no such key", "sensitive.name=glyphs has"],
    "quer.semantics=1": ["quer: unknown key", "Did you mean query?"],
    "finetune.zzz=1": ["finetune.zzz: unknown key", "Allowed here: steps, batch_size"],
    "finetune.steps=many": ["finetune.steps: got 'many'", "a whole number >= 1"],
    "finetune.steps=2.5": ["finetune.steps: got 2.5", "a whole number >= 1"],
    "finetune.steps=0": ["finetune.steps: got 0", "a whole number >= 1"],
    "finetune.steps=null": ["finetune.steps: got None", "a whole number >= 1"],
    "finetune.micro_batch=0": ["finetune.micro_batch: got 0", "auto or a whole number >= 1"],
    "finetune.micro_batch=atuo": ["finetune.micro_batch: got 'atuo'", "auto or a whole number >= 1"],
    "finetune.micro_batch=2.5": ["finetune.micro_batch: got 2.5", "auto or a whole number >= 1"],
    "finetune.micro_batch=true": ["finetune.micro_batch: got True", "auto or a whole number >= 1"],
    "finetune.micro_batch=null": ["finetune.micro_batch: got None", "auto or a whole number >= 1"],
    "finetune.micro_batch=[auto]": ["finetune.micro_batch: got ['auto']", "auto or a whole number >= 1"],
    "finetune.memory_gib=0": ["finetune.memory_gib: got 0", "a number or null, > 0"],
    "query.semantics=true": ["query.semantics: got True", "a whole number"],
    "query.per_category=maybe": ["query.per_category: got 'maybe'", "true or false"],
    "privacy.epsilon=0": ["privacy.epsilon: got 0", "a number >= 1e-06"],
    "privacy.epsilon=-1": ["privacy.epsilon: got -1", "a number >= 1e-06"],
    "privacy.epsilon=nan": ["privacy.epsilon: got nan", "a number >= 1e-06"],
    "privacy.epsilon=inf": ["privacy.epsilon: got inf", "a number >= 1e-06"],
    "privacy.epsilon=.inf": ["privacy.epsilon: got inf", "a number >= 1e-06"],
    "privacy.epsilon=1e400": ["privacy.epsilon: got inf", "a number >= 1e-06"],
    "privacy.epsilon=": ["privacy.epsilon: there is no value", "privacy.epsilon=null"],
    "privacy.epsilon=null": ["privacy.epsilon: got None", "a number >= 1e-06"],
    "privacy.delta=1": ["privacy.delta: got 1", "a number or null, > 0 and < 1"],
    "privacy.accountant=gdp": ["privacy.accountant: got 'gdp'", "one of rdp, prv"],
    "image.channels=2": ["image.channels: got 2", "one of 1, 3"],
    "generator.P_mean=nan": ["generator.P_mean: got nan", "a number"],
    "classifier.network.blocks=1": ["classifier.network.blocks: got 1", "a list"],
    "classifier.network.blocks=[a]": ["classifier.network.blocks: got ['a']"],
    "evaluate.classifiers=[[lr]]": ["evaluate.classifiers: got [['lr']]"],
    "stages={a: 1}": ["stages: got {'a': 1}", "a list"],
    "privacy.epsilon.x=1": ["privacy.epsilon", "a number >= 1e-06"],
    "run.name.x=1": ["run.name", "text"],
    "sensitive=mnist": ["sensitive: got 'mnist'", "sensitive.name="],
    "sensitive.name=digit": ["sensitive.name: there is no source named 'digit'", "Did you mean 'digits'?"],
    "sensitive.name=[digits]": ["sensitive.name", "there is no source named"],
    "privacy=5": ["privacy: got", "privacy.epsilon="],
    "generator.network.preset=unet_1.75": ["no network 'unet_1.75'", "Did you mean 'unet_1.75m'?"],
    "method=privimage_e": ["no method 'privimage_e'", "Did you mean 'privimage_"],
    "privacy.epsilon": ["'privacy.epsilon' is not an override", "section.key=value"],
    "=1": ["'=1' is not an override"],
    "privacy.epsilon=[1": ["privacy.epsilon: cannot read the value '[1'"],
    "synthesize.count=1": ["synthesize.count: got 1", "a whole number >= 2"],
    "run.seed=99999999999999999999": ["run.seed: got 99999999999999999999", "a whole number >= 0"],
}


@pytest.mark.slow
@pytest.mark.parametrize("override", BAD)
def test_a_mistake_is_answered_with_key_value_and_range(override: str) -> None:
    with pytest.raises(UserError) as error:
        load("demo", [override])
    for part in BAD[override]:
        assert part in str(error.value)


def test_overrides_that_contradict_each_other() -> None:
    with pytest.raises(UserError, match="earlier override gives 'privacy' a plain value"):
        load("demo", ["privacy=5", "privacy.epsilon=1"])


def test_a_plain_value_in_a_preset_where_a_group_belongs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="privacy"):
        load(write(tmp_path / "mine.yaml", "privacy: 5\n"), ["privacy.epsilon=1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not readable as YAML"),
        ("- a\n- b\n", "must hold `section: {key: value}` pairs"),
        ("privacy: {epsilom: 1}\n", "privacy.epsilom: unknown key. Did you mean privacy.epsilon?"),
        ("sensitive: {name: folder, root: 2024_01}\n", "sensitive.root: got 202401; allowed is text. Put it in quotes"),
    ],
)
def test_a_faulty_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        load(write(tmp_path / "mine.yaml", text))
    assert message in str(error.value)


def test_an_experiment_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no experiment 'demmo'.*there are: .*demo.*Did you mean 'demo'"):
        load("demmo")
    with pytest.raises(UserError, match=r"^there is no file 'missing\.yaml'\.$"):
        load("missing.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(UserError, match=r"folder\.yaml' is a folder, not a file"):
        load(str(tmp_path / "folder.yaml"))


KEYS = [path for path, _ in walk(DEMO)]
WORDS = st.sampled_from([*KEYS, "method", "a", ""]) | st.text(max_size=8)
VALUES = st.sampled_from(["1", "nan", "[a]", "{a: 1}", "[[1]]", "null", "???", "${run.name}", "'", "-", "1e5"]) | (
    st.text(max_size=10)
)


@pytest.mark.slow
@settings(max_examples=40)
@example([("generator", ".name", "[a]")])
@example([("evolution.api", ".name", "{a: 1}")])
@given(st.lists(st.tuples(WORDS, st.sampled_from(["", ".x", ".name"]), VALUES), max_size=2))
def test_no_override_makes_a_traceback(overrides: list[tuple[str, str, str]]) -> None:
    """Any words that are typed give a configuration or a message."""
    try:
        load("demo", [f"{key}{more}={value}" for key, more, value in overrides])
    except UserError as error:
        assert len(str(error)) > 20


def test_text_is_taken_as_it_is_written() -> None:
    """A folder or a key of digits is not a number."""
    config = load("demo", ["run.name=2024_01", "sensitive.name=folder", "sensitive.root=007"])
    assert (config.run.name, config.sensitive.root) == ("2024_01", "007")
    assert load("demo", ["privacy.insecure_key=" + "01" * 32]).privacy.insecure_key == "01" * 32


def test_another_method_has_a_run_of_its_own() -> None:
    assert load("demo").run.name == "demo" == load("demo", ["method=privimage_d"]).run.name
    assert load("demo", ["method=sim_pe"]).run.name == "demo-sim_pe"
    assert load("demo", ["method=sim_pe", "run.name=mine"]).run.name == "mine"


@pytest.mark.parametrize("word", ["evolution.reuse=", "query.reuse= ", "run.name="])
def test_an_empty_value_is_not_taken_for_none(word: str) -> None:
    """For example an empty shell variable: there would be a new charge instead of an answer that is taken over."""
    with pytest.raises(UserError, match=rf"{word.partition('=')[0]}: there is no value"):
        load("demo", [word])
    assert load("demo", ["query.reuse=null"]).query.reuse is None


def test_runs_of_an_experiment_are_one_group_unless_named() -> None:
    assert load("demo", ["run.name=a"]).wandb.group == "demo"
    assert load("demo", ["wandb.group=sweep"]).wandb.group == "sweep"


def test_differences_name_key_and_both_values_and_pass_over_the_machine() -> None:
    elsewhere = ["launch.threads=1", "run.root=elsewhere", "tracking=[csv]", "wandb.mode=online"]
    other = load("demo", ["finetune.steps=7", "generator.sampler.name=heun", *elsewhere])
    lines = differences(DEMO, other)
    assert f"finetune.steps: {DEMO.finetune.steps} there, 7 here" in lines
    assert "generator.sampler.name: 'ddim' there, 'heun' here" in lines
    assert "generator.sampler.S_churn: 'not set' there, 0.0 here" in lines
    assert not any(line.startswith(("launch", "run.root", "tracking", "wandb")) for line in lines)


def test_every_key_of_every_part_has_help_and_a_default_it_allows() -> None:
    kinds = [registry.config(name) for registry in Catalogue.all.values() for name in registry.names()]
    for kind in kinds:
        made = typed(kind, {}, "")
        for field in dataclasses.fields(kind):
            if field.name != "name":
                assert field.metadata["help"], f"{kind.__module__}.{kind.__name__}.{field.name}"
            if "limits" in field.metadata:
                assert within(getattr(made, field.name), field.metadata)
