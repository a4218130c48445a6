#!/usr/bin/env python3
"""Prompts continued a second: instil's engine, llama.cpp and transformers, on one random 125M Llama.

    target/peers-venv/bin/python docs/benchmarks/engine.py [--rounds 2] [--limit 64] [--formats f32 q8_0] [--tune]
    target/peers-venv/bin/python docs/benchmarks/engine.py --score
    target/peers-venv/bin/python docs/benchmarks/engine.py --large

256 prompts of 100 to 300 tokens, 64 new tokens each, two threads; the most likely tokens, no token ends a text. Models,
prompts and llama.cpp's driver are made below target/engine if they are not there. Contestants take turns in one run,
a round each; a figure is the best of a contestant's rounds. Loading is not counted. What is not there is said and
left out. The raw result goes to docs/benchmarks/engine.log, unless --no-log or --limit is given.
Each contestant says one JSON object on a line: `load_seconds`, `seconds` (all but loading), `prompt_tokens`, `new_tokens`.
Run it when nothing else runs: the load average at each start is in the raw result.

- instil: crates/instil-model/examples/throughput.rs, built by `cargo build --release -p instil-model --example throughput`,
  called as `throughput MODEL PROMPTS.json --new 64 --threads 2`. Safetensors in f32 and bf16, GGUF in Q8_0 and Q4_K.
  PROMPTS.json is a list of {"text", "ids"}, the ids with the start token.
- llama.cpp: native build of the sources in LLAMA_CPP, with its static libraries in LLAMA_BUILD (see --help), and
  engine_llama.cpp beside this file; GGUF in the same types.
- transformers: `generate` in f32 and bf16, prompts sorted by length, padded on the left.

--score scores the prompts instead: the negative log-likelihood of every token after the first, from logits in which
nothing is left out. The sums of all contestants are printed, as they must be alike. --tune tries the settings of llama.cpp and transformers on 64 prompts and keeps each one's best in
target/engine/settings.json, which later runs use. --large writes a sharded Mistral-7B-shaped checkpoint in bf16
(14.5 GB), has instil load it with --quantize q4_k and continue four prompts, prints its peak of resident memory, and
deletes the checkpoint.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LOG = HERE / "engine.log"
NEW, THREADS = 64, 2
FORMATS = ["f32", "bf16", "q8_0", "q4_k"]
# What --tune tries. WAIT is OpenMP's: threads that wait for each other spin (active), which is the fastest on a machine
# with nothing else to do and many times slower on one that has, or sleep (passive).
WAIT = ["passive", "active"]
SETTINGS = {
    "llama.cpp": {"parallel": [16, 32, 64], "flash": [1, 0], "unified": [0], "ubatch": [512], "wait": WAIT},
    "transformers": {"batch": [16, 32, 64], "wait": WAIT},
}
USUAL = {
    "llama.cpp": {"parallel": 32, "flash": 1, "unified": 0, "ubatch": 512, "wait": "passive"},
    "transformers": {"batch": 32, "wait": "passive"},
    "instil": {},
}
LIBRARIES = ["src/libllama.a", "ggml/src/libggml.a", "ggml/src/libggml-cpu.a", "ggml/src/libggml-base.a"]
sys.dont_write_bytecode = True


# What is measured


def prepare(work, formats):
    """Models and prompts; gives the path of each format's model."""
    work.mkdir(parents=True, exist_ok=True)
    script = HERE / "random_model.py"
    paths = {}
    for name in ["f32", "bf16"]:
        paths[name] = work / f"125m-{name}"
        if not (paths[name] / "model.safetensors").is_file():
            run_quietly([sys.executable, script, paths[name], "--dtype", name])
    if not (work / "prompts.json").is_file():
        run_quietly([sys.executable, script, paths["f32"], "--prompts", work / "prompts.json"])
    for name in formats:
        path = work / f"125m-{name}.gguf"
        paths[f"{name}.gguf"] = path
        if not path.is_file():
            run_quietly([sys.executable, HERE / "random_gguf.py", paths["f32"], path, "--type", name])
    return paths


def driver(work, sources, libraries):
    """engine_llama, compiled; or why it can't be."""
    if not (sources / "include" / "llama.h").is_file():
        return None, f"no llama.h below {sources} (--llama-cpp or LLAMA_CPP)"
    archives = [libraries / place for place in LIBRARIES]
    missing = [archive for archive in archives if not archive.is_file()]
    if missing:
        return None, f"no {missing[0].name} below {libraries} (--llama-build or LLAMA_BUILD)"
    program, source = work / "engine_llama", HERE / "engine_llama.cpp"
    if not program.is_file() or program.stat().st_mtime < max(path.stat().st_mtime for path in [source, *archives]):
        includes = [f"-I{sources / 'include'}", f"-I{sources / 'ggml' / 'include'}"]
        run_quietly(
            ["g++", "-O2", "-std=c++17", source, "-o", program, *includes, *archives, "-fopenmp", "-lpthread", "-ldl"]
        )
    return program, None


