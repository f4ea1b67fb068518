"""What the network makes of segments, of sequences of several lengths, and of words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sweep.plan.settings import Data, Model, Settings, Train
from sweep.train import model, shapes
from sweep.train.model import Moment, Padded

Make = Callable[..., Settings]
CPU = torch.device("cpu")


def classifier(**values: Any) -> Settings:
    train = Train(loss="cross_entropy", precision="float64")
    data = Data(kind="sequences", target=["who"], covariates=["a", "b", "c"], classes=["x", "y"])
    own = {"hidden_size": 4, "head": "softmax"} | values
    return Settings(data=data, model=Model(**own), train=train)


def sequences(*lengths: int, seed: int = 0, beyond: float = 0.0) -> Padded:
    values = np.random.default_rng(seed).normal(size=(len(lengths), max(lengths), 3))
    for row, length in enumerate(lengths):
        values[row, length:] = beyond
    return Padded(torch.from_numpy(values), torch.tensor(lengths))


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("pooling", ["last", "max", "mean"])
def test_two_directions_are_those_of_the_library_on_packed_sequences(
    num_layers: int, pooling: str
) -> None:
    settings = classifier(bidirectional=True, num_layers=num_layers, pooling=pooling)
    network = model.build(settings, device=CPU)
    theirs = nn.LSTM(3, 4, num_layers, batch_first=True, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            base, _, place = name.partition("_l")
            group = "backward_layers" if place.endswith("_reverse") else "layers"
            number = place.removesuffix("_reverse")
            parameter.copy_(network.get_parameter(f"{group}.{number}.{base}_l0"))
    batch = sequences(5, 2, 7)

    packed = pack_padded_sequence(
        batch.values, batch.lengths, batch_first=True, enforce_sorted=False
    )
    states, (hidden, _) = theirs(packed)
    states, _ = pad_packed_sequence(states, batch_first=True)
    own = [states[row, : int(n)] for row, n in enumerate(batch.lengths)]
    pooled = {
        "last": torch.cat([hidden[-2], hidden[-1]], dim=1),
        "max": torch.stack([each.amax(dim=0) for each in own]),
        "mean": torch.stack([each.mean(dim=0) for each in own]),
    }[pooling]
    torch.testing.assert_close(network(batch), network.head(pooled))


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    pooling=st.sampled_from(["last", "max", "mean"]),
    bidirectional=st.booleans(),
    beyond=st.floats(-1e3, 1e3),
)
def test_what_pads_a_sequence_has_no_effect(
    lengths: list[int], pooling: str, bidirectional: bool, beyond: float
) -> None:
    network = model.build(classifier(pooling=pooling, bidirectional=bidirectional), device=CPU)

    plain = network(sequences(*lengths))
    other = network(sequences(*lengths, beyond=beyond))
    alone = [network(Padded(b.values[:, :n], b.lengths)) for b, n in each_alone(lengths)]

    torch.testing.assert_close(plain, other, rtol=0, atol=0)
    torch.testing.assert_close(plain, torch.cat(alone))


def each_alone(lengths: list[int]) -> list[tuple[Padded, int]]:
    batch = sequences(*lengths)
    return [
        (Padded(batch.values[row : row + 1], batch.lengths[row : row + 1]), length)
        for row, length in enumerate(lengths)
    ]


@pytest.mark.parametrize("layout", ["channel", "joint"])
def test_a_segment_is_one_input_of_the_first_layer(make_settings: Make, layout: str) -> None:
    data = {"target": ["temp", "dewp"], "covariates": [], "lookback": 12, "layout": layout}
    settings = make_settings(data=data, model={"segment": 4}, train={"precision": "float64"})
    network = model.build(settings, device=CPU)
    window = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 12, 2)))

    if layout == "channel":
        steps = window.transpose(1, 2).reshape(6, 3, 4)  # each target alone: three segments
    else:
        steps = window.reshape(3, 3, 8)
    _, (hidden, _) = network.layers[0](steps)
    expected = network.head(hidden[0])
    if layout == "channel":
        expected = expected.reshape(3, 2, 6).transpose(1, 2)
    torch.testing.assert_close(network(window), expected.reshape(3, 6, 2))


def test_quantiles_are_brought_back_like_a_forecast(make_settings: Make) -> None:
    data = {"normalization": "last", "layout": "channel", "target": ["temp", "dewp"]}
    settings = make_settings(
        data=data, train={"loss": "quantile", "quantiles": [0.1, 0.9], "precision": "float64"}
    )
    network = model.build(settings, device=CPU)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
    window = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 12, 2)))

    result = network(window)

    assert result.shape == (3, 6, 2, 2)
    torch.testing.assert_close(result, window[:, -1][:, None, :, None].expand(3, 6, 2, 2))


def text(**values: Any) -> Settings:
    data = Data(kind="text", target=["s"], classes=["no", "yes"], vocabulary=4)
    own = {"hidden_size": 4, "head": "sigmoid", "embedding": "random", "embedding_size": 3}
    return Settings(data=data, model=Model(**own | values), train=Train(loss="bce"))


def test_words_begin_with_the_vectors_that_are_known() -> None:
    vectors = np.full((6, 3), np.nan, dtype=np.float32)
    vectors[3] = 7

    drawn = model.build(text(), device=CPU).get_parameter("embedding.weight")
    given_ = model.build(text(), device=CPU, vectors=vectors).get_parameter("embedding.weight")

    assert (given_[3] == 7).all()
    assert (given_[[0, 1, 2, 4, 5]] == drawn[[0, 1, 2, 4, 5]]).all()
    assert drawn.abs().max() <= model.SPREAD


def test_penalties_leave_the_vectors_of_words_alone() -> None:
    network = model.build(text(), device=CPU)

    names = {id(p): name for name, p in network.named_parameters()}

    assert "embedding.weight" in {names[id(p)] for p in model.exempt(network)}
    assert "head.weight" in {names[id(p)] for p in model.penalised(network)}


def test_dropout_of_a_moment_is_repeated() -> None:
    network = model.build(classifier(output_dropout=0.5), device=CPU)
    batch, moment = sequences(5, 2), Moment(0, 1, 2)

    assert torch.equal(network(batch, moment=moment), network(batch, moment=moment))


@pytest.mark.parametrize(
    "settings",
    [
        classifier(bidirectional=True, num_layers=3),
        classifier(pooling="max"),
        text(),
        text(bidirectional=True),
    ],
)
def test_parameters_are_counted_without_the_network(settings: Settings) -> None:
    network = model.build(settings, device=CPU)

    assert shapes.parameters(settings) == sum(p.numel() for p in network.parameters())
