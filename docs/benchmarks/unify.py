"""Rules-only `unify` of many rows beside a straightforward Python script of the same rules.

    python unify.py make ROWS FILE     write rows of five tasks, each with a template of its own
    python unify.py rules FILE OUT     the script: bring them to definition, inputs, targets
    python unify.py beside FILE OUT -- PROGRAM   run both, in turn, and compare the bytes

The script reads twice, as the program does: first a sample and the labels of each task, from which its template is
found (what all sampled rows begin and end with, and between these the longest runs of words that each has once); then
every row, which has to fit the template to the byte. It knows no more rules than these rows need.
"""

import filecmp
import json
import os
import random
import re
import resource
import subprocess
import sys
import time

TEMPLATES = {
    "reading": "Read the passage and answer the question with words taken from it.\n\nPassage: {}\nQuestion: {}\nAnswer:",
    "entailment": "{}\nQuestion: {} True, False, or Neither?",
    "topic": "{}\nWhat is the article above about? Choose world, sports, business or science.\n",
    "same": "Sentence 1: {}\nSentence 2: {}\nDo both sentences say the same? Answer yes or no.\n",
    "title": "Give the following article a title.\n\n{}\n\nTitle:",
}
LABELS = {
    "entailment": ["True", "False", "Neither"],
    "topic": ["world", "sports", "business", "science"],
    "same": ["yes", "no"],
}


def make(rows, path):
    draw = random.Random(7)
    words = ["".join(draw.choice("bdfgklmnprstv") + draw.choice("aeiou") for _ in range(draw.randint(1, 4))) for _ in range(4000)]
    text = lambda least, most: " ".join(draw.choices(words, k=draw.randint(least, most)))
    with open(path, "w") as file:
        for number in range(rows):
            task = list(TEMPLATES)[number % len(TEMPLATES)]
            template = TEMPLATES[task]
            slots = [text(40, 90) + ".", text(6, 14) + "?"][: template.count("{}")]
            completion = draw.choice(LABELS[task]) if task in LABELS else text(1, 6)
            row = {"task": task, "prompt": template.format(*slots), "completion": completion}
            file.write(json.dumps(row) + "\n")


def words_of(text):
    return re.findall(r"\w+|[^\w]", text)


def worth(run):
    text = "".join(run)
    words = re.findall(r"\w+", text)
    if len(words) >= 3 or (words and ("\n" in text or text.rstrip().endswith(":"))):
        return len(text) + 8 * ("\n" in text) + 8 * text.rstrip().endswith(":")
    return None


def runs_of(texts):
    """The constants between contents, in order: the longest run that each text has once, and so on beside it."""
    shortest = min(texts, key=len)
    best = None
    for begin in range(len(shortest)):
        end = begin + 1
        while end <= len(shortest) and all(has(text, shortest[begin:end]) for text in texts):
            run = shortest[begin:end]
            while run and run[0] in ".?!,;":
                run = run[1:]
            value = worth(run) if run else None
            if value and (best is None or value > best[0]) and all(has(text, run) == 1 for text in texts):
                best = (value, run)
            end += 1
    if best is None:
        return []
    run = best[1]
    left, right = [], []
    for text in texts:
        at = find(text, run)
        left.append(text[:at])
        right.append(text[at + len(run) :])
    return runs_of(left) + ["".join(run)] + runs_of(right)


def find(text, run):
    return next(at for at in range(len(text)) if text[at : at + len(run)] == run)


def has(text, run):
    return sum(1 for at in range(len(text) - len(run) + 1) if text[at] == run[0] and text[at : at + len(run)] == run)


