"""The jobs of `instil bench` with transformers: MODEL (a folder, or a LlamaConfig's JSON), THREADS."""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

torch.set_num_threads(int(sys.argv[2]))
named = sys.argv[1]
if named.startswith("{"):
    model = LlamaForCausalLM(LlamaConfig(**json.loads(named)))
else:
    model = AutoModelForCausalLM.from_pretrained(named, dtype="auto", local_files_only=True)
model.eval()


def best(work):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def ids(rows, columns):
    return torch.randint(0, model.config.vocab_size, (rows, columns))


def write(rows, new):
    prompt = ids(rows, 16)
    model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, min_new_tokens=new, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )


with torch.inference_mode():
    read = 512 / best(lambda: model(ids(1, 512), logits_to_keep=1))
    said = {
        name: rows * 64 / (best(lambda: write(rows, 65)) - best(lambda: write(rows, 1)))
        for name, rows in (("one", 1), ("many", 32))
    }
dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
print(json.dumps({"read": read, "dtype": dtype} | said))
