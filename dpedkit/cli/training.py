"""dpedkit train, recipes, enhance."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dpedkit.cli.app import PARTLY_DONE, App, cli, listed, marked, pass_app, table
from dpedkit.cli.options import Jobs, Size, device_option, dry_run_option, find_model


@cli.command()
@click.option("--phone", required=True, help="The phone to learn from.")
@click.option("--recipe", default="dped", show_default=True, help="One that `dpedkit recipes` lists, or a TOML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value of the recipe.")
@click.option(
    "--vgg",
    "--vgg-weights",
    "vgg",
    default="torchvision",
    show_default=True,
    metavar="torchvision|FILE|random:SEED",
    help="VGG-19 weights of the content loss; random is for trying out, not for results.",
)
@device_option
@click.option("--seed", default=0, show_default=True, help="Of initial weights and of the order of patches.")
@click.option("--fast", is_flag=True, help="Give up repeatable digits for speed: bfloat16, compiled, features kept.")
@click.option(
    "--micro-batch",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Compute N patches at a time, in less memory; the gradients are the batch's.",
)
@click.option("--tensorboard", is_flag=True, help="Write event files for TensorBoard into the run's folder, too.")
@click.option("--snapshot", default="", metavar="NAME", help="Train on what it froze; left out: on what is in use now.")
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this phone and recipe.")
@dry_run_option
@pass_app
def train(
    app: App,
    phone: str,
    recipe: str,
    overrides: tuple[str, ...],
    vgg: str,
    device: str,
    seed: int,
    fast: bool,
    micro_batch: int,
    tensorboard: bool,
    snapshot: str,
    resume: bool,
    dry_run: bool,
) -> None:
    """Train a network that turns a phone's photos into the DSLR's.

    \b
    dpedkit train --phone sony --recipe small          minutes on a CPU
    dpedkit train --phone sony                         the paper's network
    dpedkit train --phone sony --snapshot 2026-11      on a frozen list
    dpedkit train --phone sony --recipe small --set iterations=2000 --resume
    torchrun --nproc-per-node 4 -m dpedkit train --phone sony --fast
    """
    from dpedkit.stages.training import TrainPlan, train_phone

    app.go_on = "its last checkpoint is kept: add --resume to the same command to go on"
    report = train_phone(
        app.workspace,
        phone=phone,
        recipe_name=recipe,
        overrides=_pairs(overrides),
        vgg=vgg,
        device=device,
        seed=seed,
        resume=resume,
        dry_run=dry_run,
        progress=app.progress(),
        named=snapshot,
        fast=fast,
        micro_batch=micro_batch,
        tensorboard=tensorboard,
    )
    if report is None:  # another process tells
        return
    if isinstance(report, TrainPlan):
        app.show(report, f"would train {report.run}: {report.iterations} iterations on {report.patches} patches")
        return
    found = "no validation patches" if report.psnr_db is None else f"validation PSNR {report.psnr_db:.2f} dB"
    app.show(
        report,
        f"run {report.run}: {found}",
        f"patches {report.patches}, list {report.snapshot[:12]}",
        *([marked(report.stamp, "yellow")] if report.stamp else []),
        f"next: dpedkit enhance PHOTO --model {report.run}",
    )


@cli.command()
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of recipe files, for editors.")
@pass_app
def recipes(app: App, name: str | None, schema: bool) -> int:
    """List the recipes that `train` knows, or show one.

    Ends with 3 if the recipe of an installed package cannot be read.

    \b
    dpedkit recipes
    dpedkit recipes nafnet > mine.toml                 to begin your own with
    dpedkit recipes --schema > recipe.schema.json
    """
    from dpedkit.errors import RecipeError
    from dpedkit.train import load_recipe, recipe_names, recipe_schema, recipe_text

    if schema:
        click.echo(json.dumps(recipe_schema(), indent=2))
        return 0
    if name:
        app.show(load_recipe(name).model_dump(mode="json"), recipe_text(name).rstrip())
        return 0
    known, failed = [], []
    for each in recipe_names():
        try:
            known.append(load_recipe(each))
        except RecipeError as error:  # of somebody's package: no reason to hide the others
            failed.append(marked("failed", "red", error.cause))
    shown = table("recipe", "network", "losses", "steps", "")
    for recipe in known:
        losses = ", ".join(f"{term} {weight:g}" for term, weight in recipe.losses.model_dump().items() if weight)
        steps = f"{recipe.iterations} of {recipe.batch}"
        shown.add_row(recipe.name, recipe.generator.kind, losses, steps, recipe.summary)
    app.show([recipe.model_dump(mode="json") for recipe in known], shown, *failed)
    return PARTLY_DONE if failed else 0


@cli.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    required=True,
    type=click.Path(path_type=Path),
    help="A run of the workspace, a run's folder, a checkpoint, or one of the authors' TF checkpoints.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("enhanced"), show_default=True,
    help="Folder for the results.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace results that are there already.")
@click.option("--strip-gps", is_flag=True, help="Leave out where a photo was taken.")
@click.option(
    "--memory",
    "memory_bytes",
    type=Size(),
    default="1GB",
    show_default=True,
    help="What this may take; large photos use a scratch file in the folder for the results.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "torch", "onnxruntime", "openvino"]),
    default="auto",
    show_default=True,
    help="What computes; auto: the fastest that is installed, found by a trial where there is much to do.",
)
@click.option("--fast", is_flag=True, help="bfloat16 where the processor has it: a few grey levels off.")
@click.option(
    "--jobs", type=Jobs(), default="auto", show_default=True, metavar="N|auto",
    help="Photos at the same time; auto: as processors and memory allow. Each takes --memory.",
)  # fmt: skip
@device_option
@dry_run_option
@pass_app
def enhance(
    app: App,
    photos: tuple[Path, ...],
    model: Path,
    output: Path,
    overwrite: bool,
    strip_gps: bool,
    memory_bytes: int,
    backend: str,
    fast: bool,
    jobs: int,
    device: str,
    dry_run: bool,
) -> int:
    """Enhance whole photos, keeping their EXIF and colour profile. Photos are files, folders of them, or patterns.

    What is there already is not done again, so a run that was stopped goes on with the same command.

    \b
    dpedkit enhance photos/*/0001_sony.jpg --model sony-small
    dpedkit enhance holiday/ --model iphone_orig -o holiday-enhanced
    dpedkit enhance 'holiday/**/*.jpg' --model iphone_orig --fast
    """
    from dpedkit.stages.enhancing import enhance_photos

    report = enhance_photos(
        photos,
        find_model(app, model),
        output,
        device=device,
        backend=backend,
        fast=fast,
        jobs=jobs,
        memory_bytes=memory_bytes,
        with_place=not strip_gps,
        overwrite=overwrite,
        dry_run=dry_run,
        progress=app.progress(),
    )
    verb = "would write" if dry_run else "wrote"
    lines = [f"{verb} {target}" for target in report.written.values()]
    kept = [marked("is there already", "yellow", f"{target} (--overwrite replaces it)") for target in report.skipped]
    failed = [marked("failed", "red", cause) for cause in report.failures.values()]
    stamp = [marked(report.stamp, "yellow")] if report.stamp else []
    done = f"{listed(len(report.written), 'photo')}, {len(report.failures)} failed"
    if report.backend:
        done += f", by {report.backend} in {report.precision} on {report.device}"
    trial = ", ".join(f"{name} {took_s:.2f} s" for name, took_s in report.trial_s.items())
    tried = [f"tried on the first strips: {trial}"] if trial and app.verbose else []
    app.show(report, *lines, *kept, *failed, *tried, done, *stamp)
    if report.failures:
        return PARTLY_DONE if report.written else 1
    return 0


def _pairs(overrides: tuple[str, ...]) -> dict[str, str]:
    for override in overrides:
        if "=" not in override:
            raise click.BadParameter(f"{override!r} is not KEY=VALUE", param_hint="--set")
    return dict(override.split("=", 1) for override in overrides)
