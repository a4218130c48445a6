"""serve_lm_eval.py FOLDER BACKEND ARGUMENTS TASK...: what lm-eval gets for each row of the tasks in a folder.

Prints a JSON object a task: by row, the answers to its requests (log-likelihood and whether it is the likeliest text, or
the text). Runs with its package in PYTHONPATH.
"""

import contextlib
import json
import sys

with contextlib.redirect_stdout(sys.stderr):
    import lm_eval
    from lm_eval.tasks import TaskManager

folder, backend, arguments, names = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
with contextlib.redirect_stdout(sys.stderr):
    manager = TaskManager(include_path=folder, include_defaults=False)
    found = lm_eval.simple_evaluate(
        model=backend, model_args=arguments, tasks=list(names), task_manager=manager, log_samples=True,
        bootstrap_iters=0, batch_size=1, device="cpu",
    )
for name in names:
    samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    print(json.dumps({"task": name, "rows": [sample["resps"] for sample in samples]}))
