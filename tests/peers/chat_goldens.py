"""Golden files of chat templates, made by transformers' `apply_chat_template` itself.

    python tests/peers/chat_goldens.py

The Python is one with the transformers and jinja2 of tests/peers/requirements.txt, such as the virtual environment
that tests/peers/run makes. The templates are our own (crates/instil/tests/goldens/chat/templates, and the lines in
chat_snippets.py); they use what the published ones use, with wording and marks of their own.

One thing is changed while rendering: `datetime.now()`, which `strftime_now` asks, answers with one moment.
"""

import argparse
import gzip
import json
import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import jinja2
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from chat_snippets import CONVERSATION, SNIPPETS

GOLDENS = Path(__file__).resolve().parents[2] / "crates" / "instil" / "tests" / "goldens" / "chat"
NOW = datetime(2024, 2, 9, 17, 5, 3, 1234)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Now(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = Now


def tool(name, description, properties, required=None, **more):
    parameters = {"type": "object", "properties": properties}
    if required is not None:
        parameters["required"] = required
    function = {"name": name, "description": description, "parameters": parameters, **more}
    return {"type": "function", "function": function}


WEATHER = tool(
    "get_weather",
    "Tells the weather at a place.",
    {
        "place": {"type": "string", "description": "A town, such as \"Łódź\""},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": "integer", "description": "How many days ahead", "default": 1},
    },
    ["place"],
)
ODD = tool(
    "plan.route",
    "Finds a way & keeps it <short>.",
    {
        "stops": {"type": "array", "items": {"type": "string"}},
        "limits": {
            "type": "object",
            "properties": {"max_km": {"type": "number"}, "toll": {"type": "boolean"}},
            "required": ["max_km"],
        },
        "weights": {"type": "object", "additionalProperties": {"type": "number"}},
        "grid": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}, "nullable": True},
        "when": {"oneOf": [{"type": "string", "description": "a date"}, {"type": "integer", "default": 0}]},
        "via": {"type": ["string", "null"]},
        "anything": {},
    },
    ["stops", "limits"],
    **{"return": {"type": "string", "description": "The way"}},
)
EMPTY = tool("ping", "Says pong.", {})


def call(name, arguments, id="abcdef123"):
    return {"type": "function", "id": id, "function": {"name": name, "arguments": arguments}}


def says(role, content, **more):
    return {"role": role, "content": content, **more}


ASK = says("user", "How warm is it in Łódź?")
CONVERSATIONS = {
    "one": {"messages": [says("user", "Hello there")]},
    "system": {"messages": [says("system", "Be brief."), says("user", "Hi"), says("assistant", "Hello.")]},
    "turns": {
        "messages": [
            says("user", "  What is 2 + 2?\n"),
            says("assistant", " It is 4. "),
            says("user", "And 3 + 3?"),
            says("assistant", "6"),
            says("user", "Thanks\n\n"),
        ]
    },
    "system_turns": {
        "messages": [
            says("system", "  You know birds. /blurt\n"),
            says("user", "Is a penguin a bird?"),
            says("assistant", "Yes."),
            says("user", "Does it fly?"),
        ]
    },
    "unicode": {
        "messages": [
            says("system", "Antworte „kurz“ – in 日本語."),
            says("user", "naïve café \U0001f600\u200d e\u0301 \u00a0|\u2028 \"quoted\" 'single' \\back\t<b>&amp;</b>"),
            says("assistant", "はい。\r\nΣΑΣ ß ǆ"),
        ]
    },
    "tools": {"messages": [says("system", "Use tools."), ASK], "tools": [WEATHER, ODD, EMPTY]},
    "no_tools": {"messages": [ASK], "tools": []},
    "call": {
        "messages": [
            ASK,
            {"role": "assistant", "tool_calls": [call("get_weather", {"place": "Łódź", "days": 2})]},
            says("tool", "{\"celsius\": 21.5}", name="get_weather", tool_call_id="abcdef123"),
            says("assistant", "21.5 °C."),
            says("user", "And tomorrow?"),
        ],
        "tools": [WEATHER],
    },
    "call_text": {
        "messages": [
            says("system", "Use tools."),
            ASK,
            says("assistant", "Let me look.", tool_calls=[call("get_weather", "{\"place\": \"Łódź\"}", "x1")]),
            says("tool", "cold", tool_call_id="x1"),
        ],
        "tools": [WEATHER, EMPTY],
    },
    "calls": {
        "messages": [
            says("user", "Compare."),
            says(
                "assistant",
                None,
                tool_calls=[
                    call("get_weather", {"place": "A's \"B\"", "n": None, "yes": True, "x": 1e-7, "l": [1, 2.0, "c"]}),
                    call("ping", {}, "abcdef124"),
                    call("plan.route", {"stops": [], "limits": {"max_km": 10, "toll": False}}, "abcdef125"),
                ],
            ),
            says("tool", "1", tool_call_id="abcdef123"),
            says("tool", "2", tool_call_id="abcdef124"),
            {"role": "tool", "content": {"content": [1, {"k": None}]}, "tool_call_id": "abcdef125"},
            says("assistant", "Done."),
        ],
        "tools": [ODD, WEATHER],
    },
    "null": {"messages": [says("user", None), says("assistant", "What?"), says("user", "")]},
    "lacking": {"messages": [{"role": "user"}, {"role": "assistant", "content": "Yes?", "extra": None}]},
    "parts": {
        "messages": [
            says("system", [{"type": "text", "text": "Look well."}]),
            says("user", [{"type": "image", "url": "a.png"}, {"type": "text", "text": " What is it? "}]),
            says("assistant", [{"type": "text", "text": "A cat."}]),
            says("user", [{"type": "text", "text": "Sure?"}, {"type": "image"}, {"type": "image"}]),
        ]
    },
    "mulled": {
        "messages": [
            says("user", "Think."),
            says("assistant", "<mull>\nI am thinking\n\n</mull>\n\nThought."),
            says("user", "Again."),
            says("assistant", "Twice.", reasoning_content="  Once\nmore \n"),
        ]
    },
    "mulled_call": {
        "messages": [
            says("user", "Think and look."),
            {"role": "assistant", "thinking": "I need to look.", "tool_calls": [call("ping", {"deep": True})]},
            says("tool", "pong", tool_call_id="abcdef123"),
            says("assistant", "Seen.", reasoning="It came back."),
        ],
        "tools": [EMPTY],
    },
    "papers": {
        "messages": [says("user", "Which penguin is tallest?")],
        "documents": [
            {"title": "Tall penguins", "text": "Emperors are the tallest.", "doc_id": 7},
            {"title": "Habitats\n", "text": "Antarctica only…", "page_count": 3.0},
        ],
    },
    "papers_tools": {
        "messages": [says("system", "Both."), says("user", "Which?")],
        "documents": [{"text": "one"}],
        "tools": [EMPTY],
    },
    "assistant_first": {"messages": [says("assistant", "Hello!"), says("user", "Hi")]},
    "twice": {"messages": [says("user", "one"), says("user", "two"), says("system", "late")]},
    "odd_role": {"messages": [says("user", "x"), says("narrator", "y"), says("developer", "z", name="Zed")]},
}

