"""The verbs beside the main job."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.exceptions import TyperException

from sweep.errors import BadInput, SweepError, UnknownName, Unreachable
from sweep.plan.application import Application
from sweep.plan.budget import read_budget
from sweep.plan.trial import State, Value
from sweep.store import open_store
from sweep.study.reaching import find_store
from sweep.study.reading import find_study, list_studies, read_rounds, read_study
from sweep.study.resuming import resume as resume_study
from sweep.study.siting import prepare, site_again
from sweep.study.standing import Standing, standing, table
from sweep.task import application_of, load_task

cli = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)

StoreOption = Annotated[
    str | None, typer.Option("--store", help="where studies are; else SWEEP_STORE, ./sweep-store")
]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON value instead of a table")]
ContextOption = Annotated[
    str | None, typer.Option(help="of the kubeconfig; else the one it was started with")
]
StudyArgument = Annotated[str, typer.Argument(help="the study's name, as it was printed")]

WIDE = 200
ANY_WORDS = {"ignore_unknown_options": True, "allow_extra_args": True}


def run_verb(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code; a mistake is told in one line."""
    try:
        code = cli(args=list(arguments), prog_name="python -m sweep", standalone_mode=False)
    except SweepError as error:
        return _refuse(str(error), error.exit_code)
    except TyperException as error:
        text = getattr(error, "format_message", error.__str__)()
        return _refuse(f"{text} (see python -m sweep {arguments[0]} --help)", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _refuse("interrupted", 130)
    return code if isinstance(code, int) else 0


@cli.command(context_settings=ANY_WORDS)
def plan(context: typer.Context) -> int:
    """Show what a multirun would do: takes what the main job takes, writes nothing.

    With --check the API server is asked whether it would take the Job.
    """
    from sweep.multirun import run_hydra

    words = [word for word in context.args if word not in ("-m", "--multirun", "--check")]
    check = ["hydra.launcher.check=true"] if "--check" in context.args else []
    return run_hydra([*words, *check, "hydra.launcher.dry=true", "-m"])


@cli.command()
def status(
    study: Annotated[str | None, typer.Argument(help="one study; else all of the store")] = None,
    store: StoreOption = None,
    context: ContextOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  a flag
) -> int:
    """Show how far studies are."""
    place = find_store(store, env=os.environ)
    names = [study] if study else list_studies(place)
    found: list[Standing] = []
    for name in names:
        try:
            found.append(standing(find_study(place, name), context=context))
        except BadInput as error:
            if study:
                raise
            print(f"sweep: {error}", file=sys.stderr)  # noqa: T201  the others still count
    if as_json:
        print(json.dumps([entry.as_dict() for entry in found], indent=2))  # noqa: T201
        return 0
    if not found:
        print(f"no studies in {place.url.removeprefix('file://')}")  # noqa: T201
        return 0
    # A file or a pipe has no width that a row must fit in.
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, width=width).print(table(found))
    for line in (line for entry in found for line in entry.notes()):
        print(line)  # noqa: T201
    return 0


@cli.command()
def resume(
    study: StudyArgument,
    store: StoreOption = None,
    parallelism: Annotated[int | None, typer.Option(min=1, help="packs at a time")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="local or kubernetes; else where it ran before")
    ] = None,
    context: ContextOption = None,
    gpu_hours: Annotated[
        float | None, typer.Option(help="a new hydra.launcher.budget.gpu_hours")
    ] = None,
    cpu_hours: Annotated[
        float | None, typer.Option(help="a new hydra.launcher.budget.cpu_hours")
    ] = None,
    max_trials: Annotated[
        int | None, typer.Option(min=1, help="a new hydra.sweeper.max_trials of a search")
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(help="a new hydra.sweeper.max_time, of all clients together: 90s, 30m, 2h"),
    ] = None,
    rerun: Annotated[
        str | None, typer.Option(help="train these again too: failed, infeasible, or both by comma")
    ] = None,
) -> int:
    """Train what a study has no record of, with numbers as if it had not stopped."""
    place = find_store(store, env=os.environ)
    found = find_study(place, study)
    states = _states(rerun)
    given = gpu_hours is not None or cpu_hours is not None
    budget = read_budget({"gpu_hours": gpu_hours, "cpu_hours": cpu_hours}) if given else None
    site = site_again(
        read_rounds(found)[-1].cluster,
        env=os.environ,
        parallelism=parallelism,
        context=context,
        cluster=cluster,
    )
    prepare(site)
    application = _application(found.url)
    return resume_study(
        study,
        address=place.url,  # whole: the working directory is another now
        application=application,
        console=Console(highlight=False),
        site=site,
        rerun=states,
        budget=budget,
        limits=_limits(max_trials, max_time),
    )


