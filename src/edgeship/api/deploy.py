"""What brings a judged bundle into an app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, AnyPath, open_bundle
from edgeship.api.files import check_outside_of_bundles, list_names, write_result
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.deploy.signing.claims import SignatureCheck
    from edgeship.runtimes.clients.selftests import ClientRun


def write_clients(
    bundle: AnyBundle, out: AnyPath, *, languages: Sequence[str], artifact: str | None = None
) -> tuple[Path, ...]:
    """Write client code for one artifact into `out`/<language> and return these folders.

    Each holds the model, its goldens and a self-test, and needs no edgeship. `artifact`: an id (default: `tflite/mobile`, else
    a recommended `.tflite`, else the first). Raises InputError for an unknown language, a bundle without raw goldens, a model
    that clients cannot feed, and a folder that holds something else.
    """
    from edgeship.deploy.codegen.generate import write_clients as write

    names = list_names(languages, "languages")
    source = open_bundle(bundle)
    check_outside_of_bundles(Path(out) / "client")
    return tuple(write(source, names, Path(out), artifact))


def selftest_clients(
    bundle: AnyBundle,
    *,
    languages: Sequence[str] = (),
    artifact: str | None = None,
    out: AnyPath | None = None,
    progress: bool = False,
) -> tuple[ClientRun, ...]:
    """Generate clients, compile them with warnings as errors, and run their self-tests on this machine.

    `languages`: those whose lanes run (default: all that are installed here). `out`: a folder for the results, one file a lane,
    which `report_bundle` takes. Raises MissingDependencyError where the lane of a named language is not installed, InputError
    where `out` is no folder or lies in a bundle, and as `write_clients`.
    """
    import json

    from edgeship.errors import InputError
    from edgeship.runtimes.clients.selftests import run_selftests
    from edgeship.untrusted import printable

    names, source = list_names(languages, "languages"), open_bundle(bundle)
    if out is not None:  # before minutes of compiling
        check_outside_of_bundles(Path(out) / "client.json")
        if Path(out).exists() and not Path(out).is_dir():
            raise InputError(f"{printable(out)}: is no folder; results are one file a client")
    with set_visibility(progress):
        runs = tuple(run_selftests(source, names, artifact))
    for run in runs:
        if out is not None and run.result is not None:
            write_result(Path(out) / f"{run.lane}.json", json.dumps(run.result, indent=1) + "\n")
    return runs


def export_ai_pack(bundle: AnyBundle, out: AnyPath, *, artifact: str | None = None) -> Path:
    """Write the folder `out`, a module of an Android project that Google Play delivers with one `.tflite`, and return it.

    `artifact`: as in `write_clients`. Raises InputError for a bundle without `.tflite`, an unknown artifact, a folder whose name
    is none for a pack or that holds something else.
    """
    from edgeship.deploy.ai_pack.export import export_ai_pack as export

    source, target = open_bundle(bundle), Path(out)
    check_outside_of_bundles(target / "pack")
    export(source, target, artifact)
    return target


def generate_keys(out: AnyPath, *, kind: str = "ed25519") -> dict[str, str]:
    """Write a key pair for bundles, and for each role of an update channel, into the new folder `out`; returns their key ids.

    `kind`: `ed25519`, or `ecdsa` on P-256. Private keys are encrypted with the environment's `EDGESHIP_KEY_PASSWORD`, if set.
    Raises InputError where `out` is there already, cannot be written, or lies in a bundle.
    """
    from edgeship.deploy.signing.keys import generate_keys as generate

    check_outside_of_bundles(Path(out) / "root.pem")
    return generate(Path(out), kind)


def sign_bundle(bundle: AnyBundle, keys: AnyPath, *, form: str = "dsse") -> SignatureCheck:
    """Sign manifest and files of a bundle.

    `keys`: a folder of `generate_keys`, of which its key for bundles is taken, or the file of one private key. `form`: `dsse`,
    into the bundle's `signature.json`, beside other keys' signatures of the same state; or `openssf`, a file of OpenSSF
    model-signing, `<bundle>.sig` beside the bundle, which takes a key on P-256. Raises InputError for a changed bundle, for one
    whose signature is of another state, and where there is no such key; MissingDependencyError without what the form takes.
    """
    from edgeship.deploy.signing.claims import FORMS
    from edgeship.errors import unknown_name_error

    if form not in FORMS:
        raise unknown_name_error("form of a signature", form, FORMS)
    if form == "openssf":
        from edgeship.deploy.signing import openssf

        root = open_bundle(bundle).root
        check_outside_of_bundles(openssf.signature_place(root))
        return openssf.sign_bundle(root, Path(keys))
    from edgeship.deploy.signing.keys import BUNDLE, load_signer
    from edgeship.deploy.signing.signature import sign_bundle as sign

    signer = load_signer(Path(keys), BUNDLE)
    return sign(open_bundle(bundle).root, signer)


def render_bom(bundle: AnyBundle) -> str:
    """The bill of materials of a bundle as the text of a CycloneDX 1.7 ML-BOM in JSON, the same for the same bundle.

    Server model and artifacts have model cards with their tensors, figures, intervals and limitations; licences are those that
    `[data] license` states, and none is guessed. The verdict is the one that its figures give, whatever it claims. Raises
    InputError where it is no bundle, or one that was changed.
    """
    from edgeship.benchmarks.gate.gate import judge_again
    from edgeship.bundle.bundle import MANIFEST
    from edgeship.deploy.bom.build import render_bom as render
    from edgeship.untrusted import damage_as_input_error

    source = open_bundle(bundle)
    with damage_as_input_error(source.root / MANIFEST):  # its figures may be none
        return render(replace(source, manifest=judge_again(source.manifest)))


def write_bom(bundle: AnyBundle, out: AnyPath) -> Path:
    """Write what `render_bom` gives into the file `out`, and return its path.

    Raises InputError as `render_bom`, and where `out` cannot be written or lies in a bundle.
    """
    target = Path(out)
    write_result(target, render_bom(bundle))
    return target