def run_quietly(command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def last_json(text):
    return json.loads(next(line for line in reversed(text.splitlines()) if line.startswith("{")))


def waiting(setting):
    return os.environ | {"OMP_WAIT_POLICY": setting["wait"]}


def llama(program, model, prompts, setting):
    ids = "\n".join(" ".join(map(str, row["ids"])) for row in prompts)
    given = [setting["parallel"], setting["flash"], setting["unified"], "f16", setting["ubatch"]]
    return last_json(run_quietly([program, model, NEW, THREADS, *given], input=ids, env=waiting(setting)))


def instil(program, model, prompts, _setting):
    path = model.parent / f"prompts-{len(prompts)}.json"
    path.write_text(json.dumps(prompts), encoding="utf-8")
    what = ["--new", NEW] if NEW else ["--score"]
    return last_json(run_quietly([program, model, path, *what, "--threads", THREADS]))


def transformers(_program, model, prompts, setting):
    """In a process of its own, so that nothing of it is there while another one is measured."""
    path = model.parent / f"prompts-{len(prompts)}.json"
    path.write_text(json.dumps(prompts), encoding="utf-8")
    return last_json(
        run_quietly([sys.executable, __file__, "--transformers", model, path, setting["batch"], NEW], env=waiting(setting))
    )


def generate(model, path, batch, new):
    """The process of `transformers`."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(THREADS)
    prompts = sorted((row["ids"] for row in json.loads(Path(path).read_text("utf-8"))), key=len, reverse=True)
    began = time.perf_counter()
    of = AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval()
    loaded, made, nll = time.perf_counter(), 0, 0.0
    with torch.inference_mode():
        for at in range(0, len(prompts), int(batch)):
            rows = prompts[at : at + int(batch)]
            width = len(rows[0])
            if int(new) == 0:
                nll += score(of, rows)
                continue
            ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
            said = of.generate(
                ids, attention_mask=mask, max_new_tokens=int(new), do_sample=False, eos_token_id=None, pad_token_id=0
            )
            made += said[:, width:].numel()
    tokens = {"prompt_tokens": sum(map(len, prompts)), "new_tokens": made, "nll": nll}
    print(json.dumps({"load_seconds": loaded - began, "seconds": time.perf_counter() - loaded} | tokens))


def score(of, rows):
    """The negative log-likelihoods of a batch's tokens, summed; padded on the right, where no mask is needed."""
    import torch

    width = len(rows[0])
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    goals = torch.tensor([row[1:] + [-100] * (width - len(row)) for row in rows])
    logits = of(ids).logits[:, :-1].flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits.float(), goals.flatten(), reduction="sum").item()


def contestants(arguments, paths):
    """(engine, format) to what measures it; and what is left out, why."""
    found, missing = {}, []
    throughput = Path(arguments.instil)
    if throughput.is_file():
        for name in arguments.formats:
            model = paths[name] if name in paths else paths[f"{name}.gguf"]
            found["instil", name] = (instil, throughput.resolve(), model)
    else:
        missing.append(f"instil: no {throughput}; cargo build --release -p instil-model --example throughput")
    program, why = driver(arguments.work, arguments.llama_cpp, arguments.llama_build)
    if program:
        for name in arguments.formats:
            found["llama.cpp", name] = (llama, program, paths[f"{name}.gguf"])
    else:
        missing.append(f"llama.cpp: {why}")
    for name in ["f32", "bf16"]:
        if name in arguments.formats:
            found["transformers", name] = (transformers, None, paths[name])
    chosen = arguments.only or ["instil", "llama.cpp", "transformers"]
    return {key: value for key, value in found.items() if key[0] in chosen}, missing


# The run


def tuned(work, those, prompts):
    """Each contestant's fastest setting on some of the prompts."""
    best = {}
    for (engine, name), (measure, program, model) in those.items():
        tried = SETTINGS.get(engine)
        if not tried:
            continue
        said = []
        for values in itertools.product(*tried.values()):
            setting = dict(zip(tried, values, strict=True))
            seconds = measure(program, model, prompts, setting)["seconds"]
            said.append((seconds, setting))
            print(f"{engine} {name} {setting}: {seconds:.2f} s", flush=True)
        best[f"{engine} {name}"] = min(said, key=lambda pair: pair[0])[1]
    path = work / "settings.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(known | best, indent=1), encoding="utf-8")


