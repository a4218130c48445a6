"""What a call is to Python: exceptions, signals, threads, talk."""

import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import instil

MANY = 50_000_000


def test_errors_have_one_root_and_say_what_to_do():
    with pytest.raises(instil.Error) as caught:
        instil.generate("nowhere/notes.txt")
    error = caught.value
    assert isinstance(error, instil.InputError) and isinstance(error, ValueError)
    assert error.message == "`nowhere/notes.txt` does not exist"
    assert "hint: " in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


def test_options_are_told_as_they_are_written_here(tmp_path):
    (tmp_path / "a.txt").write_text("A text.")
    with pytest.raises(instil.UsageError) as caught:
        instil.generate(tmp_path / "a.txt", window=512)
    assert caught.value.message == "window counts tokens, and no tokenizer is named"
    assert "--" not in str(caught.value)


def test_a_wrong_value_is_told():
    with pytest.raises(instil.UsageError, match="invalid value 'many' for 'rows <N>'"):
        instil.cook("mcqa", rows="many")
    with pytest.raises(instil.UsageError, match="unknown template `mcq`") as caught:
        instil.cook("mcq")
    assert "did you mean `mcqa`?" in caught.value.hint


def test_a_missed_limit_has_the_run(texts):
    with pytest.raises(instil.LimitMissed) as caught:
        instil.generate(texts, text_column="passage", task=["summarization", "nli"], max_drop=0.0)
    assert caught.value.run.rejects.num_rows > 0


def test_progress_is_told_on_this_thread():
    seen = []
    here = threading.get_ident()
    instil.cook("doc_qa", rows=300_000, progress=lambda text, share: seen.append((threading.get_ident(), text, share)))
    assert seen and {thread for thread, _, _ in seen} == {here}
    assert all("rows" in text for _, text, _ in seen)
    shares = [share for _, _, share in seen]
    assert shares == sorted(shares) and 0 <= shares[0] <= shares[-1] <= 1


def test_what_progress_raises_ends_the_run():
    class Enough(Exception):
        pass

    def progress(text, share):
        raise Enough(text)

    started = time.monotonic()
    with pytest.raises(Enough, match="rows"):
        instil.cook("doc_qa", rows=MANY, progress=progress)
    assert time.monotonic() - started < 5


def test_ctrl_c_ends_the_run():
    def interrupt():
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)
        sent.append(time.monotonic())

    sent = []
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        instil.cook("doc_qa", rows=MANY)
    heard = time.monotonic() - sent[0]
    thread.join()
    assert heard < 1, f"{heard:.2f} s after the signal"


def test_other_threads_run_meanwhile():
    counted = 0
    done = threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    instil.cook("doc_qa", rows=300_000)
    done.set()
    thread.join()
    assert counted > 20


def test_calls_run_beside_each_other(texts):
    alone = instil.generate(texts, text_column="passage").rows
    rows = [None] * 4

    def make(index):
        rows[index] = instil.generate(texts, text_column="passage").rows

    threads = [threading.Thread(target=make, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one == alone for one in rows)


def test_talk_is_logged_and_nothing_is_printed(caplog, capfd):
    with caplog.at_level(logging.INFO, logger="instil"):
        instil.cook("mcqa", rows=10)
    assert any("10 rows in the dataset" in message for message in caplog.messages)
    assert capfd.readouterr() == ("", "")


def test_it_works_in_other_processes():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_cooked, (7,)) == 7
        with pytest.raises(instil.UsageError):
            pool.apply(_cooked, ("many",))


def _cooked(rows):
    return len(instil.cook("mcqa", rows=rows))


def test_the_console_script_is_the_program(tmp_path):
    script = os.path.join(os.path.dirname(sys.executable), "instil")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"instil {instil.__version__}\n")
    done = subprocess.run([script, "cook", "mcqa", "--rows", "3", "-o", "-", "-q"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\n")) == (0, 3)
    done = subprocess.run([script, "generate", "nowhere", "-o", "x"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "error: `nowhere` does not exist" in done.stderr
    module = subprocess.run([sys.executable, "-m", "instil", "--version"], capture_output=True, text=True)
    assert module.stdout == f"instil {instil.__version__}\n"


def test_ctrl_c_ends_the_program(tmp_path):
    script = os.path.join(os.path.dirname(sys.executable), "instil")
    process = subprocess.Popen(
        [script, "cook", "doc_qa", "--rows", str(MANY), "-o", tmp_path / "out"], stderr=subprocess.PIPE, text=True
    )
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "interrupted" in talk
    assert not (tmp_path / "out/data").exists()


def test_only_what_is_used_is_imported():
    source = """
        import sys, instil
        run = instil.cook("mcqa", rows=5)
        len(run)
        wrong = {"pyarrow", "datasets", "polars", "numpy", "pandas"} & set(sys.modules)
        assert not wrong, wrong
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(source)], check=True)
