"""Tell the sizes of a network's parts from its settings, without torch."""

from __future__ import annotations

from sweep.plan.settings import RESERVED_WORDS, Settings


def input_columns(settings: Settings) -> int:
    """Count the numbers of one time step: a row of a series, a step of a sequence, a vector."""
    if settings.model.embedding is not None:
        return settings.model.embedding_size
    if settings.data.kind != "series":
        return len(settings.data.covariates)
    if settings.data.layout == "channel":
        return 1
    return len(settings.data.target) + len(settings.data.covariates)


def layer_inputs(settings: Settings) -> list[int]:
    """Count the inputs of each layer."""
    first = input_columns(settings) * (settings.model.segment or 1)
    return [first, *[state_size(settings)] * (settings.model.num_layers - 1)]


def state_size(settings: Settings) -> int:
    """Count the numbers of a layer's state, of both directions."""
    return settings.model.hidden_size * (2 if settings.model.bidirectional else 1)


def head_outputs(settings: Settings) -> int:
    """Count the outputs of the head."""
    data, head = settings.data, settings.model.head
    if head != "linear":
        return 1 if head == "sigmoid" else len(data.classes)
    outputs = data.horizon * (1 if data.layout == "channel" else len(data.target))
    return outputs * (len(settings.train.quantiles) if settings.train.loss == "quantile" else 1)


def vector_rows(settings: Settings) -> int:
    """Count the rows of the table of words' vectors; 0 where there is none."""
    return 0 if settings.model.embedding is None else settings.data.vocabulary + RESERVED_WORDS


def parameters(settings: Settings) -> int:
    """Count the parameters of the whole network."""
    hidden = settings.model.hidden_size
    directions = 2 if settings.model.bidirectional else 1
    count = directions * sum(4 * hidden * (size + hidden + 2) for size in layer_inputs(settings))
    count += head_outputs(settings) * (state_size(settings) + 1)
    if settings.data.normalization == "revin":
        count += 2 * input_columns(settings)
    return count + vector_rows(settings) * settings.model.embedding_size
