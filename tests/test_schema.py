import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput, UnknownName
from sweep.plan.facets import Facet, Grid
from sweep.plan.settings import Settings
from sweep.plan.trial import Trial
from sweep.schema import ADAPTERS, DEFAULTS, EFFECT, RULES, check_value, flatten, parse, unflatten


def make_config(**changes: Any) -> dict[str, Any]:
    """The least that a configuration has to hold, with dotted keys changed (`__` for a dot)."""
    flat = {"data.target": ["temp"], **{k.replace("__", "."): v for k, v in changes.items()}}
    return unflatten(flat)


def refusal(**changes: Any) -> str:
    with pytest.raises(BadInput) as caught:
        parse(make_config(**changes))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_what_is_not_said_takes_its_default() -> None:
    settings = parse(make_config(optim__lr=0.5))

    assert isinstance(settings, Settings)
    assert settings.data.target == ["temp"]
    assert settings.optim.lr == 0.5
    assert settings.model.hidden_size == 50


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("model.hidden_size", -5, "model.hidden_size=-5: must be greater than or equal to 1"),
        ("model.hidden_size", 0, "must be greater than or equal to 1"),
        ("model.hidden_size", 50.0, "must be a valid integer (got float 50.0)"),
        ("model.hidden_size", "50", "must be a valid integer (got str '50')"),
        ("model.hidden_size", True, "must be a valid integer (got bool True)"),
        ("model.num_layers", 17, "must be less than or equal to 16"),
        ("model.dropout", 1, "model.dropout=1: must be less than 1"),
        ("model.dropout", 1.5, "must be less than 1"),
        ("model.dropout", -0.1, "must be greater than or equal to 0"),
        ("model.activation", "sigmoid", "no such choice; there are 'tanh' or 'relu'"),
        ("optim.name", "nadam", "optim.name=nadam: no such choice; there are 'adam', 'adamw'"),
        ("optim.lr", 0, "must be greater than 0"),
        ("optim.lr", -1e-3, "must be greater than 0"),
        ("optim.lr", float("nan"), "optim.lr=nan: must be"),
        ("optim.lr", float("inf"), "optim.lr=inf: must be a finite number"),
        ("optim.lr", "fast", "must be a valid number (got str 'fast')"),
        ("optim.lr", None, "must be a valid number"),
        ("optim.l1", -1.0, "must be greater than or equal to 0"),
        ("optim.momentum", 1.0, "must be less than 1"),
        ("optim.clip_norm", 0.0, "must be greater than 0"),
        ("optim.schedule.name", "linear", "no such choice"),
        ("optim.schedule.gamma", 1.0, "must be less than 1"),
        ("train.batch_size", 0, "must be greater than or equal to 1"),
        ("train.epochs", 2.5, "must be a valid integer"),
        ("train.seed", -1, "must be greater than or equal to 0"),
        ("train.precision", "float16", "no such choice"),
        ("data.target", [], "data.target=[]: must be"),
        ("data.target", "temp", "must be a valid list"),
        ("data.lookback", 0, "must be greater than or equal to 1"),
        ("data.horizon", "24", "must be a valid integer"),
        ("data.split", [0.5, 0.5], "data.split=[0.5, 0.5]: must be"),
    ],
)
def test_a_bad_value_is_refused_in_a_line_that_names_it(key: str, value: Any, line: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_value(key, value)

    text = str(caught.value)
    assert text.startswith(f"{key}={value}: ")
    assert line in text
    assert "\n" not in text


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"'optim.learning_rate' does not exist"):
        check_value("optim.learning_rate", 0.1)
    with pytest.raises(UnknownName, match=r"did you mean model.hidden_size"):
        parse(make_config(model__hiden_size=50))


@pytest.mark.parametrize("value", ["${train.epochs}", "${oc.env:LR}"])
def test_what_the_worker_resolves_is_left_to_it(value: str) -> None:
    check_value("optim.lr", value)
    for rule in RULES:
        rule.of(dict.fromkeys(rule.keys, value))


def test_a_configuration_without_a_target_is_refused() -> None:
    with pytest.raises(BadInput, match=r"data\.target is missing"):
        parse({"model": {"hidden_size": 3}})


@pytest.mark.parametrize("key", ADAPTERS)
def test_every_default_is_allowed(key: str) -> None:
    if key != "data.target":
        check_value(key, DEFAULTS[key])


@pytest.mark.parametrize(
    ("split", "line"),
    [
        ([0.7, 0.1, 0.1], "must add up to 1"),
        ([0.7, 0.5, -0.2], "must be positive"),
        ([100, 10.5, 10], "must add up to 1; or give whole numbers of rows"),
    ],
)
def test_a_split_that_does_not_add_up_is_refused(split: list[float], line: str) -> None:
    assert line in refusal(data__split=split)


