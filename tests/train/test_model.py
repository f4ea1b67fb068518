from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sweep.plan.settings import Settings
from sweep.train import draws, model
from sweep.train.model import Moment
from sweep.train.relu import ReluLSTM

Make = Callable[..., Settings]
CPU = torch.device("cpu")
TARGETS = ["temp", "dewp"]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def library(settings: Settings, network: model.Network) -> nn.ModuleList:
    """The library's own stacked LSTM and head, with the network's weights."""
    shape = settings.model
    stacked = nn.LSTM(
        6, shape.hidden_size, num_layers=shape.num_layers, batch_first=True, dtype=torch.float64
    )
    head = nn.Linear(shape.hidden_size, settings.data.horizon, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in stacked.named_parameters():
            base, layer = name.rsplit("_l", 1)
            parameter.copy_(network.get_parameter(f"layers.{layer}.{base}_l0"))
        head.weight.copy_(network.head.weight)
        head.bias.copy_(network.head.bias)
    return nn.ModuleList([stacked, head])


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_over_120_steps_the_stack_moves_as_the_library_does(
    make_settings: Make, num_layers: int
) -> None:
    settings = make_settings(
        model={"num_layers": num_layers, "hidden_size": 5}, train={"precision": "float64"}
    )
    network = model.build(settings, device=CPU)
    reference = library(settings, network)
    ours = torch.optim.Adam(network.parameters(), lr=1e-2)
    theirs = torch.optim.Adam(reference.parameters(), lr=1e-2)

    for step in range(120):
        x, y = random(4, 7, 6, seed=step), random(4, 6, 1, seed=1000 + step)
        loss = (network(x, moment=Moment(0, 0, step)) - y).square().mean()
        states, _ = reference[0](x)
        expected = (reference[1](states[:, -1]).unsqueeze(-1) - y).square().mean()
        for optimizer, value in ((ours, loss), (theirs, expected)):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)

    torch.testing.assert_close(network.head.weight, reference[1].weight, rtol=1e-8, atol=1e-10)


def test_a_relu_layer_follows_its_equations() -> None:
    layer = ReluLSTM(3, 4).double()
    parameters = [random(*p.shape, seed=n) for n, p in enumerate(layer.parameters())]
    layer.load_state_dict(dict(zip(layer.state_dict(), parameters, strict=True)))
    w_in, w_state, b_in, b_state = (p.numpy() for p in parameters)
    x = random(2, 5, 3, seed=9)

    states, (last, cell) = layer(x)

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    h, c = np.zeros((2, 4)), np.zeros((2, 4))
    for t in range(5):
        i, f, g, o = np.split(x[:, t].numpy() @ w_in.T + b_in + h @ w_state.T + b_state, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.maximum(g, 0)
        h = sigmoid(o) * np.maximum(c, 0)
        np.testing.assert_allclose(states[:, t].detach().numpy(), h)
    np.testing.assert_allclose(last[0].detach().numpy(), h)
    np.testing.assert_allclose(cell[0].detach().numpy(), c)


def test_a_relu_network_has_the_parameters_of_a_tanh_network(make_settings: Make) -> None:
    shapes = [
        {
            name: value.tobytes()
            for name, value in model.arrays(
                model.build(make_settings(model={"activation": a, "num_layers": 2}), device=CPU)
            ).items()
        }
        for a in ("tanh", "relu")
    ]

    assert shapes[0] == shapes[1]


def test_initial_weights_have_the_librarys_distribution(make_settings: Make) -> None:
    settings = make_settings(model={"hidden_size": 64, "num_layers": 2})
    bound = 1 / math.sqrt(64)

    weights = model.arrays(model.build(settings, device=CPU))

    everything = np.concatenate([values.ravel() for values in weights.values()])
    assert np.abs(everything).max() <= bound
    assert everything.mean() == pytest.approx(0, abs=bound / 50)
    assert everything.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_initial_weights_agree_where_name_and_shape_agree(make_settings: Make) -> None:
    small = model.arrays(model.build(make_settings(data={"horizon": 3}), device=CPU))
    large = model.arrays(
        model.build(
            make_settings(
                data={"horizon": 6, "lookback": 20}, model={"num_layers": 3}, optim={"lr": 1.0}
            ),
            device=CPU,
        )
    )

    shared = [name for name in small if small[name].shape == large[name].shape]
    assert len(shared) == 4  # the first layer; the head has another horizon
    for name in shared:
        np.testing.assert_array_equal(small[name], large[name])


def test_other_seeds_start_from_other_weights(make_settings: Make) -> None:
    first, second = (
        model.arrays(model.build(make_settings(train={"seed": seed}), device=CPU))
        for seed in (0, 1)
    )

    assert all(not np.array_equal(first[name], second[name]) for name in first)


def test_building_leaves_the_draws_of_the_process_alone_where_it_matters(
    make_settings: Make,
) -> None:
    torch.manual_seed(1)
    first = model.arrays(model.build(make_settings(), device=CPU))
    torch.manual_seed(2)
    second = model.arrays(model.build(make_settings(), device=CPU))

    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_dropout_acts_in_training_alone(make_settings: Make) -> None:
    settings = make_settings(model={"num_layers": 2, "dropout": 0.5, "output_dropout": 0.3})
    plain = make_settings(model={"num_layers": 2})
    network, undropped = (model.build(s, device=CPU) for s in (settings, plain))
    x = random(4, 12, 6).float()

    torch.testing.assert_close(network(x), undropped(x), rtol=0, atol=0)
    assert not torch.equal(network(x, moment=Moment(0, 0, 0)), network(x))


@pytest.mark.parametrize("moment", [Moment(0, 0, 1), Moment(0, 1, 0), Moment(1, 0, 0)])
def test_each_step_has_its_own_masks(make_settings: Make, moment: Moment) -> None:
    network = model.build(make_settings(model={"num_layers": 2, "dropout": 0.5}), device=CPU)
    x = random(4, 12, 6).float()
    first = network(x, moment=Moment(0, 0, 0))

    assert torch.equal(first, network(x, moment=Moment(0, 0, 0)))
    assert not torch.equal(first, network(x, moment=moment))


def test_masks_lie_between_the_layers_and_before_the_head(make_settings: Make) -> None:
    settings = make_settings(
        model={"num_layers": 3, "dropout": 0.5, "output_dropout": 0.25},
        train={"precision": "float64"},
    )
    network = model.build(settings, device=CPU)
    x = random(4, 12, 6)

    def mask(site: int, *shape: int, rate: float) -> torch.Tensor:
        kept = draws.kept(7, epoch=2, step=3, site=site, shape=shape, rate=rate)
        return torch.from_numpy(kept).double() / (1 - rate)

    states, _ = network.layers[0](x)
    states, _ = network.layers[1](states * mask(1, 4, 12, 8, rate=0.5))
    states, _ = network.layers[2](states * mask(2, 4, 12, 8, rate=0.5))
    expected = network.head(states[:, -1] * mask(3, 4, 8, rate=0.25)).unsqueeze(-1)

    torch.testing.assert_close(network(x, moment=Moment(7, 2, 3)), expected)


def test_last_value_normalisation_moves_the_forecast_with_the_level(make_settings: Make) -> None:
    settings = make_settings(data={"normalization": "last", "target": TARGETS, "covariates": []})
    network = model.build(settings, device=CPU)
    x, level = random(3, 12, 2).float(), torch.tensor([5.0, -2.0])

    torch.testing.assert_close(network(x + level), network(x) + level)


def test_last_value_normalisation_leaves_covariates_their_level(make_settings: Make) -> None:
    network = model.build(make_settings(data={"normalization": "last"}), device=CPU)
    x = random(3, 12, 6).float()
    raised = x.clone()
    raised[..., 1:] += 3

    assert not torch.allclose(network(raised), network(x))


def test_reversible_normalisation_moves_the_forecast_with_level_and_scale(
    make_settings: Make,
) -> None:
    settings = make_settings(
        data={"normalization": "revin", "target": TARGETS, "covariates": []},
        train={"precision": "float64"},
    )
    network = model.build(settings, device=CPU)
    with torch.no_grad():
        network.normalization.scale.copy_(torch.tensor([1.5, 0.7]))
        network.normalization.shift.copy_(torch.tensor([0.2, -0.3]))
    x, level, scale = random(3, 12, 2), torch.tensor([5.0, -2.0]), torch.tensor([3.0, 0.5])

    torch.testing.assert_close(
        network(x * scale + level), network(x) * scale + level, rtol=1e-3, atol=1e-3
    )


def test_reversible_normalisation_starts_as_plain_standardisation(make_settings: Make) -> None:
    settings = make_settings(data={"normalization": "revin"}, train={"precision": "float64"})
    network = model.build(settings, device=CPU)
    x = random(3, 12, 6)

    expected = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True, unbiased=False)

    torch.testing.assert_close(network.normalization(x), expected, rtol=1e-4, atol=0)


