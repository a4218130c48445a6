"""The Hub's own library and the program: each finds in the cache what the other has fetched, and loads what it pushed."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import datasets
import pytest

from conftest import ROOT, instil

LARGE = 1000
WEIGHTS = bytes(range(256)) * 40
MODEL = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": WEIGHTS[::-1],
    "tokenizer.json": b"{}",
    "additional_chat_templates/tools.jinja": b"{{ messages }}",
}


def git_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Hub(ThreadingHTTPServer):
    """What of the Hub's protocol a download and a push need, on a free port, over plain files."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        # Another host by its name: the library follows redirects within one when it asks for a file's head.
        self.elsewhere = f"http://localhost:{self.server_port}"
        self.repos, self.store = {}, {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def commit(self, repo, files):
        for data in files.values():
            self.store[sha256(data)] = data
        commit = git_id(b"".join(path.encode() + data for path, data in sorted(files.items())))
        self.repos[repo] = (commit, files)
        return commit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = unquote(urlsplit(self.path).path).strip("/")
        if path.startswith("store/"):
            return self.answer(200, self.server.store[path.split("/")[1]])
        kind, path = self.kind(path)
        parts = path.split("/", 4)
        repo = "/".join([kind, *parts[:2]])
        if repo not in self.server.repos:
            return self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        commit, files = self.server.repos[repo]
        what = parts[2] if len(parts) > 2 else "revision"
        if what == "revision":
            return self.answer(200, {"id": "/".join(parts[:2]), "sha": commit, "private": False, "siblings": [{"rfilename": name} for name in files]})
        if what == "tree":
            return self.answer(200, [self.entry(*file) for file in files.items()])
        data = files.get("/".join(parts[4:]))
        if data is None:
            return self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
        headers = {"X_Repo_Commit": commit, "Accept_Ranges": "bytes"}
        if len(data) <= LARGE:
            return self.answer(200, data, ETag=f'"{git_id(data)}"', **headers)
        linked = {"X_Linked_ETag": f'"{sha256(data)}"', "X_Linked_Size": str(len(data))}
        self.answer(302, Location=f"{self.server.elsewhere}/store/{sha256(data)}", **linked, **headers)

    do_HEAD = do_GET

    def kind(self, path):
        path = path.removeprefix("api/")
        for kind in ["models", "datasets"]:
            if path.startswith(kind + "/"):
                return kind, path.removeprefix(kind + "/")
        return "models", path

    def entry(self, path, data):
        entry = {"type": "file", "path": path, "size": len(data), "oid": git_id(data)}
        if len(data) > LARGE:
            entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
        return entry

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def do_PUT(self):
        data = self.body()
        self.server.store[sha256(data)] = data
        self.answer(200)

    def do_POST(self):
        path, body = unquote(urlsplit(self.path).path).strip("/"), self.body()
        if path == "api/repos/create":
            asked = json.loads(body)
            repo = f"datasets/{asked['organization']}/{asked['name']}"
            self.server.commit(repo, {})
            return self.answer(200, {"url": f"{self.server.url}/{repo}"})
        kind, path = self.kind(path)
        owner, name, what, *rest = path.split("/")
        repo = f"{kind}/{owner}/{name.removesuffix('.git')}"
        if what == "preupload":
            modes = [
                {"path": file["path"], "uploadMode": "lfs" if file["size"] > LARGE else "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": modes})
        if what == "info":
            objects = json.loads(body)["objects"]
            for one in objects:
                if one["oid"] not in self.server.store:
                    one["actions"] = {"upload": {"href": f"{self.server.elsewhere}/store/{one['oid']}"}}
            return self.answer(200, {"transfer": "basic", "objects": objects})
        assert what == "commit", path
        _, files = self.server.repos[repo]
        files = dict(files)
        for line in map(json.loads, body.splitlines()[1:]):
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.store[value["oid"]]
        commit = self.server.commit(repo, files)
        self.answer(200, {"commitOid": commit, "commitUrl": f"{self.server.url}/{repo}/commit/{commit}"})


@pytest.fixture
def hub():
    server = Hub()
    server.commit("models/ines/tiny", MODEL)
    yield server
    server.shutdown()


@pytest.fixture
def environment(hub, tmp_path):
    """An environment in which only this Hub is known."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_any"}


def run(environment, *command):
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stderr}"
    return done.stdout.strip()


def program(environment, *arguments):
    return run(environment, os.environ["INSTIL"], *map(str, arguments))


def library(environment, call):
    return run(environment, sys.executable, "-c", f"from huggingface_hub import *; print({call})")


def test_the_library_finds_what_pull_has_fetched(environment, hub, found):
    folder = Path(program(environment, "pull", "ines/tiny"))
    assert folder.name == hub.repos["models/ines/tiny"][0]
    assert library(environment, "snapshot_download('ines/tiny', local_files_only=True)") == str(folder)
    config = library(environment, "hf_hub_download('ines/tiny', 'config.json', local_files_only=True)")
    assert Path(config).read_bytes() == MODEL["config.json"]
    # It reads the cache's layout, and no warning comes of what the program has put there.
    scanned = library(environment, "(lambda c: [[(r.repo_id, [v.nb_files for v in r.revisions]) for r in c.repos], list(c.warnings)])(scan_cache_dir())")
    assert scanned == "[[('ines/tiny', [4])], []]"
    # Asked for what the program left out, it fetches that alone, into the same snapshot.
    assert library(environment, "snapshot_download('ines/tiny')") == str(folder)
    assert (folder / "pytorch_model.bin").read_bytes() == MODEL["pytorch_model.bin"]
    found("huggingface_hub finds a pulled snapshot, and completes it")


def test_pull_finds_what_the_library_has_fetched(environment, found):
    folder = library(environment, "snapshot_download('ines/tiny')")
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    assert program(offline, "pull", "ines/tiny") == folder
    assert program(offline, "pull", "ines/tiny", "--file", "*.bin") == folder
    found("pull finds a snapshot of huggingface_hub, offline")


def test_what_was_pushed_is_pulled_and_loaded(environment, hub, tmp_path, found):
    instil("generate", "examples/", "-o", tmp_path / "out", "--shard-rows", 20)
    url = program(environment, "push", tmp_path / "out", "ines/notes")
    assert url == f"{hub.url}/datasets/ines/notes"
    folder = program(environment, "pull", "ines/notes", "--dataset")
    assert library(environment, "snapshot_download('ines/notes', repo_type='dataset', local_files_only=True)") == folder
    rows = [
        datasets.load_dataset(str(where), split="train", cache_dir=str(tmp_path / "cache")).to_list()
        for where in [tmp_path / "out", folder]
    ]
    assert rows[0] == rows[1] and len(rows[0]) > 20
    found(f"push and pull: {len(rows[0])} rows loaded by datasets as they were made")
