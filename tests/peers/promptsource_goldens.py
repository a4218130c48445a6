"""Golden files of the template engine, made by the Python package promptsource 0.2.3 itself.

    pip download --no-deps --no-binary :all: --ignore-requires-python --dest PACKAGE promptsource==0.2.3
    python tests/peers/promptsource_goldens.py --package PACKAGE --templates TEMPLATES

The Python is one with jinja2, pyyaml and blake3, such as the virtual environment that tests/peers/run makes,
which also fetches the package (into target/peers-promptsource). TEMPLATES is the folder `promptsource/templates`
of PromptSource's repository.

The package refuses Pythons newer than 3.9 and pulls in years-old `datasets` and `streamlit`. Its one
module that renders needs neither: `promptsource/templates.py` is taken out of the published sdist and
run unmodified, under today's jinja2 and pyyaml, with stand-ins for the two modules that it imports and
that `Template.apply` never calls (`pandas`, `pkg_resources`; the latter tells it where templates lie).

One thing is changed while rendering: `random.choice`, which the package's filter `choice` and jinja2's
filter `random` both call, draws from a fixed sequence, and the indices drawn are part of the golden.
"""

import argparse
import copy
import gzip
import importlib.util
import json
import platform
import re
import sys
import tarfile
import tempfile
import types
from importlib.metadata import version
from pathlib import Path

import yaml
from blake3 import blake3

import promptsource_rows
from promptsource_rows import Draws, dump, full

PACKAGE = "promptsource-0.2.3"
HERE = Path(__file__).resolve().parent
GOLDENS = HERE.parents[1] / "crates" / "instil" / "tests" / "goldens" / "templates"


def load_package(sdist_folder, templates):
    """The package's module `promptsource/templates.py`, which finds its templates in the folder `templates`."""
    stubs = {"pandas": types.ModuleType("pandas"), "pkg_resources": types.ModuleType("pkg_resources")}
    stubs["pkg_resources"].resource_filename = lambda *_: str(templates)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(next(Path(sdist_folder).glob(f"{PACKAGE}.tar.gz"))) as sdist:
            source = sdist.extractfile(f"{PACKAGE}/promptsource/templates.py").read()
        path = Path(folder) / "promptsource_templates.py"
        path.write_bytes(source)
        spec = importlib.util.spec_from_file_location("promptsource_templates", path)
        module = importlib.util.module_from_spec(spec)
        before = {name: sys.modules.get(name) for name in stubs}
        sys.modules.update(stubs)
        try:
            spec.loader.exec_module(module)
        finally:
            for name, old in before.items():
                if old is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = old
    return module


def render(template, row, truncate):
    """What `Template.apply` says: {"draws", "parts"} or {"draws", "error"}."""
    with Draws(template, row) as draws:
        try:
            said = {"parts": template.apply(copy.deepcopy(row), truncate=truncate)}
        except Exception as error:  # noqa: BLE001 - whatever the template raises is what the golden says
            said = {"error": f"{type(error).__name__}: {error}"}
    return {"draws": draws.drawn, **said}