# More names for a template, by what they are tried with.
EXTRAS = [
    ("one", {"enable_thinking": False, "thinking": True, "reasoning_effort": "high"}),
    ("turns", {"enable_thinking": True, "date_string": "3 Mar 2003"}),
    ("tools", {"tools_in_user_message": False, "custom_tools": [EMPTY], "builtin_tools": ["browser", "shell", "python"]}),
    ("call", {"builtin_tools": ["get_weather"], "thinking": True, "enable_thinking": False}),
    ("papers", {"controls": {"citations": True, "length": "short"}, "bos_token": ""}),
    ("system", {"model_identity": "I", "python_tools": ["def f(): …"], "xml_tools": [{"a": 1}], "eos_token": "<STOP>"}),
]
CONTINUED = ["system", "unicode", "parts", "mulled"]


def tokenizer():
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")))
    for name, token in SPECIAL.items():
        setattr(made, name, token)
    assert made.special_tokens_map == SPECIAL, made.special_tokens_map
    return made


def outcome(tokenizer, template, conversation, extra, **options):
    """What transformers makes of a conversation: `text`, the template's own `refusal`, or the type of the `error`."""
    try:
        text = tokenizer.apply_chat_template(
            conversation["messages"],
            tools=conversation.get("tools"),
            documents=conversation.get("documents"),
            chat_template=template,
            tokenize=False,
            **options,
            **extra,
        )
        return {"text": text}
    except Exception as e:
        if type(e) is jinja2.exceptions.TemplateError:
            return {"refusal": str(e)}
        return {"error": type(e).__name__}


def cases(tokenizer):
    """All cases: a template by name or as a text, a conversation by name, and what comes of them."""
    for path in sorted((GOLDENS / "templates").glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        asked = [(name, {}, {"add_generation_prompt": on}) for name in CONVERSATIONS for on in (False, True)]
        asked += [(name, extra, {"add_generation_prompt": True}) for name, extra in EXTRAS]
        asked += [(name, {}, {"continue_final_message": True}) for name in CONTINUED]
        for name, extra, options in asked:
            case = {"template": path.stem, "conversation": name, **options}
            if extra:
                case["extra"] = extra
            yield {**case, **outcome(tokenizer, template, CONVERSATIONS[name], extra, **options)}
    for snippet in SNIPPETS:
        options = {"add_generation_prompt": False}
        case = {"jinja": snippet, "conversation": "snippets", **options}
        yield {**case, **outcome(tokenizer, snippet, CONVERSATION, {}, **options)}


def make(folder):
    """Writes the golden files, and gives the line that README.md has of them."""
    conversations = {"special": SPECIAL, **CONVERSATIONS, "snippets": CONVERSATION}
    text = json.dumps(conversations, ensure_ascii=False, indent=1) + "\n"
    (folder / "conversations.json").write_text(text, encoding="utf-8")
    made = list(cases(tokenizer()))
    lines = "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in made)
    # Without a name and a time, so that the same cases give the same bytes.
    (folder / "cases.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    count = {kind: sum(kind in case for case in made) for kind in ("text", "refusal", "error")}
    templates = len({case["template"] for case in made if "template" in case})
    return (
        f"{len(made)} cases of {templates} templates and {len(SNIPPETS)} lines: {count['text']} texts, "
        f"{count['refusal']} refusals, {count['error']} errors "
        f"(transformers {version('transformers')}, jinja2 {version('jinja2')}, "
        f"python {platform.python_version()})"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(make(GOLDENS))