@cli.command(context_settings=ANY_WORDS)
def once(context: typer.Context, study: StudyArgument, store: StoreOption = None) -> int:
    """Run a multirun under a name; where it was begun before, go on with that study.

    Takes what the main job takes. For what may be started again after it was lost, such as the
    pod of a nightly job: the study goes on from its stored plan, whatever the overrides say now.
    """
    from sweep.multirun import run_hydra
    from sweep.study.beginning import begun

    place = find_store(store, env=os.environ)
    if begun(place, study):
        return resume(study, store=place.url)
    there = [f"hydra.launcher.store={store}"] if store else []
    words = [word for word in context.args if word not in ("-m", "--multirun")]
    return run_hydra([*words, f"hydra.launcher.study={study}", *there, "-m"])


@cli.command()
def attach(study: StudyArgument, store: StoreOption = None, context: ContextOption = None) -> int:
    """Follow a study that goes on without its client, and sum it up at its end."""
    from sweep.study.attaching import attach as attach_study

    place = find_store(store, env=os.environ)
    found = find_study(place, study)
    site = site_again(read_rounds(found)[-1].cluster, env=os.environ, context=context)
    prepare(site)
    return attach_study(
        study,
        address=place.url,
        application=_application(found.url),
        console=Console(highlight=False),
        site=site,
    )


@cli.command()
def publish(study: StudyArgument, store: StoreOption = None) -> int:
    """Write to MLflow what it lacks of a study, from the store alone."""
    from sweep.study.finishing import publish as publish_kept
    from sweep.study.studied import studied

    place = find_study(find_store(store, env=os.environ), study)
    try:
        prepare(site_again(read_rounds(place)[-1].cluster, env=os.environ))
    except SweepError as error:  # MLflow may be reached without its cluster
        print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
    state = studied(place, read_study(place), read_rounds(place))
    if not state.study.tracking.get("uri"):
        raise BadInput(f"study {study} is not tracked: MLflow was not installed, or not asked for")
    shown = publish_kept(state, running=standing(place).conducted)
    for line in shown.lines:
        print(line)  # noqa: T201
    return 0 if shown.complete else Unreachable.exit_code


@cli.command()
def report(
    study: StudyArgument,
    store: StoreOption = None,
    output: Annotated[
        Path | None, typer.Option(help="write one format, html unless told, to this file")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="print html, md, json or csv; store nothing")
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002  a flag
) -> int:
    """Write a study's report: one HTML file that opens anywhere, Markdown, JSON and CSV."""
    from sweep.study.reporting import report as report_study

    place = find_study(find_store(store, env=os.environ), study)
    written = report_study(place, output=output, form=form)
    if isinstance(written, str):
        _write_out(written)
    else:
        print(json.dumps(written) if as_json else "\n".join(written.values()))  # noqa: T201
    return 0


@cli.command()
def gate(
    study: StudyArgument,
    store: StoreOption = None,
    min_effect: Annotated[
        float | None, typer.Option(min=0, help="smaller differences count as none; gate.min_effect")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=5, help="fresh seeds of each side; gate.seeds")
    ] = None,
    alias: Annotated[str | None, typer.Option(help="of the champion in MLflow; gate.alias")] = None,
    nights: Annotated[
        int | None,
        typer.Option(min=0, help="hold against the winners of the last N nights; gate.nights"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="a folder for gate.json, gate.md and junit.xml too")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="tell the verdict to this address; else SWEEP_WEBHOOK")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="local or kubernetes; else where it ran before")
    ] = None,
    context: ContextOption = None,
    parallelism: Annotated[int | None, typer.Option(min=1, help="packs at a time")] = None,
    as_json: JsonOption = False,  # noqa: FBT002  a flag
) -> int:
    """Judge a study against the champion, seed by seed: exit code 4 where it got worse."""
    from sweep.report.judgement import as_json as in_json
    from sweep.report.judgement import markdown, message
    from sweep.study.gating import gate as judge
    from sweep.study.verdicts import make_folder, texts_of, told_to_ci, write_files
    from sweep.study.webhook import ENV, check_webhook, send

    address = webhook or os.environ.get(ENV)
    told = check_webhook(address) if address else None
    folder = output.absolute() if output else None  # the working directory is another soon
    if folder:
        make_folder(folder)  # a verdict may take hours, and nobody would read it
    with told_to_ci(study, folder):
        place = find_store(store, env=os.environ)
        found = find_study(place, study)
        site = site_again(
            read_rounds(found)[-1].cluster,
            env=os.environ,
            parallelism=parallelism,
            context=context,
            cluster=cluster,
        )
        prepare(site)
        judgement = judge(
            study,
            address=place.url,
            application=_application(found.url),
            site=site,
            console=Console(highlight=False, stderr=as_json),
            given={"min_effect": min_effect, "seeds": seeds, "alias": alias, "nights": nights},
        )
    if folder:
        write_files(texts_of(judgement), folder)
    print(json.dumps(in_json(judgement), indent=2) if as_json else markdown(judgement))  # noqa: T201
    why = send(told, message(judgement)) if told else None
    if why:
        print(f"sweep: the webhook did not take the verdict: {why}", file=sys.stderr)  # noqa: T201
    return judgement.exit_code


