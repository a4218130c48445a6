"""read_axolotl.py MODEL CONFIG...: what axolotl's own loaders make of the datasets that its YAML files name.

Prints a JSON object a configuration: of each row the whole text and what of it the loss counts, or the prompt and
the two answers. Runs with axolotl's package in PYTHONPATH: its training is not looked at, and needs a GPU.
"""

import contextlib
import json
import os
import sys

os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
os.environ["AXOLOTL_DATASET_NUM_PROC"] = "1"

with contextlib.redirect_stdout(sys.stderr):
    import yaml
    from axolotl.prompt_strategies.dpo import load as load_dpo
    from axolotl.prompt_strategies.kto import load as load_kto
    from axolotl.utils.data.shared import load_dataset_with_config
    from axolotl.utils.data.wrappers import get_dataset_wrapper
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from transformers import AutoTokenizer


def read(model, path):
    given = yaml.safe_load(open(path, encoding="utf-8"))
    more = {"base_model": model, "micro_batch_size": 1, "gradient_accumulation_steps": 1, "learning_rate": 1e-4,
            "sequence_len": 2048, "dataset_num_proc": 1}
    # The configuration as axolotl's own schema takes it; what it doesn't know is an error of it.
    checked = AxolotlInputConfig(**given, **more).model_dump(exclude_none=True)
    cfg = DictDefault({**more, **given, "datasets": checked["datasets"]})
    tokenizer = AutoTokenizer.from_pretrained(model)
    about = cfg.datasets[0]
    rows = load_dataset_with_config(about, False)
    if cfg.rl in ("dpo", "kto"):
        load = {"dpo": load_dpo, "kto": load_kto}[cfg.rl]
        made = load(about.type, cfg, dataset_idx=0)
        transform, options = made if isinstance(made, tuple) else (made, {})
        takes = transform.__code__.co_varnames[: transform.__code__.co_argcount]
        fixed = {"tokenizer": tokenizer} if "tokenizer" in takes else {}
        rows = rows.map(lambda row: transform(row, **fixed), **options)
        return [{name: row[name] for name in ("prompt", "chosen", "rejected", "completion", "label") if name in row} for row in rows]
    base = about.type.split(":")[0] if isinstance(about.type, str) else None
    wrapped, _ = get_dataset_wrapper(about, tokenizer, cfg, base, rows)
    made = []
    for row in wrapped:
        counted = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
        made.append({"text": tokenizer.decode(row["input_ids"]), "counted": tokenizer.decode(counted)})
    return made


for path in sys.argv[2:]:
    with contextlib.redirect_stdout(sys.stderr):
        rows = read(sys.argv[1], path)
    print(json.dumps({"config": path, "rows": rows}))