def write_gz(path, lines):
    """Bytes that depend on the lines alone: no time, no file name in the header."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as out:
        for line in lines:
            out.write(line.encode() + b"\n")


def hashes(parts):
    return [blake3(part.encode()).hexdigest()[:16] for part in parts]


def in_order(module):
    """(key, DatasetTemplates) of every file below the templates folder, by key."""
    sets = module.TemplateCollection().datasets_templates
    return sorted(("/".join(filter(None, key)), templates) for key, templates in sets.items())


def corpus(module, out):
    """corpus-rows.jsonl.gz and corpus.jsonl.gz; gives the statistics."""
    rows_lines, lines, stats = [], [], []
    places = missed = 0
    for key, collection in in_order(module):
        templates = sorted(collection.templates.values(), key=lambda template: template.name)
        rows, here, unreached = promptsource_rows.make(module, key, templates)
        places, missed = places + here, missed + unreached
        rows = json.loads(dump(rows))
        rows_lines.append(dump({"dataset": key, "rows": rows}))
        for template in templates:
            plain, cut = [], []
            for index, row in enumerate(rows):
                for truncate in (False, True):
                    said = render(template, row, truncate)
                    (cut if truncate else plain).append(said)
                    line = {"dataset": key, "template": template.name, "row": index, "truncate": truncate}
                    line["draws"] = said["draws"]
                    if "error" in said:
                        line["error"] = said["error"]
                    else:
                        line["hashes"] = hashes(said["parts"])
                    lines.append(dump(line))
            stats.append((key, template.name, plain, cut))
    write_gz(out / "corpus-rows.jsonl.gz", rows_lines)
    write_gz(out / "corpus.jsonl.gz", lines)
    return stats, places, missed


def own(module, source, out):
    """own.jsonl: what the package makes of own.yaml, our templates, on the rows of own-rows.json."""
    text = (source / "own.yaml").read_text(encoding="utf-8")
    templates = yaml.load(text, Loader=yaml.FullLoader)["templates"].values()
    given = json.loads((source / "own-rows.json").read_text(encoding="utf-8"))
    count = 0
    with (out / "own.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        for template in templates:
            for name in given["of"].get(template.name, given["usual"]):
                # Only the fields that the template speaks of, so that a line can be read.
                words = set(re.findall(r"\w+", f"{template.jinja} {template.answer_choices}")) | {"answer_choices"}
                row = {field: value for field, value in given["rows"][name].items() if field in words}
                for truncate in (False, True):
                    said = render(template, row, truncate)
                    line = {"template": template.name, "row": row, "truncate": truncate, **said}
                    lines.write(dump(line) + "\n")
                    count += 1
    return len(templates), count


def describe(stats, places, missed):
    """The statistics as Markdown."""
    renders = [[said["parts"] for said in plain if "parts" in said] for _, _, plain, _ in stats]
    pairs = [(one, other) for _, _, plain, cut in stats for one, other in zip(plain, cut)]
    broken = sum("parts" in one and "error" in other for one, other in pairs)
    lines = [
        "| what | number |",
        "|---|---|",
        f"| template files | {len({key for key, *_ in stats})} |",
        f"| templates | {len(stats):,} |",
        f"| templates that render on at least one of their rows | {sum(map(bool, renders)):,} |",
        f"| templates that give two non-empty parts on at least one row | {sum(any(map(full, r)) for r in renders):,} |",
        f"| places of templates that write something | {places:,} |",
        f"| of these reached on at least one row | {places - missed:,} |",
        f"| renderings (template x row), not truncated | {len(pairs):,} |",
        f"| of these without an error | {sum(map(len, renders)):,} |",
        f"| of these with two non-empty parts | {sum(sum(map(full, parts)) for parts in renders):,} |",
        f"| renderings that truncation changes | {sum(one != other for one, other in pairs):,} |",
        f"| of these: an error only when truncated | {broken:,} |",
    ]
    never, thin = [], []
    for key, name, plain, _ in stats:
        if not any("parts" in said for said in plain):
            errors = sorted({said["error"] for said in plain})
            never.append(f"- `{key}`, `{name}`: {'; '.join(f'`{error}`' for error in errors)}")
        elif not any("parts" in said and full(said["parts"]) for said in plain):
            parts = max((said["parts"] for said in plain if "parts" in said), key=lambda parts: sum(map(bool, parts)))
            which = ", ".join("empty" if not part else "text" for part in parts)
            thin.append(f"- `{key}`, `{name}`: {which}")
    lines += ["", f"Templates that render on no row ({len(never)}):", "", *(never or ["none"])]
    lines += ["", f"Templates that render, but never to two non-empty parts ({len(thin)}):", "", *(thin or ["none"])]
    return "\n".join(lines) + "\n"


ABOUT = """# Goldens of the template engine

Made by `tests/peers/promptsource_goldens.py` with the Python package promptsource 0.2.3; `./test peers` makes
them anew and compares the bytes. Made with {versions}.

- `own.yaml`: our templates, in PromptSource's published form, written for this test. `own-rows.json`: the rows
  that they are rendered on (`of`: template to names of rows; `usual`: the names for all other templates).
- `own.jsonl`: a line a rendering: `template`, `row` (the fields that the template speaks of), `truncate`, `draws`
  (the indices that `choice` and `random` drew, in order), and `parts` or `error` (`Type: message`, as Python words
  it). Jinja2 evaluates what is constant while it compiles, so a `choice` of constants draws once, before all others,
  even in a loop or in a branch not taken; the template is compiled before its answer choices.
- `corpus-rows.jsonl.gz`: made-up rows for every dataset of PromptSource's templates, shaped by what the templates
  do with their fields. Texts are out of the word lists of `tests/peers/promptsource_rows.py`; the only strings
  that come from the templates are the labels and marks that these compare fields with or look up.
- `corpus.jsonl.gz`: a line a rendering of PromptSource's own templates (commit 7dab96a of its repository) on those
  rows: `dataset`, `template`, `row` (index), `truncate`, `draws`, and `error` or `hashes`, the first 16 hex digits
  of BLAKE3 of each part. The templates and what they render to are not here.

A place of a template that writes something, in the table, is a `yield` in the Python that Jinja2 makes of it; it
counts as reached if a rendering without an error passes it.

{counts}
"""


def versions():
    names = ["jinja2", "markupsafe", "pyyaml", "blake3"]
    return ", ".join(["promptsource 0.2.3", f"python {platform.python_version()}", *(f"{n} {version(n)}" for n in names)])


def make(package, templates, out):
    """The three files that are made, into the folder `out`; gives the statistics. Our own templates lie in GOLDENS."""
    module = load_package(package, templates)
    out.mkdir(parents=True, exist_ok=True)
    counts = describe(*corpus(module, out))
    templates_of_own, lines_of_own = own(module, GOLDENS, out)
    counts = f"own.yaml has {templates_of_own} templates, own.jsonl {lines_of_own:,} lines.\n\n" + counts
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, required=True, help=f"folder with {PACKAGE}.tar.gz")
    parser.add_argument("--templates", type=Path, required=True, help="PromptSource's folder templates/")
    parser.add_argument("--out", type=Path, default=GOLDENS, help="where the goldens go (default: where they are)")
    arguments = parser.parse_args()
    counts = make(arguments.package, arguments.templates, arguments.out)
    (arguments.out / "README.md").write_text(ABOUT.format(versions=versions(), counts=counts.rstrip()), encoding="utf-8")
    print(counts)


if __name__ == "__main__":
    main()
