"""The rows of the tasks of recipes/mix/learn.toml, and the text of its base, from public sets that instil does not ship.

    python3 docs/experiments/mix/tasks.py ../shared/data out/mix-tasks

Reads the first half of XQuAD's articles, 3,800 articles of AG News, MedQuAD's questions, and plain text; writes retrieval.jsonl,
matching.jsonl, options.jsonl and text.jsonl. Every choice is drawn by a fixed seed. Needs nothing but Python.
"""

import gzip
import json
import random
import re
import sys
from pathlib import Path

WORDS = 24


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file.read().split("\n") if line.strip()]


def cut(text):
    """The first words of a text, on one line."""
    return " ".join(text.split()[:WORDS])


def write(folder, name, rows):
    with open(folder / name, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(rows)} rows in {folder / name}")


def choose(draw, right, others):
    """Four options in a random order, and the place of the right one."""
    options = [right, *draw.sample(others, 3)]
    draw.shuffle(options)
    return options, options.index(right)


def retrieval(data):
    draw = random.Random(1)
    with gzip.open(data / "xquad_en/xquad.en.first_half.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    rows = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            spans = [match.span() for match in re.finditer(r"\S.*?(?:[.!?](?=\s+[A-Z\"])|$)", text, re.S)]
            sentences = [text[a:b] for a, b in spans]
            for qa in paragraph["qas"]:
                start = qa["answers"][0]["answer_start"]
                right = [text[a:b] for a, b in spans if a <= start < b]
                if not right:
                    continue
                usable = lambda sentence: 5 <= len(sentence.split()) <= 45
                others = [s for s in sentences if s != right[0] and usable(s)]
                if usable(right[0]) and len(others) >= 3:
                    options, gold = choose(draw, right[0], others)
                    row = {"id": qa["id"], "question": qa["question"], "options": options, "gold": gold}
                    rows.append(row)
    draw.shuffle(rows)
    return rows


def matching(data):
    draw = random.Random(2)
    articles = lines(data / "fewshot_sets/agnews_first3800.jsonl.gz")
    articles = [a for a in articles if len(a["title"].split()) >= 4 and len(a["description"].split()) >= 10]
    rows = []
    for number, article in enumerate(draw.sample(articles, 700)):
        is_same = draw.random() < 0.5
        alike = [a for a in articles if a["label"] == article["label"] and a is not article]
        other = article if is_same else draw.choice(alike)
        answer = "Yes" if is_same else "No"
        row = {"id": str(number), "left": cut(article["title"]), "right": cut(other["description"])}
        rows.append({**row, "answer": answer})
    return rows


def options(data):
    draw = random.Random(3)
    by_kind = {}
    for row in lines(data / "medquad/medquad_train.jsonl.gz"):
        if row.get("answer") and row.get("focus") and len(row["answer"].split()) >= 12:
            by_kind.setdefault(row["qtype"], []).append(row)
    kinds = sorted(kind for kind, rows in by_kind.items() if len(rows) >= 50)
    rows = []
    for number in range(700):
        kind = draw.choice(kinds)
        row = draw.choice(by_kind[kind])
        others = [other for other in draw.sample(by_kind[kind], 20) if other["focus"] != row["focus"]]
        answers = [cut(other["answer"]) for other in others]
        answers = [answer for answer in dict.fromkeys(answers) if answer != cut(row["answer"])]
        if len(answers) >= 3:
            found, gold = choose(draw, cut(row["answer"]), answers)
            rows.append({"id": str(number), "question": row["question"], "options": found, "gold": gold})
    return rows


def text(data):
    """Ordinary text that none of the tasks is made of: natural history, abstracts, contracts and privacy policies."""
    draw = random.Random(4)
    names = ["natural_history", "pubmed", "contracts", "privacy"]
    rows = [row for name in names for row in lines(data / f"unlabelled/{name}.jsonl.gz")]
    draw.shuffle(rows)
    return [{"text": row["text"]} for row in rows]


if __name__ == "__main__":
    data, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in [("retrieval", retrieval), ("matching", matching), ("options", options), ("text", text)]:
        write(folder, f"{name}.jsonl", make(data))
