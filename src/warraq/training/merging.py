"""base + adapters -> one model in float32, by LLaMA-Factory, and a folder that is asked as its base is."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from warraq.errors import InputError
from warraq.files import hash_file, write_json
from warraq.image_settings import change_image_settings
from warraq.students import Student, families
from warraq.students.model_files import (
    ADAPTER_CONFIG,
    CONFIGURATION,
    PROCESSOR,
    hash_settings,
)
from warraq.students.weights import Weights, digest_adapter, digest_model, find_idle_modules, verify_weights
from warraq.training import llamafactory
from warraq.training.lineage import Lineage, read_lineage


def check_adapters(base: Path, adapter: Path, student: Student) -> tuple[Lineage, list[Path]]:
    """Where the adapters come from, and the folders of those to merge, in their order.

    Raises:
        InputError: the base is not the one that they were trained on, in weights, configuration or processor; one is
            not the one that was trained or does nothing; or params.yaml says another thing than when they were trained.
    """
    verify_weights(student, base)
    lineage = read_lineage(adapter)
    if lineage["base_sha256"] != digest_model(base):
        raise InputError(
            f"{adapter} was trained on other weights of {lineage['base']} than {base} holds: restore or train anew."
        )
    hold_lineage(lineage, adapter, base, student)
    folders = []
    for number, tier in enumerate(lineage["tiers"], start=1):
        folder = adapter / str(number)
        if not tier["adopted"]:
            continue
        if digest_adapter(folder) != tier["sha256"]:
            raise InputError(f"{folder} is not the adapter that was trained there: restore it or train anew.")
        if student.tuning == "lora" and hash_file(folder / ADAPTER_CONFIG) != tier["adapter_config_sha256"]:
            raise InputError(
                f"{folder / ADAPTER_CONFIG} is not what it was when trained there: restore it or train anew."
            )
        idle = find_idle_modules(Weights(folder)) if student.tuning == "lora" else []
        if idle:
            raise InputError(f"{folder} does nothing on {idle[0]} (and {len(idle) - 1} more): train anew.")
        folders.append(folder)
    return lineage, folders


def hold_lineage(lineage: Lineage, adapter: Path, base: Path, student: Student) -> None:
    """Hold configuration and processor of a base, and what params.yaml says of a student, against what was trained.

    Raises:
        InputError: something is another; names it.
    """
    found = hash_settings(base)
    for name in sorted(found.keys() | lineage["settings_sha256"].keys()):
        if found.get(name) != lineage["settings_sha256"].get(name):
            raise InputError(f"{base / name} is not what it was when {adapter} was trained: restore it or train anew.")
    told = {
        name: (lineage[name], getattr(student, name))
        for name in ("base", "revision", "tuning", "image_max_pixels", "views")
    }
    for name, (trained, asked) in told.items():
        if trained != asked:
            raise InputError(
                f"{adapter} was trained with {name} {trained}, params.yaml says {asked}: set it back or train again."
            )


def merge_float32(base: Path, adapters: Sequence[Path], part: Path, student: Student) -> Path:
    """The folder of LLaMA-Factory's merged model in float32, of one adapter after another; made in `part`.

    Raises:
        RuntimeError: LLaMA-Factory wrote none.
    """
    log, is_lora = part / "export.log", student.tuning == "lora"
    llamafactory.link_float32(part / "base", base, base if is_lora else adapters[0])
    copy_configuration(base, part / "base", student)
    places = {"model_name_or_path": [part / "base"], **({"adapter_name_or_path": adapters} if is_lora else {})}
    llamafactory.write_settings(part / "export.yaml", llamafactory.merging_settings(student), places)
    with llamafactory.run_program(["llamafactory-cli", "export", "export.yaml"], part, log) as child:
        child.wait()
    if child.returncode or not any((part / "export").glob("model*.safetensors")):
        raise RuntimeError(
            f"LLaMA-Factory exported nothing (exit code {child.returncode}): {llamafactory.find_complaint(log)}"
        )
    return part / "export"


def copy_configuration(base: Path, folder: Path, student: Student) -> None:
    """Give a folder the base's files but its weights, and the processor the cap on px that training had.

    A folder that holds float32 weights keeps a config.json of its own.
    """
    for name in (*CONFIGURATION, *PROCESSOR):
        if (base / name).exists() and not (name == "config.json" and (folder / name).exists()):
            (folder / name).unlink(missing_ok=True)
            shutil.copyfile(base / name, folder / name)
    family = families.load(student.family)
    capped = change_image_settings(base, lambda settings: family.cap_pixels(settings, student.image_max_pixels))
    for name, content in capped.items():
        write_json(folder / name, content)
