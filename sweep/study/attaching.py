"""Follow a study that goes on without its client."""

from __future__ import annotations

import os
from contextlib import ExitStack

from rich.console import Console

from sweep.errors import BadInput, Busy
from sweep.plan.application import Application
from sweep.store import open_store
from sweep.study.conducting import look_on
from sweep.study.fetching import Files, cache_folder, reading
from sweep.study.holding import held
from sweep.study.outline import Outline
from sweep.study.reading import find_study, read_rounds, read_study
from sweep.study.resuming import adopt_round, exit_code
from sweep.study.rounds import costs_of, files_of
from sweep.study.searching import is_over, line_of, read_search, read_story
from sweep.study.siting import KUBERNETES, Site, open_cluster
from sweep.study.studied import studied


def attach(
    name: str, *, address: str, application: Application | None, console: Console, site: Site
) -> int:
    """Follow the newest round of a study to its end, and finish the study.

    Where another client conducts it, it is followed only.
    Returns 1 where more trials failed than the study allows, else 0. Raises UnknownName, Busy,
    and BadInput where nothing of it runs.
    """
    if site.kind != KUBERNETES:
        raise BadInput(
            f"study {name} ran on a machine of its own, where nothing outlives its client; "
            f"`python -m sweep resume {name}` does what is left"
        )
    store = open_store(address)
    place = find_study(store, name)
    study = read_study(place)
    with ExitStack() as stack:
        alone = True
        try:
            stack.enter_context(held(place, console=console))
        except Busy as busy:
            console.print(f"{busy}; following it", soft_wrap=True, markup=False)
            alone = False
        rounds = read_rounds(place)  # only now: whoever held the lease may have added one
        files = Files(cache_folder(os.environ), store, files_of(study, rounds))
        application = application and reading(application, files)
        state = studied(place, study, rounds)
        search = read_search(place)
        over = search is None or is_over(read_story(place))
        if alone:
            adopt_round(state, rounds, application, site=site, console=console, last=over)
        else:
            plan = Outline(rounds[-1], costs_of(rounds[-1], application), {})
            workers = site.workers * site.lanes
            look_on(state, plan, cluster=open_cluster(site), workers=workers, console=console)
        if search is not None:
            story = read_story(place, trials=len(state.trials))
            more = "" if is_over(story) else f"; it goes on with `python -m sweep resume {name}`"
            console.print(f"{line_of(search, story)}{more}", markup=False, soft_wrap=True)
        return exit_code(state)
