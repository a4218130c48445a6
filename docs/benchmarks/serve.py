#!/usr/bin/env python3
"""Tokens a second of 32 clients of `instil serve` beside those of the engine alone.

    docs/benchmarks/serve.py MODEL PROMPTS.json [--new 64] [--clients 32] [--limit 128] [--rounds 2] [--quantize q8_0]
        [--instil target/release/instil] [--throughput target/release/examples/throughput]

Both complete the same prompts in tokens, greedily, by exactly --new tokens each, with 32 sequences under way at the most. The
engine alone is crates/instil-model/examples/throughput.rs, built by `cargo build --release -p instil-model --example
throughput`. They take turns, a round each; loading is not counted, and one request warms each server up. MODEL and
PROMPTS.json are what random_model.py and engine.py beside this file make: a folder, and a list of {"ids"}. Prints a
line of JSON a round, and the ratios of the best rounds: of tokens a second, and of the tokens that a second of
processor time makes, which on a machine with other work says more. The engine's is what a run takes beyond a run of
one prompt and one token; the server's, what it takes between the first request and the last. Linux, and nothing but
Python's own library.
"""

import argparse
import http.client
import json
import os
import resource
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]


def engine(given, prompts, new):
    """What the engine says of itself without a server, and the processor time of all of it."""
    command = [given.throughput, given.model, prompts, "--new", str(new), "--threads", str(given.threads)]
    command += ["--quantize", given.quantize, "--sequences", str(given.clients)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return told["new_tokens"], told["seconds"], processor


def processor_time(pid):
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def server(given, prompts):
    """What clients count, each with a connection of its own."""
    command = [given.instil, "serve", "--model", given.model, "--quantize", given.quantize, "--threads", str(given.threads)]
    with subprocess.Popen([*command, "--port", "0", "--json", "-q"], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = urlsplit(json.loads(process.stdout.readline())["base_url"])
            ask(http.client.HTTPConnection(address.hostname, address.port), prompts[0], 1)
            left = iter(prompts)
            lock, counts, failures = threading.Lock(), [], []

            def client():
                connection = http.client.HTTPConnection(address.hostname, address.port)
                while not failures:
                    with lock:
                        prompt = next(left, None)
                    if prompt is None:
                        return
                    try:
                        counts.append(ask(connection, prompt, given.new))
                    except Exception as error:
                        failures.append(error)

            threads = [threading.Thread(target=client) for _ in range(given.clients)]
            began, used = time.monotonic(), processor_time(process.pid)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.monotonic() - began
            if failures:
                raise failures[0]
            return sum(counts), seconds, processor_time(process.pid) - used
        finally:
            process.terminate()
            process.wait(60)


def ask(connection, prompt, new):
    """Completes a prompt; gives the number of new tokens."""
    body = json.dumps({"prompt": prompt, "max_tokens": new, "temperature": 0, "ignore_eos": True})
    connection.request("POST", "/v1/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != 200:
        raise RuntimeError(told)
    return told["usage"]["completion_tokens"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--limit", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--quantize", default="q8_0")
    parser.add_argument("--instil", default=ROOT / "target/release/instil")
    parser.add_argument("--throughput", default=ROOT / "target/release/examples/throughput")
    given = parser.parse_args()
    prompts = [prompt["ids"] for prompt in json.loads(given.prompts.read_text("utf-8"))][: given.limit]
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        one, all_ = Path(folder, "one.json"), Path(folder, "all.json")
        one.write_text(json.dumps([{"ids": prompts[0]}]), "utf-8")
        all_.write_text(json.dumps([{"ids": ids} for ids in prompts]), "utf-8")
        loading = engine(given, one, 1)[2]

        def alone():
            tokens, seconds, processor = engine(given, all_, given.new)
            return tokens, seconds, processor - loading

        for round_ in range(given.rounds):
            for who, run in [("engine alone", alone), ("server", lambda: server(given, prompts))]:
                load = os.getloadavg()[0]
                tokens, seconds, processor = run()
                rates = {"tokens_per_second": tokens / seconds, "tokens_per_processor_second": tokens / processor}
                for what, rate in rates.items():
                    best[what, who] = max(best.get((what, who), 0), rate)
                told = {"round": round_, "who": who, "new_tokens": tokens, "seconds": seconds, "processor": processor, **rates}
                shown = {key: round(value, 2) if isinstance(value, float) else value for key, value in told.items()}
                print(json.dumps({**shown, "load_before": round(load, 1)}), flush=True)
    ratio = {what: round(best[what, "server"] / best[what, "engine alone"], 3) for what, who in best if who == "server"}
    print(json.dumps({"clients": given.clients, "server / engine alone": ratio}))


if __name__ == "__main__":
    main()