def measured(those, prompts, rounds, settings):
    """Every contestant in turn, `rounds` times; what each said."""
    said = {key: [] for key in those}
    for number in range(rounds):
        # Every other round the other way round, so that no contestant always runs on the warmest machine.
        for (engine, name), (measure, program, model) in list(those.items())[:: 1 if number % 2 == 0 else -1]:
            load = os.getloadavg()[0]
            setting = settings.get(f"{engine} {name}", USUAL[engine])
            one = measure(program, model, prompts, setting) | {"setting": setting, "load_average": round(load, 2)}
            tokens = one["prompt_tokens"] + one["new_tokens"]
            if one["new_tokens"] != len(prompts) * NEW:
                sys.exit(f"{engine} {name}: {one['new_tokens']} new tokens, not {len(prompts) * NEW}")
            said[engine, name].append(one)
            print(
                f"round {number + 1}, {engine} {name}: {one['seconds']:.1f} s, {tokens / one['seconds']:.0f} tokens/s",
                flush=True,
            )
    return said


def describe(said):
    """A line a contestant with the figures of its best round, then the ratios."""
    best = {key: min(ones, key=lambda one: one["seconds"]) for key, ones in said.items() if ones}
    for (engine, name), one in best.items():
        each = ", ".join(f"{other['seconds']:.1f}" for other in said[engine, name])
        rates = f"{one['prompt_tokens'] / one['seconds']:.0f} prompt tokens/s, {one['new_tokens'] / one['seconds']:.0f} new tokens/s"
        setting = " ".join(f"{key}={value}" for key, value in one["setting"].items())
        rates += "" if NEW else f", {one['nll']:.1f} nats"
        yield f"{engine:12} {name:5} {one['seconds']:7.1f} s, {rates} (rounds: {each} s{'; ' * bool(setting)}{setting})"
    for name in FORMATS:
        for other in dict.fromkeys([("llama.cpp", name), ("transformers", name), ("transformers", "f32")]):
            if ("instil", name) in best and other in best:
                ratio = best[other]["seconds"] / best["instil", name]["seconds"]
                yield f"instil {name} / {' '.join(other)}: {ratio:.2f} x"


def machine():
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} processors ({model}), {platform.system()}, torch {version('torch')}, transformers {version('transformers')}"


def log(lines):
    text = "\n".join([time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), *(f"  {line}" for line in lines)]) + "\n\n"
    with LOG.open("a", encoding="utf-8") as file:
        file.write(text)


def large(arguments):
    """A 7B checkpoint, loaded as q4_k in how much memory."""
    folder = arguments.work / "mistral-7b-bf16"
    throughput = Path(arguments.instil).resolve()
    if not throughput.is_file():
        sys.exit(f"no {throughput}; cargo build --release -p instil-model --example throughput")
    try:
        run_quietly([sys.executable, HERE / "random_model.py", folder, "--shape", "mistral-7b", "--dtype", "bf16"])
        few = arguments.work / "prompts-4.json"
        run_quietly([sys.executable, HERE / "random_model.py", folder, "--prompts", few, "--count", 4])
        command = [throughput, folder, few, "--new", 16, "--threads", THREADS, "--quantize", "q4_k"]
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(map(str, command))}: status {status}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    said = last_json(text)
    return [
        machine(),
        f"Mistral-7B shape, bf16 to q4_k: peak {usage.ru_maxrss / 1e6:.2f} GB resident; {json.dumps(said)}",
    ]


def main():
    if sys.argv[1:2] == ["--transformers"]:
        generate(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--work", type=Path, default=target / "engine", help="where models and programs go")
    parser.add_argument("--instil", default=target / "release" / "examples" / "throughput")
    parser.add_argument("--llama-cpp", type=Path, default=os.environ.get("LLAMA_CPP", "llama.cpp"), help="its sources")
    parser.add_argument(
        "--llama-build",
        type=Path,
        default=os.environ.get("LLAMA_BUILD", "llama.cpp/build"),
        help="cmake's folder: -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF, target llama",
    )
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--only", nargs="+", choices=["instil", "llama.cpp", "transformers"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit", type=int, help="so many prompts of the 256; nothing is logged")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--no-log", action="store_true")
    arguments = parser.parse_args()
    if arguments.score:
        global NEW
        NEW = 0
    if arguments.large:
        lines = large(arguments)
    else:
        paths = prepare(arguments.work, arguments.formats)
        prompts = json.loads((arguments.work / "prompts.json").read_text("utf-8"))[: arguments.limit]
        those, missing = contestants(arguments, paths)
        print("\n".join(f"left out: {line}" for line in missing), flush=True)
        if arguments.tune:
            tuned(arguments.work, those, prompts[:64])
            return
        path = arguments.work / "settings.json"
        settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        said = measured(those, prompts, arguments.rounds, settings)
        raw = [f"{engine} {name}: {json.dumps(one)}" for (engine, name), ones in said.items() for one in ones]
        tokens = sum(len(row["ids"]) for row in prompts)
        head = f"{len(prompts)} prompts, {tokens:,} tokens, {f'{NEW} new tokens each' if NEW else 'scored'}, {THREADS} threads"
        lines = [machine(), head, *(f"left out: {line}" for line in missing), *describe(said), "raw:", *raw]
    print("\n".join(lines))
    if not (arguments.no_log or arguments.limit):
        log(lines)


if __name__ == "__main__":
    main()
