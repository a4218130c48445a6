"""read_llama_factory.py FOLDER NAME...: what LLaMA-Factory's own loader makes of entries of a `dataset_info.json`.

Prints a JSON object an entry, with the rows that its loader gives. Runs with its package in PYTHONPATH.
"""

import contextlib
import importlib.machinery
import json
import sys
import types
from types import SimpleNamespace

with contextlib.redirect_stdout(sys.stderr):
    from transformers.utils import is_torchaudio_available

    if not is_torchaudio_available():
        # Imported for sounds alone, of which there are none here.
        stub = types.ModuleType("torchaudio")
        stub.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = stub
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list

folder, names = sys.argv[1], sys.argv[2:]
model = SimpleNamespace(cache_dir=None, hf_hub_token=None)
data = SimpleNamespace(
    dataset_dir=folder, media_dir=folder, streaming=False, preprocessing_num_workers=None, overwrite_cache=True, max_samples=None
)
training = SimpleNamespace(local_process_index=0, dataloader_num_workers=0)
for name, entry in zip(names, get_dataset_list(names, folder), strict=True):
    with contextlib.redirect_stdout(sys.stderr):
        rows = _load_single_dataset(entry, model, data, training)
    print(json.dumps({"name": name, "ranking": entry.ranking, "rows": rows.to_list()}))
