"""read_lm_eval.py FOLDER TASK...: what lm-eval makes of the tasks in a folder.

Prints a JSON object a task: the prompt and what is wanted of each row, and the measures that lm-eval takes of its own
dummy model. Runs with its package in PYTHONPATH.
"""

import contextlib
import json
import sys

with contextlib.redirect_stdout(sys.stderr):
    import lm_eval
    from lm_eval.tasks import TaskManager

folder, names = sys.argv[1], sys.argv[2:]
with contextlib.redirect_stdout(sys.stderr):
    manager = TaskManager(include_path=folder, include_defaults=False)
    found = lm_eval.simple_evaluate(model="dummy", tasks=list(names), task_manager=manager, log_samples=True, bootstrap_iters=0)
for name in names:
    samples = found["samples"][name]
    print(json.dumps({
        "task": name,
        "asked": [sample["arguments"] if isinstance(sample["arguments"], list) else list(sample["arguments"].values()) for sample in samples],
        "wanted": [sample["target"] for sample in samples],
        "measures": sorted(key for key in found["results"][name] if "," in key and "stderr" not in key),
    }, default=str))
