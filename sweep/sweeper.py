"""Hydra's door for search: a multirun's grid becomes the overrides of its trials."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from hydra.core.utils import JobReturn
    from hydra.plugins.launcher import Launcher
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from sweep.search.grid import Condition


@dataclass
class GridConf:
    """hydra/sweeper=grid: every combination, with conditional ranges."""

    _target_: str = "hydra_plugins.sweep_launcher.GridSweeper"
    params: dict[str, Any] = field(default_factory=dict)  # key to "VALUE,VALUE"
    conditional: list[Any] = field(default_factory=list)  # [{when: {key: value}, params: {...}}]
    max_trials: int = 100_000  # a larger grid is refused
    confirm: str | None = None  # KxN: the best K are trained again with N fresh seeds


class LaunchingSweeper(Sweeper):
    """Hold what every sweeper of ours has: a multirun, its grid, and its launcher."""

    def __init__(self, params: DictConfig, conditional: Sequence[Any]) -> None:
        self.params = params
        self.conditional = conditional
        self.launcher: Launcher | None = None
        self.context: HydraContext | None = None
        self.config: DictConfig | None = None
        self.task: TaskFunction | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take the multirun's context from Hydra and make its launcher."""
        from hydra.core.plugins import Plugins

        self.context = hydra_context
        self.config = config
        self.task = task_function
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def parsed(self, texts: Iterable[str]) -> list[Override]:
        """Read overrides.

        Raises BadInput.
        """
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from hydra.errors import HydraException

        from sweep.errors import BadInput

        assert self.context is not None
        parser = OverridesParser.create(config_loader=self.context.config_loader)
        found = []
        for text in texts:
            try:
                found.append(parser.parse_override(text))
            except HydraException as error:
                raise BadInput(f"{text}: {str(error).splitlines()[0]}") from None
        return found

    def conditional_entries(self) -> list[tuple[dict[Any, Any], dict[Any, Any]]]:
        """List conditions with the ranges that hold under them.

        Raises BadInput for what has another form.
        """
        from omegaconf import OmegaConf

        from sweep.errors import BadInput

        found = []
        for item in self.conditional:
            entry = OmegaConf.to_container(item) if OmegaConf.is_config(item) else item
            if not isinstance(entry, dict) or set(entry) != {"when", "params"}:
                raise BadInput(
                    f"hydra.sweeper.conditional: {entry} is not of the form "
                    "{when: {KEY: VALUE}, params: {KEY: VALUE,VALUE}}"
                )
            found.append((entry["when"], entry["params"]))
        return found

    def check_condition(self, key: str, value: Any, *, known: Container[str]) -> None:
        """Refuse a condition on a key that neither the grid nor the configuration has.

        Raises BadInput.
        """
        from omegaconf import OmegaConf

        from sweep.errors import BadInput

        assert self.config is not None
        missing = object()
        if key not in known and OmegaConf.select(self.config, key, default=missing) is missing:
            raise BadInput(
                f"hydra.sweeper.conditional: when {key} is {value}: there is no such key; "
                "name one of the grid or of the configuration"
            )


class GridSweeper(LaunchingSweeper):
    """Expand the whole grid and launch it as one round."""

    def __init__(
        self,
        params: DictConfig,
        conditional: Sequence[Any],
        max_trials: int,
        confirm: str | None = None,  # noqa: ARG002  the launcher's, once the grid is done
    ) -> None:
        super().__init__(params, conditional)
        self.max_trials = max_trials

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Run every trial of the grid.

        Leaves by SystemExit: 2 for bad input, 1 where more trials failed than
        hydra.launcher.max_failed allows (unset: any).
        """
        from sweep.errors import SweepError

        if self.launcher is None or self.config is None:
            raise RuntimeError("setup() must come before sweep()")
        try:
            overrides = self.expand(arguments)
        except SweepError as error:
            print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
            raise SystemExit(error.exit_code) from None
        returns = self.launcher.launch(overrides, initial_job_idx=0)
        if too_many_failed(returns, self.config.hydra.launcher.get("max_failed")):
            raise SystemExit(1)
        return returns

    def expand(self, arguments: Sequence[str]) -> list[tuple[str, ...]]:
        """List the overrides of every trial; the command line beats the configured grid.

        Raises BadInput.
        """
        from sweep.search.grid import expand

        axes = self._axes([f"{key!s}={value}" for key, value in self.params.items()])
        typed = self._axes(arguments)
        axes.update(typed)
        conditions = self._conditions(axes, typed=typed)
        return expand(
            axes, conditions=conditions, fixed=self._fixed(conditions), most=self.max_trials
        )

    def _fixed(self, conditions: Sequence[Condition]) -> dict[str, str]:
        from omegaconf import OmegaConf

        assert self.config is not None
        keys = {key for condition in conditions for key in condition.when}
        return {key: str(OmegaConf.select(self.config, key)) for key in keys}

    def _axes(self, texts: Iterable[str]) -> dict[str, list[str]]:
        return {o.get_key_element(): _values(o) for o in self.parsed(texts)}

    def _conditions(
        self, axes: Mapping[str, Sequence[str]], *, typed: Mapping[str, Sequence[str]]
    ) -> list[Condition]:
        from sweep.search.grid import Condition

        conditions: list[Condition] = []
        for asked, given in self.conditional_entries():
            when = {str(key): self._as_written(key, value, axes) for key, value in asked.items()}
            params = self._axes([f"{key}={value}" for key, value in given.items()])
            kept = {key: values for key, values in params.items() if key not in typed}
            conditions.append(Condition(when, kept))
        return conditions

    def _as_written(self, key: str, value: Any, axes: Mapping[str, Sequence[str]]) -> str:
        # YAML's 0.001 has to meet an axis's 1e-3, its true an axis's True.
        from hydra.core.override_parser.overrides_parser import OverridesParser

        parser = OverridesParser.create()
        for text in axes.get(key, ()):
            found = parser.parse_override(f"key={text}").value()
            if found == value and type(found) is type(value):
                return text
        self.check_condition(key, value, known=axes)
        return str(value)


def too_many_failed(returns: Sequence[JobReturn], max_failed: int | None) -> bool:
    """Tell whether more trials failed than are allowed; without a limit none may.

    Trials that are equal in effect, and share one result, are counted once.
    """
    from hydra.core.utils import JobStatus

    failed = [item for item in returns if item.status is JobStatus.FAILED and not _late(item)]
    trained = [getattr(item, "trained", None) for item in failed]
    lost = trained.count(None)
    return lost + len({number for number in trained if number is not None}) > (max_failed or 0)


def _late(item: JobReturn) -> bool:
    """Tell whether a trial never began because the time of its search was over."""
    from sweep.plan.rungs import never_began

    record = getattr(item, "record", None)
    return record is not None and never_began(record)


def _values(override: Override) -> list[str]:
    from sweep.errors import BadInput

    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise BadInput(
            f"{override.input_line}: a grid needs values, not an interval; "
            f"write {override.key_or_group}=VALUE,VALUE or {override.key_or_group}=range(A,B,STEP)"
        )
    return [str(value) for value in override.sweep_string_iterator()]


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridConf, provider="sweep")
