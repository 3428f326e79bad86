"""dpedkit import-weights, export-onnx, vgg calibrate."""

from __future__ import annotations

from pathlib import Path

import click

from dpedkit.cli.app import App, Command, cli, marked, pass_app
from dpedkit.cli.options import device_option, dry_run_option, find_model
from dpedkit.errors import NoWorkspace

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")


@cli.command("import-weights")
@click.argument("checkpoint", metavar="CKPT", type=click.Path(path_type=Path))
@click.option("--name", default="", help="What the workspace calls it; left out: as the checkpoint is called.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A .safetensors file, in no workspace."
)
@overwrite_option
@dry_run_option
@pass_app
def import_weights(app: App, checkpoint: Path, name: str, output: Path | None, overwrite: bool, dry_run: bool) -> None:
    """Bring in a generator that the DPED authors' code saved: a TensorFlow checkpoint, of which it reads every byte.

    CKPT is the prefix of its two files, PREFIX.index and PREFIX.data-00000-of-00001. TensorFlow is not needed.

    \b
    dpedkit import-weights models_orig/iphone_orig     then: enhance --model iphone_orig
    dpedkit import-weights models_orig/sony_orig -o sony.safetensors
    """
    from dpedkit.stages.weights import import_weights as bring_in
    from dpedkit.stages.weights import place_in_runs

    if name and output:
        raise click.UsageError("--name is for the workspace, -o for a file: give one of them")
    try:
        target = output or place_in_runs(app.workspace, checkpoint, name)
    except NoWorkspace as error:
        raise NoWorkspace(error.cause, f"{error.remedy}, or give -o FILE.safetensors") from None
    done = bring_in(checkpoint, target, overwrite=overwrite, dry_run=dry_run)
    model = done.file if output else target.parent.name
    app.show(
        done,
        f"{'would write' if dry_run else 'wrote'} {done.file}: {done.kind}, {done.parameters:,} parameters",
        done.origin,
        *(f"  {file}  sha256 {digest}" for file, digest in done.files.items()),
        f"next: dpedkit enhance PHOTO --model {model}",
    )


@cli.command("export-onnx")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file; left out: MODEL.onnx, here."
)
@overwrite_option
@dry_run_option
@pass_app
def export_onnx(app: App, model: Path, output: Path | None, overwrite: bool, dry_run: bool) -> None:
    """Write a model as ONNX, for photos of any size in other programs; ONNX Runtime must make the same of it.

    MODEL is what `enhance --model` takes. Input "rgb" and output "enhanced" are float32 [batch, 3, height, width] in
    [0, 1]; what comes out may leave that range a little, so clip it. The file's metadata tell what it was made from.

    \b
    dpedkit export-onnx sony-dped
    dpedkit export-onnx models_orig/iphone_orig -o iphone.onnx
    """
    from dpedkit.stages.weights import export_onnx as write

    target = output or Path(f"{model.resolve().name.removesuffix('.safetensors').removesuffix('.index')}.onnx")
    done = write(find_model(app, model), target, overwrite=overwrite, dry_run=dry_run, progress=app.progress())
    checked = f"ONNX Runtime's pictures are PyTorch's to {done.difference:.1e}" if done.difference is not None else ""
    app.show(
        done,
        f"{'would write' if dry_run else 'wrote'} {done.file}: {done.metadata['network']} {done.metadata['sizes']}",
        *([checked] if checked else []),
        *([marked(done.stamp, "yellow")] if done.stamp else []),
    )


@cli.group()
def vgg() -> None:
    """VGG-19's weights, by which the content loss compares pictures."""


@vgg.command(cls=Command)
@click.option("--from", "source", required=True, metavar="FILE", help="The weights that the recipe was made for.")
@click.option("--to", "target", default="torchvision", show_default=True, metavar="FILE", help="Those to train with.")
@click.option("--recipe", default="dped", show_default=True, help="Whose content loss is to count as much as before.")
@click.option("--phone", "phones", multiple=True, help="Measure on this phone's patches only; may be given again.")
@device_option
@pass_app
def calibrate(app: App, source: str, target: str, recipe: str, phones: tuple[str, ...], device: str) -> None:
    """Say what the content loss must weigh with other VGG-19 weights than those that a recipe was made for.

    DPED's weight of 10 belongs to the authors' file; another file's activations have another scale. The content loss of
    the same pairs is measured with both: a workspace's training patches, or pairs drawn by code where there are none.

    \b
    dpedkit vgg calibrate --from imagenet-vgg-verydeep-19.mat --to torchvision
    """
    from dpedkit.stages.vgg import calibrate_content

    try:
        workspace = app.workspace
    except NoWorkspace:
        workspace = None
    found = calibrate_content(
        workspace,
        phones=phones,
        from_spec=source,
        to_spec=target,
        recipe_name=recipe,
        device=device,
        progress=app.progress(),
    )
    named = "" if found.recipe == "dped" else f" --recipe {found.recipe}"
    app.show(
        found,
        f"content x {found.k:.4g}; a quarter of the pairs say below {found.low:.4g}, a quarter above {found.high:.4g}",
        f"measured on {found.pairs} {found.of}",
        f"from {found.from_name}  sha256 {found.from_sha256}",
        f"to   {found.to_name}  sha256 {found.to_sha256}",
        *([marked(found.stamp, "yellow")] if found.stamp else []),
        f"next: dpedkit train --phone NAME{named} --vgg {target} --set losses.content={found.content:.4g}",
    )