def test_a_column_that_is_named_twice_is_refused() -> None:
    assert "temp is named twice" in refusal(data__covariates=["humid", "temp"])


SEQUENCES = {
    "data__kind": "sequences",
    "data__classes": ["a", "b", "c"],
    "model__head": "softmax",
    "train__loss": "cross_entropy",
}
TEXT = SEQUENCES | {
    "data__kind": "text",
    "data__classes": ["no", "yes"],
    "model__head": "sigmoid",
    "model__embedding": "random",
    "train__loss": "bce",
}
SEGMENTS = {"model__segment": 24, "data__lookback": 96}


@pytest.mark.parametrize("changes", [SEQUENCES, TEXT, SEGMENTS])
def test_settings_that_fit_together_are_taken(changes: dict[str, Any]) -> None:
    assert parse(make_config(**changes)).data.folds == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"model__head": "softmax"}, "with data.kind=series: write model.head=linear"),
        (
            SEQUENCES | {"model__head": "linear"},
            "write model.head=sigmoid (two classes) or softmax",
        ),
        ({"train__loss": "bce"}, "with model.head=linear: write train.loss=mse or mae or quantile"),
        (SEQUENCES | {"train__loss": "mse"}, "write train.loss=cross_entropy"),
        (
            SEQUENCES | {"model__head": "sigmoid", "train__loss": "bce"},
            "tells two classes apart, and data.classes names 3",
        ),
        (SEQUENCES | {"data__classes": ["a"]}, "needs two data.classes or more, and there are 1"),
        (SEQUENCES | {"data__classes": ["a", "b", "a"]}, "data.classes: a is named twice"),
        (TEXT | {"model__embedding": None}, "write model.embedding=random or glove"),
        ({"model__embedding": "glove"}, "with data.kind=series: write model.embedding=null"),
        (
            TEXT | {"model__embedding": "glove", "model__embedding_size": 20},
            "these vectors have 50 numbers; write model.embedding_size=50",
        ),
        (SEGMENTS | {"data__lookback": 100}, "write data.lookback=96, or another segment"),
        (SEGMENTS | {"data__lookback": 10}, "write data.lookback=24, or another segment"),
        (SEQUENCES | {"model__segment": 2}, "segments are of series; write null"),
        (SEQUENCES | {"data__normalization": "last"}, "they are for series"),
        (SEQUENCES | {"data__layout": "channel"}, "they are for series"),
        (SEQUENCES | {"train__class_weights": [1.0, 2.0]}, "2 weights, and data.classes names 3"),
        (SEQUENCES | {"train__class_weights": [1.0, 0.0, 1.0]}, "every weight must be above 0"),
        ({"train__quantiles": [0.5, 0.1]}, "write rising numbers between 0 and 1"),
        ({"train__quantiles": [0.5, 1.0]}, "write rising numbers between 0 and 1"),
        (SEQUENCES | {"data__split": [100.0, 20.0, 20.0]}, "sequences are split by shares"),
        (TEXT | {"data__split": [0.8, 0.2, 0.0]}, "every part must be positive"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_with_the_remedy(
    changes: dict[str, Any], line: str
) -> None:
    assert line in refusal(**changes)


def test_a_plateau_that_comes_after_the_stop_is_refused() -> None:
    line = refusal(optim__schedule__name="plateau", optim__schedule__patience=5, train__patience=5)

    assert "make optim.schedule.patience smaller than train.patience" in line


def test_a_plateau_that_never_comes_is_refused() -> None:
    line = refusal(optim__schedule__name="plateau", train__patience=None, train__epochs=3)

    assert "make optim.schedule.patience smaller than train.epochs" in line


def test_a_step_that_never_comes_is_refused() -> None:
    line = refusal(optim__schedule__name="step", optim__schedule__step_epochs=10, train__epochs=10)

    assert "the rate is never reduced" in line


def test_a_warm_up_that_never_ends_is_refused() -> None:
    assert "the warm-up never ends" in refusal(optim__schedule__warmup_epochs=5, train__epochs=5)


@pytest.mark.parametrize(
    "changes",
    [
        {"optim__schedule__patience": 9, "train__patience": 5},  # no plateau: of no effect
        {"optim__schedule__step_epochs": 99, "train__epochs": 3},  # no step
        {"optim__schedule__warmup_epochs": 4, "train__epochs": 5},
        {"data__split": [100, 10, 10]},
    ],
)
def test_settings_that_fit_together_are_accepted(changes: dict[str, Any]) -> None:
    parse(make_config(**changes))


@given(
    st.recursive(
        st.integers() | st.lists(st.integers(), max_size=2),
        lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2),
        max_leaves=5,
    ).filter(lambda tree: isinstance(tree, dict))
)
def test_dotted_keys_and_nested_groups_are_the_same(tree: dict[str, Any]) -> None:
    assert unflatten(flatten(tree)) == tree