def test_reversible_normalisation_gives_the_window_back(make_settings: Make) -> None:
    settings = make_settings(data={"normalization": "revin"}, train={"precision": "float64"})
    network = model.build(settings, device=CPU)
    with torch.no_grad():
        network.normalization.scale.fill_(1.3)
        network.normalization.shift.fill_(0.4)
    x = random(3, 12, 6)

    inner = network.normalization.forward(x)

    torch.testing.assert_close(network.normalization.back(inner[..., :1], window=x), x[..., :1])
    torch.testing.assert_close(inner.mean(dim=1), torch.full((3, 6), 0.4, dtype=torch.float64))
    spread = inner.std(dim=1, unbiased=False)
    torch.testing.assert_close(spread, torch.full_like(spread, 1.3), rtol=1e-3, atol=0)


@pytest.mark.parametrize("normalization", ["none", "last", "revin"])
def test_alone_each_channel_is_forecast_as_a_series_of_its_own(
    make_settings: Make, normalization: str
) -> None:
    both = make_settings(
        data={
            "layout": "channel",
            "target": TARGETS,
            "covariates": ["humid"],
            "normalization": normalization,
        }
    )
    network = model.build(both, device=CPU)
    one = replace(both, data=replace(both.data, target=["temp"], covariates=[], layout="joint"))
    single = model.build(one, device=CPU, weights=model.arrays(network))
    x = random(3, 12, 3).float()

    forecast = network(x)

    assert forecast.shape == (3, 6, 2)
    for channel in (0, 1):
        torch.testing.assert_close(forecast[..., [channel]], single(x[..., [channel]]))


def test_penalties_leave_biases_and_normalisation_alone(make_settings: Make) -> None:
    settings = make_settings(data={"normalization": "revin"}, model={"num_layers": 2})
    network = model.build(settings, device=CPU)
    names = {id(parameter): name for name, parameter in network.named_parameters()}

    penalised = {names[id(parameter)] for parameter in model.penalised(network)}
    exempt = {names[id(parameter)] for parameter in model.exempt(network)}

    assert penalised | exempt == set(names.values())
    assert all("weight" in name for name in penalised)
    assert all("bias" in name or name.startswith("normalization.") for name in exempt)