@cli.command()
def backtest(
    study: StudyArgument,
    origins: Annotated[int, typer.Option(min=2, help="blocks of the test part")] = 4,
    store: StoreOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  a flag
) -> int:
    """Train the winner anew at later and later origins, and test it on what follows each.

    It trains in this process, and keeps the result beside the study's report.
    """
    from sweep.study.backtesting import backtest as roll
    from sweep.study.backtesting import by_step
    from sweep.study.backtesting import table as origins_table

    place = find_store(store, env=os.environ)
    console = Console(highlight=False, stderr=as_json)
    application = _application(find_study(place, study).url)
    found = roll(
        study, address=place.url, application=application, origins=origins, console=console
    )
    if as_json:
        print(json.dumps(found, indent=2))  # noqa: T201
        return 0
    console.print(f"{found['metric']} on the test part, at each origin")
    console.print(origins_table(found))
    console.print(by_step(found), soft_wrap=True)
    return 0


@cli.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="STUDY_A", help="a study's name")],
    second: Annotated[str, typer.Argument(metavar="STUDY_B", help="the other's")],
    store: StoreOption = None,
    form: Annotated[str, typer.Option("--format", help="md, or json")] = "md",
    as_json: JsonOption = False,  # noqa: FBT002  a flag
) -> int:
    """Compare two studies: paired differences of what both trained, and what was changed."""
    from sweep.report.comparison import comparison_json, comparison_markdown
    from sweep.study.comparing import compare as compare_two

    if form not in ("md", "json"):
        raise UnknownName("--format", form, ("md", "json"))
    found = compare_two(find_store(store, env=os.environ), first, second)
    shown = comparison_json(found) if as_json or form == "json" else None
    print(comparison_markdown(found) if shown is None else json.dumps(shown, indent=2))  # noqa: T201
    return 0


@cli.command()
def cancel(study: StudyArgument, store: StoreOption = None, context: ContextOption = None) -> int:
    """Stop a study wherever it runs; what is done is kept, and `resume` does the rest."""
    from sweep.study.cancelling import cancel as cancel_study

    place = find_study(find_store(store, env=os.environ), study)
    console = Console(highlight=False)
    print(cancel_study(place, env=os.environ, console=console, context=context))  # noqa: T201
    return 0


@cli.command()
def logs(
    study: StudyArgument,
    trial: Annotated[int | None, typer.Option("--trial", help="one trial; else all")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="go on as they print")] = False,  # noqa: FBT002  a flag
    store: StoreOption = None,
    context: ContextOption = None,
) -> int:
    """Print what the workers of a study printed, pack by pack."""
    from sweep.study.logs import live_logs

    place = find_study(find_store(store, env=os.environ), study)
    for line in live_logs(place, env=os.environ, trial=trial, context=context, follow=follow):
        print(line, flush=follow)  # noqa: T201
    return 0


@cli.command()
def doctor(store: StoreOption = None, as_json: JsonOption = False) -> int:  # noqa: FBT002  a flag
    """Check versions, store, tracking and cluster; say what to do where one lacks."""
    from sweep.study.doctoring import examine

    checks = examine(store=store, env=os.environ, cwd=Path.cwd())
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))  # noqa: T201
    else:
        for check in checks:
            print(f"{'ok' if check.ok else 'PROBLEM':8} {check.what}: {check.found}")  # noqa: T201
    return 0 if all(check.ok for check in checks) else 2


def _write_out(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _states(words: str | None) -> frozenset[State]:
    known = {state.value.lower(): state for state in (State.FAILED, State.INFEASIBLE)}
    names = [word.strip().lower() for word in words.split(",")] if words else []
    for name in names:
        if name not in known:
            raise UnknownName("--rerun", name, known)
    return frozenset(known[name] for name in names)


def _limits(max_trials: int | None, max_time: str | None) -> dict[str, Value]:
    from sweep.ranges import seconds_of

    found = {"max_trials": max_trials, "max_time_s": seconds_of(max_time)}
    return {key: value for key, value in found.items() if value is not None}


def _application(url: str) -> Application | None:
    study = read_study(open_store(url))
    root = Path(study.directory or ".")
    if not root.is_dir():
        raise BadInput(f"study {study.name} was started in {root}, which is gone; restore it")
    os.chdir(root)
    sys.path.insert(0, str(root))
    return application_of(load_task(study.task, root=root))


def _refuse(line: str, code: int) -> int:
    print(f"sweep: {line}", file=sys.stderr)  # noqa: T201
    return code
