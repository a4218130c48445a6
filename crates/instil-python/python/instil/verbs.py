"""The verbs of the program as functions. Options have the program's names and meanings, and lists are lists.

What is left out has the program's default, or is found out. ``instil VERB --help`` says the same in other words.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path as _Path
from typing import Any, TypeAlias, Union

from instil._run import Progress, Run, Training, call, rows_by
from instil._tables import Given, Source, Sources
from instil.errors import UsageError
from instil.template import Template

__all__ = ["apply", "compare", "convert", "cook", "evaluate", "generate", "mix", "remix", "score", "stats", "train", "unify"]

Path: TypeAlias = Union[str, "os.PathLike[str]"]


def _rows(verb: str, source: str, options: dict[str, Any]) -> Run:
    """Calls a verb with the arguments of its function; ``source`` is the name of the first."""
    sources, output, progress = (options.pop(name) for name in (source, "output", "progress"))
    return rows_by(verb, sources, output, options, progress)


def generate(
    source: Sources,
    *,
    output: Path | None = None,
    task: str | Sequence[str] | None = None,
    model: Path | None = None,
    adapter: Path | None = None,
    endpoint: str | None = None,
    api: str | None = None,
    replay: Path | None = None,
    prompt: str | None = None,
    reference: bool = False,
    constrain: bool = False,
    labels: str | Sequence[str] | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
    document: str | None = None,
    chunk_chars: int | None = None,
    chunk_tokens: int | None = None,
    tokenizer: Path | None = None,
    window: int | None = None,
    samples: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    top_k: int | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    stop: str | Sequence[str] | None = None,
    quantize: str | None = None,
    seed: int | None = None,
    limit: int | None = None,
    format: str | None = None,
    shard_rows: int | None = None,
    license: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    max_drop: float | None = None,
    keep_run: bool = False,
    companion: str | Sequence[str] | None = None,
    threads: int | None = None,
    journal: Path | None = None,
    weights_cache: Path | None = None,
    allow_errors: bool = False,
    concurrency: int | None = None,
    timeout: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Makes task data from text.

    Args:
        source: Files, folders, globs or tables of texts.
        output: A dataset folder, or one file by its ending; without it the rows are kept with the run alone.
        task: Task kinds [default: exqa,ynqa,nli,summarization].
        model: ``rules``, a folder with weights or a .gguf file, an id of the Hub, or what ``endpoint`` calls
            its model [default: rules].
        adapter: A low-rank adapter for a local model: a folder as Python's peft writes it, or an id of the Hub.
        endpoint: The base URL of an OpenAI-compatible server, such as ``http://localhost:8000/v1``.
        api: Which of the endpoint's calls to use.
        replay: A recording, lines of {"prompt", "completion"}, that answers in the model's place.
        prompt: How a passage is put to the model: ``bonito`` or ``instruct`` [default: bonito].
        reference: Give exactly what the published Bonito library gives: its parse, no repairs, no checks.
        constrain: Hold the model to what can be used: one ``<|pipe|>``, labels of the kind's sets, extractive
            answers out of the text.
        labels: The labels for topic_class and sentiment.
        text_column: The column that holds the text [default: the first of text, content, context, …].
        id_column: The column that holds the document's id [default: id, where there is one].
        document: Only the document of this id.
        chunk_chars: The most characters of a passage [default: 2000].
        chunk_tokens: The most tokens of a passage, by ``tokenizer``.
        tokenizer: The model's tokenizer.json.
        window: The model's window in tokens: passages are cut so that prompt and completion fit it.
        samples: Samples of each prompt [default: 1].
        temperature: 0 is greedy [default: 0.5].
        top_p: The share of probability that the nucleus keeps [default: 0.95].
        max_tokens: The most tokens of one completion [default: 256].
        top_k: How many of the likeliest tokens are candidates; 0 means all [default: 0].
        min_p: Candidates are at least this share of the likeliest one's probability [default: 0].
        repetition_penalty: Divides the logits of tokens that prompt or completion hold already [default: 1].
        presence_penalty: Taken from the logits of tokens that the completion holds [default: 0].
        frequency_penalty: The same, once for each time that it holds them [default: 0].
        stop: A completion ends before this text.
        quantize: How a local model's weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto].
        seed: Every random choice comes from it [default: 0].
        limit: The most documents read.
        format: The shape of the rows: messages, prompt-completion, bonito, alpaca [default: messages].
        shard_rows: Rows of a shard [default: 500000].
        license: The licence for the dataset's card, such as cc-by-4.0.
        resume: Take over an output that another recipe made, and its journal.
        overwrite: Begin an output anew: its run folder, journal and rows are removed.
        max_drop: Raise ``LimitMissed`` if a larger share of the samples is dropped, such as 0.2.
        keep_run: Keep the run folder beside a single-file output.
        companion: Also write what these tools have to be told of the dataset, beside it: axolotl,
            llama-factory, trl, lm-eval.
        threads: Threads of what runs on this machine [default: one a processor].
        journal: A journal shared with other runs.
        weights_cache: Keep a local model's quantised weights in this folder for the next time.
        allow_errors: Write the output although calls failed for good; they are counted, and asked again the
            next time.
        concurrency: Calls to the endpoint at once [default: 32].
        timeout: Seconds that one call may take [default: 600].
        progress: Called with how it goes on; what it raises ends the run.

    >>> import instil, pyarrow as pa
    >>> texts = pa.table({"passage": ["The lease ends on 3 March 2031. The tenant must give notice six months before that date."]})
    >>> run = instil.generate(texts, task=["exqa"], samples=3, seed=1)
    >>> run.rows.column_names
    ['id', 'messages']
    """
    return _rows("generate", "source", locals())


