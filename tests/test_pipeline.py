"""dvc.yaml, params.yaml, the code and the README say the same thing."""

import re
import shlex
from graphlib import TopologicalSorter
from pathlib import Path

import click
import grimp
import pytest
import yaml
from dvc.repo import Repo
from dvc.stage import Stage

from support import PARAMS, ROOT
from support.train_project import MERGED_BY
from warraq import code, params
from warraq.cli import reference
from warraq.cli.main import main
from warraq.students import Student
from warraq.syntax import parse_module
from warraq.views import count_views

SOURCE = ROOT / "src"
STAGES = ("code", "render", "label", "dataset", "train", "merge", "export", "gguf", "predict", "evaluate")


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return list(Repo(str(ROOT)).index.stages)


def name(stage: Stage) -> str:
    return str(stage.name).split("@")[0]


def own_code(stage: Stage) -> str:
    """The file under code/ that `stage` depends on."""
    item = stage.name.partition("@")[2]
    if name(stage) == "label":
        return f"code/label/{item}"
    if name(stage) in ("train", "merge", "export", "gguf"):
        return f"code/{name(stage)}/{params.load(ROOT / 'params.yaml').students[item].family}"
    return f"code/{name(stage)}"


def test_every_stage_depends_on_its_own_code_alone(stages: list[Stage]) -> None:
    tree = params.load(PARAMS)
    written = {f"code/{target.name}" for target in code.list_targets(SOURCE / "warraq", tree.tasks)}
    for stage in stages:
        listed = {dep.def_path for dep in stage.deps if dep.def_path.startswith(("code/", "src/"))}
        assert listed == ({"src/warraq"} if stage.name == "code" else {own_code(stage)}), stage.name
        assert stage.name == "code" or listed <= written


def test_every_package_that_decides_a_result_is_in_the_lock() -> None:
    modules = map(parse_module, (SOURCE / "warraq").rglob("*.py"))
    assert code.find_packages(modules, code.INDIRECT) <= code.read_pins(ROOT / "requirements.lock").keys()


def test_no_stage_rests_on_what_doctor_says_or_on_another_family() -> None:
    source, families = code.Source(SOURCE / "warraq"), "warraq.students.families."
    for target in code.list_targets(SOURCE / "warraq", params.load(PARAMS).tasks):
        modules = code.collect_modules(source, target.roots, target.excluded)
        assert "warraq.training.doctor" not in modules
        if target.name.startswith(("train", "merge")):
            assert not {"warraq.runtimes.onnx", "warraq.runtimes.processor", "warraq.rendering.pages"} & set(modules)
        assert len({name for name in modules if name.startswith(families)}) == target.name.startswith(
            ("train", "merge")
        )


def test_paths_are_on_the_command_line(stages: list[Stage]) -> None:
    for stage in stages:
        words = [Path(word) for word in shlex.split(stage.cmd)]
        given = [dep.def_path for dep in stage.deps if dep.protocol is None and not dep.def_path.startswith("code/")]
        for path in [*given, *(out.def_path for out in stage.outs)]:
            if path == "params.yaml":
                continue
            places = [word for word in words[1:] if len(word.parts) > 1 or word == Path(path)]
            assert any(word == Path(path) or word in Path(path).parents or word.parent == Path(path).parent
                       for word in places), f"{stage.name}: {path}"  # fmt: skip


def test_stages_are_commands_modules_and_branches(stages: list[Stage]) -> None:
    assert {name(stage) for stage in stages} == set(STAGES)
    assert set(STAGES) <= set(main.commands)
    working = set(STAGES) - {"code"}  # which only reads the code of the others
    assert {path.stem for path in (SOURCE / "warraq/stages").glob("*.py")} - {"__init__"} == working
    assert working <= set(params.Params.model_fields)
    assert {path.stem.split("_")[1] for path in (ROOT / "tests/stages").glob("test_*.py")} == working


def test_each_command_runs_its_stage_with_options_that_exist(stages: list[Stage]) -> None:
    for stage in stages:
        program, command, *rest = shlex.split(stage.cmd)
        assert (program, command) == ("warraq", name(stage))
        options = {option for parameter in main.commands[command].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, stage.name


def test_each_stage_tracks_its_own_branch(stages: list[Stage]) -> None:
    for stage in stages:
        tracked = {key for dep in stage.deps for key in getattr(dep, "params", []) or []}
        assert name(stage) in tracked or stage.name == "code", stage.name
        others = tracked & set(STAGES) - {name(stage)}
        assert not others, f"{stage.name} would run again for {others}"


def test_of_a_student_its_export_alone_retrains_nothing(stages: list[Stage]) -> None:
    fields = set(Student.model_fields)
    for stage in stages:
        tracked = {key for dep in stage.deps for key in getattr(dep, "params", []) or []}
        own = {key.split(".")[2] for key in tracked if key.startswith("students.")}
        if name(stage) == "train":
            assert own == fields - {"export"}
        elif name(stage) == "merge":  # test_merge.py gives it a student of these alone
            assert own == set(MERGED_BY)
        else:
            rest = {"export": {"family", "export"}, "gguf": {"family", "export"}, "predict": {"views"}}
            assert own == rest.get(name(stage), set()), stage.name


def test_what_is_paid_rendered_or_decided_once_persists_and_nothing_else(stages: list[Stage]) -> None:
    persisted = {out.def_path for stage in stages for out in stage.outs if out.persist}
    tasks = params.load(PARAMS).tasks
    assert persisted == {"data/pages", "data/splits.csv", *(f"data/labels/{task}.jsonl" for task in tasks)}


def test_no_stage_is_frozen(stages: list[Stage]) -> None:
    assert not [stage.name for stage in stages if stage.frozen]


def test_readme_table_is_the_pipeline() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M))
    tree = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert rows == {
        stage: spec.get("do", spec)["desc"] if "do" in spec else spec["desc"] for stage, spec in tree.items()
    }


def test_readme_names_only_verbs_that_exist() -> None:
    verbs = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = file.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M)) <= verbs, file.name
        used = set(re.findall(r"`warraq ([a-z][a-z-]+)", text))
        assert used <= set(main.commands), file.name


def test_every_parameter_says_what_it_is() -> None:
    """Where a key first stands in params.yaml, its line says the unit or the meaning."""
    seen = set()
    for line in PARAMS.read_text(encoding="utf-8").splitlines():
        key = re.match(r"\s*(\w+):\s+[^#\s]", line)
        if key and key[1] not in seen:
            seen.add(key[1])
            assert " # " in line, line


def test_docs_have_every_command_as_it_is() -> None:
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == reference.format_reference(), "run `make docs`"


def test_every_command_and_option_says_what_it_is_for() -> None:
    for context in reference.iterate_commands(main):
        options = [one for one in context.command.params if isinstance(one, click.Option)]
        assert context.command.help and all(one.help for one in options), context.command_path


def test_lock_holds_hashes_and_no_addresses() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert all("--hash" in block for block in re.split(r"\n(?=[a-z])", text.strip()))


def test_no_imports_run_in_a_circle() -> None:
    """Those that only a type checker reads count as well."""
    graph = grimp.build_graph("warraq", cache_dir=None)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()


def test_the_server_of_compose_takes_as_many_images_as_its_student_is_shown() -> None:
    command = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["vllm"]["command"]
    views = params.load(PARAMS).find_student("gemma3_4b").views
    assert f"--limit-mm-per-prompt '{{\"image\": {count_views(views)}}}'" in command