def induce(sample):
    texts = [words_of(text) for text in sample[:32]]
    begin = 0
    while all(len(text) > begin and text[begin] == texts[0][begin] for text in texts):
        begin += 1
    end = 0
    while all(len(text) - begin > end and text[-1 - end] == texts[0][-1 - end] for text in texts):
        end += 1
    before = "".join(texts[0][:begin])
    after = texts[0][len(texts[0]) - end :]
    while after and after[0] in ".?!,;":
        after, end = after[1:], end - 1
    constants = runs_of([text[begin : len(text) - end] for text in texts])
    return [before, *constants, "".join(after)]


LABEL = re.compile(r"(?:^|[\n.?!])[^\S\n]*(([A-Za-z][^\n.?!:]*?)\s*:\s*)$")


def wording(constants):
    names, said = [], []
    for before in constants[:-1]:
        label = LABEL.search(before)
        if label and len(label[2].split()) <= 3:
            names.append(label[2])
            said.append(before[: label.start(1)])
        else:
            names.append("")
            said.append(before)
    said.append(constants[-1])
    names = [name or ("text" if len(names) > 1 else "input") for name in names]
    lines = [line.strip() for line in "\n".join(said).split("\n")]
    lines = [line for line in lines if re.search(r"\w", line)]
    while lines and lines[-1].endswith(":") and len(lines[-1].split()) <= 2:
        lines.pop()
    return names, " ".join(lines)


def rules(source, target):
    sample, outputs, counts = {}, {}, {}
    for line in open(source):
        row = json.loads(line)
        task = row["task"]
        rows = sample.setdefault(task, [])
        counts[task] = counts.get(task, 0) + 1
        if len(rows) < 128:
            rows.append(row["prompt"])
        seen = outputs.setdefault(task, set())
        if len(seen) <= 24:
            seen.add(row["completion"])
    plans = {}
    for task, rows in sample.items():
        constants = induce(rows)
        names, definition = wording(constants)
        labels = sorted(outputs[task])
        if 1 < len(labels) <= 24 and counts[task] >= 4 * len(labels):
            if not all(re.search(rf"\b{re.escape(label)}\b", definition, re.I) for label in labels):
                definition += " The output is one of: " + ", ".join(f'"{label}"' for label in labels) + "."
        pattern = re.compile("(.*?)".join(re.escape(constant) for constant in constants) + r"\Z", re.S)
        plans[task] = (pattern, names, definition)
    missed = 0
    with open(target, "w") as file:
        for line in open(source):
            row = json.loads(line)
            pattern, names, definition = plans[row["task"]]
            found = pattern.match(row["prompt"])
            if not found:
                missed += 1
                continue
            values = found.groups()
            if len(values) == 1:
                inputs = values[0]
            else:
                inputs = "\n".join(f"{name}: {value}" for name, value in zip(names, values))
            assert all(value in inputs for value in values)
            new = {"definition": definition, "inputs": inputs, "targets": row["completion"]}
            file.write(json.dumps(new, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{missed} rows fit no template", file=sys.stderr)


def timed(command):
    begin = time.monotonic()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.monotonic() - begin, used.ru_maxrss / 1024


def beside(source, target, program):
    ours, theirs = target + ".instil.jsonl", target + ".python.jsonl"
    best = {}
    for turn in range(3):
        runs = {
            "instil": [program, "unify", source, "--level", "task", "-o", ours, "--overwrite", "-q"],
            "python": [sys.executable, __file__, "rules", source, theirs],
        }
        for name, command in runs.items():
            seconds, mebibytes = timed(command)
            print(f"{name}: {seconds:.2f} s, {mebibytes:.0f} MiB")
            best[name] = min(seconds, best.get(name, seconds))
        if turn == 0:
            same = filecmp.cmp(ours, theirs, shallow=False)
            print("the bytes are the same" if same else "THE BYTES DIFFER")
    print(f"best of three: {best['python'] / best['instil']:.1f} x")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", rows, path]:
            make(int(rows), path)
        case ["rules", source, target]:
            rules(source, target)
        case ["beside", source, target, "--", program]:
            beside(source, target, program)
        case _:
            sys.exit(__doc__)