def apply(
    source: Sources,
    *,
    output: Path | None = None,
    templates: Path | Sequence[Path] | None = None,
    dataset: str | None = None,
    template: str | None = None,
    data: Path | None = None,
    reference: bool = False,
    cap: int | None = None,
    weight: Mapping[str, float] | None = None,
    shuffle: bool = False,
    split: str | None = None,
    seed: int | None = None,
    limit: int | None = None,
    format: str | None = None,
    shard_rows: int | None = None,
    license: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    max_drop: float | None = None,
    keep_run: bool = False,
    companion: str | Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Puts labelled rows into prompt templates.

    Args:
        source: Files of rows, folders, globs, adapters (.toml) or tables.
        output: A dataset folder, or one file by its ending; without it the rows are kept with the run alone.
        templates: Template files (.yaml), or folders of them: your own, or PromptSource's ``templates``.
        dataset: The dataset that the rows belong to, by the templates' key, such as ``super_glue/boolq``.
        template: ``one``, a random one for each row; ``all``; or a template's name [default: one].
        data: The folder that the paths of adapters begin from [default: the working directory].
        reference: Exactly the published rules: fields cut at 2,048 characters, and for remix the 323 templates,
            their defects and the cap of 100,000 rows.
        cap: The most rows of each dataset, drawn without replacement.
        weight: How often rows of a dataset are taken, such as ``{"squad": 2}`` [default: 1 each].
        shuffle: Write the rows in a random order.
        split: Splits besides train and their shares, such as ``validation=5%``; a passage is in one split only.
        seed: Every random choice comes from it [default: 0].
        limit: The most rows read of each input.
        format: The shape of the rows: messages, prompt-completion, bonito, alpaca, ctga [default: messages; of
            remix prompt-completion].
        shard_rows: Rows of a shard [default: 500000].
        license: The licence for the dataset's card, such as cc-by-4.0.
        resume: Take over an output that another recipe made, and its journal.
        overwrite: Begin an output anew: its run folder, journal and rows are removed.
        max_drop: Raise ``LimitMissed`` if a larger share of the samples is dropped, such as 0.2.
        keep_run: Keep the run folder beside a single-file output.
        companion: Also write what these tools have to be told of the dataset, beside it: axolotl,
            llama-factory, trl, lm-eval.
        threads: Threads of what runs on this machine [default: one a processor].
        progress: Called with how it goes on; what it raises ends the run.
    """
    return _rows("apply", "source", locals())


def remix(
    source: Sources,
    *,
    output: Path | None = None,
    templates: Path | Sequence[Path] | None = None,
    dataset: str | None = None,
    template: str | None = None,
    data: Path | None = None,
    reference: bool = False,
    cap: int | None = None,
    weight: Mapping[str, float] | None = None,
    shuffle: bool = False,
    split: str | None = None,
    seed: int | None = None,
    limit: int | None = None,
    format: str | None = None,
    shard_rows: int | None = None,
    license: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    max_drop: float | None = None,
    keep_run: bool = False,
    companion: str | Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Turns labelled rows into the training pairs of a task generator.

    Args:
        source: Files of rows, folders, globs, adapters (.toml) or tables.
        output: A dataset folder, or one file by its ending; without it the rows are kept with the run alone.
        templates: Template files (.yaml), or folders of them: your own, or PromptSource's ``templates``.
        dataset: The dataset that the rows belong to, by the templates' key, such as ``super_glue/boolq``.
        template: ``one``, a random one for each row; ``all``; or a template's name [default: one].
        data: The folder that the paths of adapters begin from [default: the working directory].
        reference: Exactly the published rules: fields cut at 2,048 characters, and for remix the 323 templates,
            their defects and the cap of 100,000 rows.
        cap: The most rows of each dataset, drawn without replacement.
        weight: How often rows of a dataset are taken, such as ``{"squad": 2}`` [default: 1 each].
        shuffle: Write the rows in a random order.
        split: Splits besides train and their shares, such as ``validation=5%``; a passage is in one split only.
        seed: Every random choice comes from it [default: 0].
        limit: The most rows read of each input.
        format: The shape of the rows: messages, prompt-completion, bonito, alpaca, ctga [default: messages; of
            remix prompt-completion].
        shard_rows: Rows of a shard [default: 500000].
        license: The licence for the dataset's card, such as cc-by-4.0.
        resume: Take over an output that another recipe made, and its journal.
        overwrite: Begin an output anew: its run folder, journal and rows are removed.
        max_drop: Raise ``LimitMissed`` if a larger share of the samples is dropped, such as 0.2.
        keep_run: Keep the run folder beside a single-file output.
        companion: Also write what these tools have to be told of the dataset, beside it: axolotl,
            llama-factory, trl, lm-eval.
        threads: Threads of what runs on this machine [default: one a processor].
        progress: Called with how it goes on; what it raises ends the run.
    """
    return _rows("remix", "source", locals())


def cook(
    template: str | Template | Sequence[str | Template] | Mapping[str | Template, int] | Mapping[str, int] = (),
    *,
    output: Path | None = None,
    rows: int | None = None,
    validation_rows: int | None = None,
    test_rows: int | None = None,
    set: Mapping[str, int | str] | None = None,
    until: Mapping[str, int | str] | None = None,
    script: Path | Sequence[Path] | None = None,
    pool: str | None = None,
    pool_words: int | None = None,
    words: Path | None = None,
    tokenizer: Path | None = None,
    wording: str | None = None,
    format: str | None = None,
    seed: int | None = None,
    verify: bool = False,
    shard_rows: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    keep_run: bool = False,
    companion: str | Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Makes task data by programs over random words: no text, no person, no model.

    Args:
        template: Templates by name, or functions that ``instil.template`` made templates of; of a dict each with how often
            it comes.
        output: A dataset folder, or one file by its ending; without it the rows are kept with the run alone.
        rows: Rows of the split train [default: 1000].
        validation_rows: Rows of a split validation, none of whose prompts is in another split.
        test_rows: Rows of a split test, none of whose prompts is in another split.
        set: What a template is set to: a number, a range or a word, such as ``{"doc_qa.doc_len": "200..400"}``.
        until: What it is set to at the last row: what lies between changes from row to row.
        script: Files with templates of one's own; named among the templates, or else each of them once.
        pool: The words that are drawn: synthetic, wordlist, safe (a tokenizer's that stay themselves), all
            [default: safe with ``tokenizer``, wordlist with ``words``, else synthetic].
        pool_words: How many words a synthetic pool has [default: 4096].
        words: A file with a word on each line.
        tokenizer: The model's tokenizer.json, whose tokens are the words.
        wording: How samples are worded: bare, instruct, harness, chat [default: chat for messages, else
            instruct].
        format: prompt-completion, bonito, messages, text, ids (exact token ids and labels) [default:
            prompt-completion].
        seed: Every random choice comes from it [default: 0].
        verify: Derive every answer anew from the text, by other code, and leave out what differs.
        shard_rows: Rows of a shard [default: 500000].
        resume: Take over an output that another recipe made, and its journal.
        overwrite: Begin an output anew: its run folder, journal and rows are removed.
        keep_run: Keep the run folder beside a single-file output.
        companion: Also write what these tools have to be told of the dataset, beside it: axolotl,
            llama-factory, trl, lm-eval.
        threads: Threads of what runs on this machine [default: one a processor].
        progress: Called with how it goes on; what it raises ends the run.

    >>> import instil
    >>> run = instil.cook({"mcqa": 2, "doc_qa": 1}, rows=300, seed=7, verify=True)
    >>> run.rows.num_rows, run.rows.column_names
    (300, ['id', 'prompt', 'completion'])
    """
    options = locals()
    chosen = [template] if isinstance(template, (str, Template)) else [*template]
    held = [one._hold() for one in chosen if isinstance(one, Template)]
    names = [one.name if isinstance(one, Template) else one for one in chosen]
    if isinstance(template, Mapping):
        names = [f"{name}={times}" for name, times in zip(names, template.values())]
    options["template"] = names
    run = _rows("cook", "template", options)
    # Until here the program knows their names.
    del held
    return run


def mix(
    sources: Sources | Mapping[str, Source],
    *,
    output: Path | None = None,
    rows: int | None = None,
    tokens: int | None = None,
    tokenizer: Path | None = None,
    weights: Mapping[str, float] | Sequence[float] | None = None,
    alpha: float | None = None,
    repeat: bool = False,
    from_: str | None = None,
    to: str | None = None,
    seed: int | None = None,
    shard_rows: int | None = None,
    license: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    max_drop: float | None = None,
    keep_run: bool = False,
    companion: str | Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Mixes datasets in proportions.

    Args:
        sources: Tables, files of rows, dataset folders or globs; of a dict each has a name.
        output: A dataset folder, or one file by its ending; without it the rows are kept with the run alone.
        rows: Rows of the mix [default: as many as there are in these proportions without one twice].
        tokens: Tokens of the mix instead, by ``tokenizer``; proportions are of tokens then.
        tokenizer: The tokenizer.json that counts them.
        weights: How much there is of each source: numbers in their order, or by name [default: all alike].
        alpha: Proportions go by the sources' sizes to this power: 1 keeps them, 0 makes all alike.
        repeat: Take rows of sources that are too small again and again.
        from_: The shape of the sources' rows [default: found out].
        to: The shape of the mix's rows [default: the sources' own, if they have the same].
        seed: Every random choice comes from it [default: 0].
        shard_rows: Rows of a shard [default: 500000].
        license: The licence for the dataset's card, such as cc-by-4.0.
        resume: Take over an output that another recipe made, and its journal.
        overwrite: Begin an output anew: its run folder, journal and rows are removed.
        max_drop: Raise ``LimitMissed`` if a larger share of the samples is dropped, such as 0.2.
        keep_run: Keep the run folder beside a single-file output.
        companion: Also write what these tools have to be told of the dataset, beside it: axolotl,
            llama-factory, trl, lm-eval.
        threads: Threads of what runs on this machine [default: one a processor].
        progress: Called with how it goes on; what it raises ends the run.

    >>> import instil, pyarrow as pa
    >>> pairs = lambda text: pa.table({"prompt": [f"{text} {n}" for n in range(100)], "completion": ["…"] * 100})
    >>> run = instil.mix({"notes": pairs("a"), "forum": pairs("b")}, rows=40, weights={"notes": 3, "forum": 1})
    >>> {name: one["kept"] for name, one in run.report["sets"].items()}
    {'forum': 10, 'notes': 30}
    """
    return _rows("mix", "sources", locals())


def convert(
    source: Sources,
    *,
    output: Path | None = None,
    to: str | None = None,
    from_: str | None = None,
    chat_template: Path | None = None,
    strict: bool = False,
    limit: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    max_drop: float | None = None,
    keep_run: bool = False,
    companion: str | Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Brings a dataset of one shape into another one.

    Args:
        source: Files of rows, folders, globs or tables.
        output: One file by its ending; without it the rows are kept with the run alone.
        to: The shape that the rows get; ``instil list shapes`` shows them all.
        from_: The shape that the rows have [default: found out, and shown with the reason].
        chat_template: Render conversations to texts by this chat template: a model's folder, or a file of
            Jinja.
        strict: Stop at the first part of a row that the new shape can't carry.
        limit: The most rows read.
        resume: Take over an output that another recipe made, and its journal.
        overwrite: Begin an output anew: its run folder, journal and rows are removed.
        max_drop: Raise ``LimitMissed`` if a larger share of the samples is dropped, such as 0.2.
        keep_run: Keep the run folder beside a single-file output.
        companion: Also write what these tools have to be told of the dataset, beside it: axolotl,
            llama-factory, trl, lm-eval.
        threads: Threads of what runs on this machine [default: one a processor].
        progress: Called with how it goes on; what it raises ends the run.
    """
    return _rows("convert", "source", locals())


def unify(
    source: Sources,
    *,
    output: Path | None = None,
    level: str | None = None,
    style: Path | Sequence[Path] | None = None,
    diversify: bool = False,
    from_: str | None = None,
    to: str | None = None,
    task_column: str | None = None,
    templates: Path | Sequence[Path] | None = None,
    definitions: Path | None = None,
    keep_rest: bool = False,
    report: Path | None = None,
    seed: int | None = None,
    limit: int | None = None,
    model: Path | None = None,
    adapter: Path | None = None,
    endpoint: str | None = None,
    replay: Path | None = None,
    quantize: str | None = None,
    concurrency: int | None = None,
    timeout: int | None = None,
    seeds: Path | None = None,
    candidates: int | None = None,
    scorer: Path | None = None,
    reference: bool = False,
    prices: str | None = None,
    cap_calls: int | None = None,
    cap_tokens: int | None = None,
    cap_money: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    max_drop: float | None = None,
    keep_run: bool = False,
    companion: str | Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Brings datasets to one instruction style, or one to several.

    Args:
        source: Files of rows, folders, globs or tables.
        output: One file by its ending; without it the rows are kept with the run alone.
        level: Of what instructions are to consist: task (a definition that holds for all instances), instance
            (a short text around each), keyword (the names of fields) [default: that of the style, or else
            task].
        style: How they are written: a file of styles (.toml), a dataset whose style is taken over, or one that
            is built in: super-ni, plain, input-output, headed, first, last, one-line, question-answer,
            crossfit, lines [default: task: columns ``definition``, ``inputs``, ``targets``; instance: first;
            keyword: crossfit].
        diversify: The other direction: each row gets one of several styles, drawn by their weights.
        from_: The shape that the rows have [default: found out, and shown with the reason].
        to: The shape that the rows get [default: super-ni-rows without a style, else prompt-completion].
        task_column: The column that names a row's task [default: ``task`` or ``task_name``, or else the file's
            name].
        templates: Template files (.yaml), or folders of them, that rows with ``dataset`` and ``template`` were
            rendered with.
        definitions: Definitions of tasks that rules can't write, or instead of theirs: lines of JSON with
            ``task`` and ``definition``.
        keep_rest: Write rows that rules can't bring to the style as they are, instead of leaving them out.
        report: Write what became of each task to this file: how it was read, its definition, the checks.
        seed: Every random choice comes from it [default: 0].
        limit: The most rows read.
        model: Have this model write definitions: a folder with weights, a .gguf file, an id of the Hub, what
            ``endpoint`` calls it.
        adapter: A low-rank adapter for a local model: a folder as Python's peft writes it, or an id of the Hub.
        endpoint: The base URL of an OpenAI-compatible server, such as ``http://localhost:8000/v1``.
        replay: Answer from a file of recorded completions instead.
        quantize: How a local model's weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto].
        concurrency: Calls to the endpoint at once [default: 32].
        timeout: Seconds that one call may take [default: 600].
        seeds: Pairs of instructions in both styles that show how it is done: JSON lines.
        candidates: How many definitions each task has to choose from; 1 is written greedily [default: 32 where
            a model judges, else 4].
        scorer: The model that chooses by how likely it finds the known answers [default: the one that writes,
            where it runs here].
        reference: Choose as the authors' code does: nothing is checked, and every candidate has rows of its
            own.
        prices: What a million tokens cost, in and out, such as 0.5,1.5.
        cap_calls: The most calls.
        cap_tokens: The most tokens in and out together.
        cap_money: The most money, by ``prices``.
        resume: Take over an output that another recipe made, and its journal.
        overwrite: Begin an output anew: its run folder, journal and rows are removed.
        max_drop: Raise ``LimitMissed`` if a larger share of the samples is dropped, such as 0.2.
        keep_run: Keep the run folder beside a single-file output.
        companion: Also write what these tools have to be told of the dataset, beside it: axolotl,
            llama-factory, trl, lm-eval.
        threads: Threads of what runs on this machine [default: one a processor].
        progress: Called with how it goes on; what it raises ends the run.
    """
    return _rows("unify", "source", locals())


def score(
    source: Sources,
    *,
    output: Path | None = None,
    model: Path | None = None,
    adapter: Path | None = None,
    endpoint: str | None = None,
    quantize: str | None = None,
    weights_cache: Path | None = None,
    threads: int | None = None,
    concurrency: int | None = None,
    timeout: int | None = None,
    eos: bool = False,
    apart: bool = False,
    limit: int | None = None,
    journal: Path | None = None,
    max_drop: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Says how likely completions are, given their prompts, in nats.

    The rows of what it gives are ``id``, ``nll_nats``, ``tokens`` and ``bytes``.

    Args:
        source: Tables or files of rows with ``prompt`` and ``completion``, and ``id`` if you like.
        output: One file by its ending; without it the rows are kept with the run alone.
        model: A folder with weights, a .gguf file, an id of the Hub, or what ``endpoint`` calls its model.
        adapter: A low-rank adapter for a local model: a folder as Python's peft writes it, or an id of the Hub.
        endpoint: The base URL of an OpenAI-compatible server, such as ``http://localhost:8000/v1``.
        quantize: How a local model's weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto].
        weights_cache: Keep a local model's quantised weights in this folder for the next time.
        threads: Threads of what runs on this machine [default: one a processor].
        concurrency: Calls to the endpoint at once [default: 32].
        timeout: Seconds that one call may take [default: 600].
        eos: Also score the end of text after each completion.
        apart: Encode prompt and completion each on its own, as Bonito's rank classification does.
        limit: The most rows read.
        journal: A journal shared with other runs.
        max_drop: Raise ``LimitMissed`` if a larger share of the rows is not scored, such as 0.2.
        overwrite: Replace an output that is there.
        progress: Called with how it goes on; what it raises ends the run.
    """
    return _rows("score", "source", locals())


def train(
    source: Sources,
    *,
    output: Path,
    preset: str | None = None,
    model: Path | None = None,
    new_model: Path | None = None,
    tokenizer: Path | None = None,
    init_adapter: Path | None = None,
    method: str | None = None,
    quantize: str | None = None,
    r: int | None = None,
    lora_alpha: float | None = None,
    lora_dropout: float | None = None,
    use_rslora: bool = False,
    target_modules: str | Sequence[str] | None = None,
    frame: str | None = None,
    from_: str | None = None,
    limit: int | None = None,
    max_tokens: int | None = None,
    validation: float | None = None,
    validate_every: int | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    pass_tokens: int | None = None,
    group_by_length: bool = False,
    learning_rate: float | None = None,
    schedule: str | None = None,
    warmup_ratio: float | None = None,
    weight_decay: float | None = None,
    max_grad_norm: float | None = None,
    seed: int | None = None,
    checkpoint_every: int | None = None,
    gradient_checkpointing: bool = False,
    moments_on_disk: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Training:
    """Trains a model, or an adapter beside it, on rows or texts. The same call goes on where one was stopped.

    Args:
        source: Files of rows, dataset folders, globs or tables; for ``frame="text"`` whatever ``generate``
            reads.
        output: The folder of the adapter or the model.
        preset: bonito (the maker of tasks), adapt (a model to a domain), tapt (next words of a domain's text);
            flags go over it.
        model: The model: a folder with weights, a .gguf file, or an id of the Hub.
        new_model: The config.json of a new model instead, whose weights are drawn at random.
        tokenizer: The tokenizer.json of a new model [default: one is learnt from the data].
        init_adapter: An adapter to train on.
        method: full, lora or qlora [default: lora; full for a new model].
        quantize: How weights beside an adapter lie in memory: none, q8_0, q4_k, nf4 [default: none; nf4 with
            qlora].
        r: The adapter's rank [default: 16].
        lora_alpha: What the adapter's product is multiplied with, over r [default: 32].
        lora_dropout: The share of an adapter's inputs that is dropped [default: 0].
        use_rslora: Divide lora_alpha by the square root of r.
        target_modules: The projections that get matrices, such as q_proj,v_proj [default: all but the output
            head].
        frame: What stands around prompt and completion: auto, plain, bonito, instruct, chat; text learns whole
            texts.
        from_: The shape of the rows [default: found out].
        limit: The most rows read.
        max_tokens: The most tokens of an example; longer ones are left out, longer texts cut [default: 1024].
        validation: The share of examples that is measured and not learnt, such as 0.05.
        validate_every: Steps between two measurements [default: at the end alone].
        epochs: How often all examples are gone through [default: 1].
        steps: The most steps.
        batch_size: Examples of a step [default: 16].
        pass_tokens: The most tokens of one forward pass; gradients of a step's passes are added [default:
            2048].
        group_by_length: Put examples of like length into a step.
        learning_rate: The highest learning rate [default: 1e-4; 1e-3 for a new model].
        schedule: linear, cosine or constant [default: linear].
        warmup_ratio: The share of steps in which the learning rate rises [default: 0].
        weight_decay: AdamW's weight decay [default: 0].
        max_grad_norm: The longest that gradients may be together; 0 is any [default: 1].
        seed: Every random choice comes from it [default: 42].
        checkpoint_every: Steps between two checkpoints, from which a killed training goes on [default: 500].
        gradient_checkpointing: Compute a block's intermediate values again on the way back instead of keeping
            them: slower, less memory.
        moments_on_disk: Keep the optimiser's moments in files that are mapped into memory.
        overwrite: Begin anew: what a training has left in the output is removed.
        threads: Threads [default: one a processor].
        progress: Called with how it goes on; what it raises ends the run.
    """
    options = locals()
    sources, progress = options.pop("source"), options.pop("progress")
    given = Given(sources, by_content=True)
    _, data = call("train", given.inputs, {**options, "json": True}, progress)
    return Training(_Path(output), json.loads(data[-1]))


def evaluate(
    benchmark: Path | Sequence[Path],
    *,
    output: Path | None = None,
    data: Sources | None = None,
    model: Path | None = None,
    adapter: Path | None = None,
    endpoint: str | None = None,
    quantize: str | None = None,
    weights_cache: Path | None = None,
    threads: int | None = None,
    concurrency: int | None = None,
    timeout: int | None = None,
    replay: Path | None = None,
    wrap: str | None = None,
    together: bool = False,
    in_words: bool = False,
    constrain: bool = False,
    limit: int | None = None,
    seed: int | None = None,
    journal: Path | None = None,
    before: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Says what a model makes of benchmarks, with intervals and what chance would give. Gives the report.

    Args:
        benchmark: Benchmarks by name, a suite (bonito, gpt4all), or YAML files of your own.
        output: A dataset folder, or one file by its ending; without it the rows are kept with the run alone.
        data: The benchmarks' rows: files, or a folder to look in [default: the Hub's cache].
        model: A folder with weights, a .gguf file, an id of the Hub, or what ``endpoint`` calls its model.
        adapter: A low-rank adapter for a local model: a folder as Python's peft writes it, or an id of the Hub.
        endpoint: The base URL of an OpenAI-compatible server, such as ``http://localhost:8000/v1``.
        quantize: How a local model's weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto].
        weights_cache: Keep a local model's quantised weights in this folder for the next time.
        threads: Threads of what runs on this machine [default: one a processor].
        concurrency: Calls to the endpoint at once [default: 32].
        timeout: Seconds that one call may take [default: 600].
        replay: A recording, lines of {"prompt", "completion"}, that answers in the model's place.
        wrap: What stands around each prompt: none, simple, tagged, inst, or a text with ``{prompt}`` [default:
            the benchmark's].
        together: Encode prompt and choice together and score no end of text, which endpoints can't do
            otherwise.
        in_words: Have the model write its choice instead of asking how likely each is.
        constrain: Hold it to the choices' texts: what it writes is one of them.
        limit: The most rows of each benchmark, the first ones.
        seed: What intervals and chance are drawn from [default: 0].
        journal: A journal shared with other runs.
        before: The folder of an evaluation of the base: what of the difference the benchmark's rules explain.
        overwrite: Begin the folder anew where it holds another evaluation; its journal stays.
        progress: Called with how it goes on; what it raises ends the run.
    """
    options = locals()
    progress = options.pop("progress")
    held = None if data is None else Given(data, by_content=True)
    options["data"] = None if held is None else held.inputs
    _, told = call("eval", [], {**options, "json": True}, progress)
    report: dict[str, Any] = json.loads(told[-1])
    return report


def compare(
    arms: Mapping[str, Path | Sequence[Path]],
    *,
    output: Path | None = None,
    against: str | None = None,
    metric: str | None = None,
    title: str | None = None,
    seed: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Puts evaluations beside each other: which arm of an experiment is better, and how sure that is.

    Gives the numbers: ``against``, the arm that the others are compared with, and ``benchmarks``, each with its ``arms``. Of
    each arm there are its ``value`` with the 95 % ``interval``, its ``runs``, and the ``difference`` to ``against``: its
    ``value``, ``interval``, ``p`` and ``verdict`` (better, worse or not_shown). Where there are several benchmarks the last
    entry, whose ``benchmark`` is None, is of all together.

    Args:
        arms: Folders that ``evaluate`` wrote to ``output``, under the names of arms; of an arm that was run under several
            seeds a list of folders, or a pattern.
        output: A folder for the page, the drawing and the numbers.
        against: The arm that the others are compared with [default: the first].
        metric: The metric that is compared [default: each benchmark's first].
        title: What stands above the page.
        seed: What intervals and tests are drawn from [default: 0].
        overwrite: Replace what the folder holds.

    >>> import instil, json, pathlib, tempfile
    >>> import pyarrow as pa
    >>> here = pathlib.Path(tempfile.mkdtemp())
    >>> even = {"name": "even", "prompts": [{"name": "p", "prompt": "Is {{ n }} even?"}], "choices": ["Yes", "No"]}
    >>> even.update(gold="{{ n % 2 }}", rank={}, metrics=["accuracy"])
    >>> with open(here / "even.yaml", "w") as file: json.dump(even, file)
    >>> for name, says in {"yes": lambda n: "Yes", "right": lambda n: ["Yes", "No"][n % 2]}.items():
    ...     with open(here / f"{name}.jsonl", "w") as file:
    ...         for n in range(60):
    ...             print(json.dumps({"prompt": f"Is {n} even?", "completion": says(n)}), file=file)
    ...     numbers, answers = pa.table({"n": range(60)}), here / f"{name}.jsonl"
    ...     report = instil.evaluate(here / "even.yaml", data=numbers, replay=answers, output=here / name)
    >>> compared = instil.compare({"yes": here / "yes", "right": here / "right"})
    >>> [yes, right] = compared["benchmarks"][0]["arms"]
    >>> yes["value"], right["value"], right["difference"]["verdict"]
    (0.5, 1.0, 'better')
    """
    options = locals()
    del options["arms"]
    if not isinstance(arms, Mapping):
        raise UsageError(
            f"arms are named, and a `{type(arms).__name__}` has no names",
            hint="give a dict of folders: {'base': 'out/base', 'tuned': ['out/tuned-1', 'out/tuned-2']}",
        )
    inputs: list[str] = []
    for name, runs in arms.items():
        folders: Sequence[Path] = [runs] if isinstance(runs, (str, os.PathLike)) else runs
        inputs += [f"{name}={os.fspath(folder)}" for folder in folders]
    _, data = call("compare", inputs, {**options, "json": True})
    told: dict[str, Any] = json.loads(data[-1])
    return told


def stats(dataset: Path | Run) -> dict[str, Any]:
    """Says what came out of a run: kept and rejected, lengths, labels, duplicates, openings.

    Args:
        dataset: A run, or a dataset folder or file that instil wrote.

    >>> import instil
    >>> instil.stats(instil.cook("mcqa", rows=50))["rows"]
    50
    """
    path = dataset.output if isinstance(dataset, Run) else dataset
    _, data = call("stats", [os.fspath(path)], {"json": True})
    told: dict[str, Any] = json.loads(data[-1])
    return told
