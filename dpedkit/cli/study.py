"""dpedkit study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import App, Command, cli, from_here, listed, marked, pass_app, table
from dpedkit.cli.judging import split_option
from dpedkit.cli.options import device_option, dry_run_option
from dpedkit.cli.web import address_options

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from dpedkit.db import SplitName
    from dpedkit.stages.study.planning import NewStudy
    from dpedkit.stages.study.report import StudyReport
    from dpedkit.stages.study.results import Results

_LEAST_P = 0.001


@cli.group()
def study() -> None:
    """Ask people which of two pictures they like better, and find out what that says of all who might be asked."""


@study.command(cls=Command)
@click.argument("name")
@click.option("--phone", default="", help="Whose photos are shown; may be left out where there is one phone.")
@click.option(
    "--run",
    "runs",
    multiple=True,
    help="A run or imported model whose pictures are shown; may be given again. Left out: all finished runs.",
)
@split_option
@click.option(
    "--scenes",
    type=click.IntRange(1),
    help="Photos to show, evenly spaced. Left out: 12, or as many as there are.",
)
@click.option("--crop", type=click.IntRange(32), default=600, show_default=True, help="Side of what is cut out, px.")
@click.option("--whole", type=click.IntRange(32), help="Show whole photos instead, the longer side so many px.")
@click.option("--repeats", type=click.IntRange(1), default=2, show_default=True, help="How often each pair is shown.")
@click.option(
    "--half-width",
    type=click.FloatRange(0.005, 0.3),
    default=0.05,
    show_default=True,
    help="Half the 95% interval that each share should have: says how many subjects to ask.",
)
@click.option("--question", default="Which picture do you like better?", show_default=True, help="What is asked.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of orders and sides.")
@device_option
@dry_run_option
@pass_app
def new(
    app: App,
    name: str,
    phone: str,
    runs: tuple[str, ...],
    split: SplitName,
    scenes: int | None,
    crop: int,
    whole: int | None,
    repeats: int,
    half_width: float,
    question: str,
    seed: int,
    device: str,
    dry_run: bool,
) -> None:
    """Plan a study: the phone's photos, runs' versions and the DSLR's, in pairs; make its pictures.

    \b
    dpedkit study new poster --phone sony --run sony-dped
    dpedkit study new poster --phone sony --run sony-dped --run sony-nafnet --scenes 12 --crop 600 --dry-run
    dpedkit study new wholes --phone sony --run sony-dped --whole 900 --repeats 1 --half-width 0.1
    """
    from dpedkit.stages.places import View
    from dpedkit.stages.study.designing import Wish
    from dpedkit.stages.study.plan import SEEN
    from dpedkit.stages.study.planning import new_study

    view = View(None, whole) if whole else View(crop, 0)
    wish = Wish(phone, runs, split, scenes, view, repeats, half_width, seed, question)
    made = new_study(app.workspace, name, wish, device=device, dry_run=dry_run, progress=app.progress())
    caution = [marked("caution", "yellow", f"{split} split: {SEEN[split]}")] if split in SEEN else []
    app.show(made, *caution, *_planned(made))


@study.command(cls=Command)
@click.argument("name")
@click.option("--subjects", type=click.IntRange(1), default=40, show_default=True, help="How many.")
@click.option(
    "--strength",
    "strengths",
    multiple=True,
    metavar="METHOD=VALUE",
    callback=lambda _context, _option, values: dict(map(_strength, values)),
    help="How well a method is liked, logit; 0 where it is left out. 1 more wins 73 of 100 answers.",
)
@click.option("--sd", type=click.FloatRange(0), default=0.7, show_default=True, help="Between subjects, logit.")
@click.option(
    "--careless", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Share who answer blindly."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of subjects and answers.")
@pass_app
def simulate(
    app: App, name: str, subjects: int, strengths: dict[str, float], sd: float, careless: float, seed: int
) -> None:
    """Rehearse a study with simulated subjects whose preferences are known; people's answers stay as they are.

    \b
    dpedkit study simulate poster --subjects 40 --strength dslr=1.2 --strength sony-dped=1.1
    dpedkit study report poster --simulated
    """
    from dpedkit.stages.study.plan import load_plan
    from dpedkit.stages.study.simulate import Population, simulate_study

    folder = app.workspace.studies / name
    population = Population(strengths, sd=sd, careless=careless)
    made = simulate_study(
        folder, load_plan(folder), population=population, subjects=subjects, seed=seed, progress=app.progress()
    )
    shown = table("comparison", "true share")
    for comparison, share in made.truth.items():
        shown.add_row(comparison, f"{share:.3f}")
    app.show(
        made,
        shown,
        f"{listed(made.subjects, 'simulated subject')}, {listed(made.answers, 'answer')}: {from_here(made.folder)}",
        f"next: dpedkit study report {name} --simulated",
    )


@study.command(cls=Command)
@click.argument("name")
@address_options
@pass_app
def serve(app: App, name: str, host: str, port: int, browser: bool) -> None:
    """Show a study's pairs to its subjects, and keep what they answer.

    Every answer is on the disk before its subject sees the next pair. Stopped and started again, everybody goes on
    where they were.

    \b
    dpedkit study serve poster                    on this machine
    dpedkit study serve poster --host 0.0.0.0     give subjects the address that it prints
    """
    from dpedkit.stages.study.collecting import collecting
    from dpedkit.stages.study.plan import load_plan
    from dpedkit.web.server import serve
    from dpedkit.web.study import START, study_routes

    folder = app.workspace.studies / name
    app.go_on = "start it again: everybody goes on where they were"
    with collecting(folder, load_plan(folder)) as answers:
        serve(study_routes(answers, folder), host=host, port=port, start=START, say=click.echo, browse=browser)


@study.command(cls=Command)
@click.argument("name")
@click.option("--simulated", is_flag=True, help="Of what `study simulate` made, stamped so.")
@pass_app
def report(app: App, name: str, simulated: bool) -> None:
    """Say what the answers say: shares and scores with their intervals, who was left out; and write a page.

    \b
    dpedkit study report poster
    dpedkit study report poster --simulated --json
    """
    from dpedkit.stages.study.report import write_study_report

    made = write_study_report(app.workspace, name, simulated=simulated)
    app.show(made, *_found(made), f"report: {from_here(made.page)}")


def _planned(made: NewStudy) -> list[RenderableType]:
    design = made.design
    shown = table("method", "what", "")
    for method in design.methods:
        shown.add_row(method.name, method.kind, method.note)
    kinds = [slot.kind for slot in design.slots]
    tests = kinds.count("test") + kinds.count("repeat")
    lines: list[RenderableType] = [
        shown,
        f"{listed(len(design.shots), 'scene')}, {listed(len(design.comparisons), 'comparison')}, {design.view}",
        f"each subject: {tests} answers, {design.per_subject} to each comparison; {kinds.count('catch')} catch trials, "
        f"{kinds.count('training')} to train with: about {listed(max(round(design.minutes), 1), 'minute')}",
        f"ask {design.subjects} subjects for shares within ±{made.half_width:g} (95%), if subjects differ by "
        f"{design.assumed_sd:g} logit and the share is 0.5",
    ]
    if made.folder is None:
        return [*lines, "nothing was done: --dry-run"]
    return [
        *lines,
        f"{listed(made.pictures, 'picture')}: {from_here(made.folder)}",
        f"next: dpedkit study serve {made.name}, or rehearse it: dpedkit study simulate {made.name}",
    ]


def _strength(value: str) -> tuple[str, float]:
    name, _, number = value.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not METHOD=VALUE", param_hint="--strength") from None


def _found(made: StudyReport) -> list[RenderableType]:
    results = made.results
    silent = f" ({results.silent} answered nothing)" if results.silent else ""
    lines: list[RenderableType] = [
        *(marked(each, "yellow") for each in made.stamps),
        f"{results.counted} of {listed(results.subjects, 'subject')} count{silent}, "
        f"{listed(results.answers, 'answer')}",
        *(
            marked("left out", "yellow", f"subject {each.subject + 1}: {'; '.join(each.out)}")
            for each in results.excluded
        ),
    ]
    statements = [f"{each.text} {each.comparison.verdict}" for each in results.statements]
    return [*lines, "", _shares(results, made.truth), "", *_scores(results), *statements]


def _shares(results: Results, truth: Mapping[str, float] | None) -> Table:
    shown = table("comparison", "share", "p, Holm", "", "if independent", *(["true share"] if truth else []))
    for each in results.comparisons:
        name, share = f"{each.first} over {each.second}", each.share
        own = "" if share is None else f"{share.value:.3f}{_between(share.low, share.high, '.3f')}"
        naive = "" if share is None else _between(share.wilson_low, share.wilson_high, ".3f").strip()
        true = [] if truth is None else [f"{truth[name]:.3f}"]
        shown.add_row(name, own, _p(each.p_holm), each.verdict.partition(":")[0], naive, *true)
    return shown


def _scores(results: Results) -> list[RenderableType]:
    if not results.scores:
        return ["no scores: answers do not connect all methods yet", ""]
    shown = table("method", "score over phone")
    for score in sorted(results.scores, key=lambda score: -score.value):
        value = f"{score.value:+.2f}" if score.value else "0"
        shown.add_row(score.method, f"{value}{_between(score.low, score.high, '+.2f')}")
    return [shown, ""]


def _between(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"


def _p(value: float | None) -> str:
    """Return a p-value as it is printed: no p is 0."""
    if value is None:
        return ""
    return "<0.001" if value < _LEAST_P else f"{value:.3f}"