def effect_of(**changes: Any) -> tuple[object, object]:
    """What decides about equality in effect: the effect, and all other settings."""
    flat = {**DEFAULTS, **flatten(make_config(**changes))}
    grid = Grid([flat], [Trial(0, 0, {})])
    others = Facet(tuple(k for k in flat if k not in EFFECT.keys), lambda config: repr(config))
    return grid.ask(EFFECT)[0], grid.ask(others)[0]


ONE = {"model__num_layers": 1}
LONGEST = TEXT | {"data__longest": 59}
PLATEAU = {"optim__schedule__name": "plateau"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ONE | {"model__dropout": 0.2}, ONE | {"model__dropout": 0.5}),
        ({"optim__momentum": 0.0}, {"optim__momentum": 0.9}),
        ({"optim__name": "rmsprop", "optim__momentum": 0.9}, {"optim__name": "rmsprop"}),
        ({"optim__name": "adamw"}, {"optim__name": "adam"}),
        ({"optim__schedule__gamma": 0.3}, {}),
        ({"optim__schedule__step_epochs": 3}, {}),
        ({"optim__schedule__min_factor": 0.1}, {}),
        ({"optim__schedule__patience": 2}, {}),
        ({"tracking__experiment": "a"}, {"tracking__experiment": "b"}),
        ({"train__quantiles": [0.2, 0.8]}, {}),
        ({"data__vocabulary": 5, "model__embedding_size": 7}, {}),
        (LONGEST | {"data__lookback": 100}, LONGEST | {"data__lookback": 200}),
        (LONGEST | {"data__horizon": 3}, LONGEST),
    ],
)
def test_settings_without_effect_make_no_new_trial(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert effect_of(**one) == effect_of(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model__num_layers": 2, "model__dropout": 0.2}, {"model__num_layers": 2}),
        ({"model__output_dropout": 0.2}, {}),
        ({"optim__name": "sgd", "optim__momentum": 0.9}, {"optim__name": "sgd"}),
        (
            {"optim__name": "adamw", "optim__weight_decay": 0.1},
            {"optim__name": "adam", "optim__weight_decay": 0.1},
        ),
        (
            {"optim__schedule__name": "step", "optim__schedule__gamma": 0.3},
            {"optim__schedule__name": "step"},
        ),
        (
            {"optim__schedule__name": "cosine", "optim__schedule__min_factor": 0.1},
            {"optim__schedule__name": "cosine"},
        ),
        (PLATEAU | {"optim__schedule__patience": 2}, PLATEAU),
        (
            PLATEAU | {"train__patience": None, "train__min_delta": 0.1},
            PLATEAU | {"train__patience": None},
        ),
        ({"train__min_delta": 0.1}, {}),
        ({"train__patience": None, "train__min_delta": 0.1}, {"train__patience": None}),
        ({"train__patience": None}, {}),
        ({"optim__schedule__warmup_epochs": 1}, {}),
        ({"train__seed": 1}, {}),
        ({"optim__lr": 0.1}, {}),
        ({"train__loss": "quantile", "train__quantiles": [0.5]}, {"train__loss": "quantile"}),
        (LONGEST | {"data__lookback": 58}, LONGEST | {"data__lookback": 59}),
        (TEXT | {"data__vocabulary": 5}, TEXT),
        (TEXT | {"data__lookback": 100}, TEXT | {"data__lookback": 200}),  # the longest unknown
        ({"data__folds": 5}, {}),
        ({"data__horizon": 3}, {}),
    ],
)
def test_settings_with_an_effect_make_another_trial(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert effect_of(**one) != effect_of(**other)


def test_a_quarter_of_the_full_grid_is_equal_in_effect() -> None:
    crossed = itertools.product([1, 2, 3], [0.2, 0.3, 0.4, 0.5], ["adam", "sgd"])
    trials = [
        Trial(i, 0, {"model.num_layers": n, "model.dropout": p, "optim.name": name})
        for i, (n, p, name) in enumerate(crossed)
    ]

    effects = Grid([DEFAULTS], trials).ask(EFFECT)

    assert len(set(effects)) == len(trials) * 3 // 4
