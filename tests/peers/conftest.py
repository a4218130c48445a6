"""What the comparisons share: the program, and the log of what they found."""

import importlib.metadata
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "docs" / "benchmarks" / "peers.log"
PEERS = ["datasets", "pyarrow", "polars", "duckdb", "huggingface_hub", "jinja2", "pyyaml", "transformers", "torch", "peft", "gguf", "sentencepiece"]

findings = []
began = time.monotonic()


def instil(*arguments):
    """Runs the program under test, quietly; it must succeed."""
    done = subprocess.run(
        [os.environ["INSTIL"], *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"instil {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def found():
    """Takes a line for the log."""
    return findings.append


def pytest_report_header():
    return ", ".join(versions())


def versions():
    return [f"python {platform.python_version()}"] + [f"{name} {importlib.metadata.version(name)}" for name in PEERS]


def pytest_sessionfinish(session, exitstatus):
    if not findings:
        return
    version = subprocess.run([os.environ["INSTIL"], "--version"], capture_output=True, text=True, check=True)
    passed = session.testscollected - session.testsfailed
    lines = [
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        f"  {version.stdout.strip()}, {platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        f"  {', '.join(versions())}",
        *(f"  {finding}" for finding in findings),
        f"  {passed} of {session.testscollected} comparisons passed, {time.monotonic() - began:.0f} s",
    ]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write("\n".join(lines) + "\n\n")
