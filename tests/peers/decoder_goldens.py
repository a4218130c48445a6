"""Golden files of the local engine: small random-weight models of every family, and what transformers makes of them.

    python tests/peers/decoder_goldens.py

The Python is the virtual environment that tests/peers/run makes. Weights come from numpy's frozen generator
(RandomState), so they are the same on every machine. The goldens' README.md describes the files.
"""

import argparse
import json
import platform
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM

import decoder_formats as formats

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "crates" / "instil-model" / "tests" / "goldens" / "decoder"
STORIES = ROOT.parent / "shared" / "models" / "TinyStories-656K"
LENGTHS = [1, 2, 7, 16, 17, 45]
NEW = 20
LEAD = 0.01
VOCAB = 128
SPECIALS = ["<unk>", "<s>", "</s>"]
BOS, EOS = 1, 2

# What the tokenizers are trained on, and a part of what they are tried on.
TEXT = """The miller's daughter wrote down what each of the three wheels ground that day. The first wheel ground forty
sacks of rye, the second one thirty-two, and the third wheel stood still because its axle had cracked in the frost.
"Who will mend it?" she asked, but nobody answered her: the smith was at the market, and he wouldn't be back before
the evening. So they moved the grain to the other wheels, and the work went on until the water fell in 1897.
When the smith came he said that an axle of oak costs 12 crowns and one of iron costs 340. They chose the iron.
It isn't known who paid for it; the book says only that the mill was working again within the month, and that the
daughter had asked for a new lock on the door. Nine years later the mill burned down. What is left of the wheels
stands in the yard of the school, where the children climb on them after the lessons and count the teeth."""

ODD = [
    "", " ", "  ", "   a", "a", "A b", "hello world", " hello", "hello ", "The mill.", "the  wheel", "wheel\n", "\n", "\n\n",
    " \n", "\r\n", "line one\nline two", "line one \n  line two", "\t\tindented", "tab\there", "1", "12", "123", "1234",
    "12345678", "3.14", "1,000,000", "year 1897.", "x1y2", "it's", "IT'S", "they'll've", "won't 'quote' it", "don’t",
    '"Who will mend it?"', "(a) [b] {c}", "a-b_c/d\\e", "!!!", "...", "?!", "$100 & 5%", "#tag @name", "e-mail@example.org",
    "https://example.org/a?b=c", "naïve café", "Größe", "Ärger über Öl", "π ≈ 3.14159", "日本語のテキスト", "中文，标点。",
    "русский текст", "عربي", "हिन्दी", "한국어", "🙂", "👩‍👩‍👧‍👦 family", "a\u0301 combining", "\u00a0nbsp\u00a0", "zero\u200bwidth",
    "\u3000wide", "ﬁ ligature", "½ ² ①", "a\u0000b", "\u2581 low line block", "<unk>x", "CamelCaseWords", "aaaaaaaaaaaaaaaa",
    "the wheels of the mill of the miller of the wheels", "end with spaces    ", "def f(x):\n    return x + 1\n",
]  # fmt: skip


def names(**fields):
    """The fields that every configuration here has, and those of one."""
    return {"vocab_size": VOCAB, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": None} | fields


def llama(**fields):
    usual = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return names(**usual, max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=False) | fields


def rope(kind="default", theta=10000.0, **fields):
    return {"rope_parameters": dict(rope_type=kind, rope_theta=theta, **fields)}


LLAMA3 = rope("llama3", 5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
NEOX = names(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=128,
             hidden_act="gelu", tie_word_embeddings=False) | rope(partial_rotary_factor=0.25)  # fmt: skip
GPTJ = names(n_embd=32, n_head=2, n_layer=2, n_positions=64, rotary_dim=8, tie_word_embeddings=False)

# Name, family, configuration, and how it is written: `dtype` of the file (half of them f16, to keep the files small),
# `old` for the configuration's field names of transformers 4, `shard` for the size of a file, `rename` for tensor
# names that published files have, `buffers` for where they hold what is no parameter.
HALF = "float16"
WINDOW = {"sliding_window": 16}
MODELS = [
    ("llama", "Llama", llama(hidden_size=64, intermediate_size=96), {}),
    ("llama-tied", "Llama", llama(tie_word_embeddings=True, num_hidden_layers=3), {"old": True, "dtype": HALF}),
    ("llama-llama3-rope", "Llama", llama(**LLAMA3), {"old": True, "dtype": HALF}),
    ("llama-linear-rope", "Llama", llama(**rope("linear", factor=4.0)), {"old": True, "dtype": HALF}),
    ("llama-biases", "Llama", llama(attention_bias=True, mlp_bias=True, num_key_value_heads=4), {"dtype": HALF}),
    ("llama-head-dim", "Llama", llama(head_dim=16, num_key_value_heads=1), {"old": True, "dtype": HALF}),
    ("llama-bf16", "Llama", llama(), {"dtype": "bfloat16"}),
    ("llama-f16", "Llama", llama(), {"old": True, "dtype": HALF}),
    ("llama-sharded", "Llama", llama(num_hidden_layers=3), {"shard": "12KB", "dtype": HALF}),
    ("mistral", "Mistral", llama(**WINDOW), {"old": True, "dtype": HALF}),
    ("mistral-head-dim", "Mistral", llama(**WINDOW, head_dim=12, num_hidden_layers=3), {"dtype": HALF}),
    ("mistral-no-window", "Mistral", llama(sliding_window=None, **rope(theta=1e6)), {"old": True, "dtype": HALF}),
    ("qwen2", "Qwen2", llama(tie_word_embeddings=True, **WINDOW, **rope(theta=1e6)), {"old": True}),
    ("qwen2-window", "Qwen2", llama(num_hidden_layers=3, use_sliding_window=True, **WINDOW, max_window_layers=1),
     {"old": True, "dtype": HALF}),
    ("qwen3", "Qwen3", llama(head_dim=16, **rope(theta=1e6)), {"old": True, "dtype": HALF}),
    ("qwen3-tied", "Qwen3", llama(head_dim=8, tie_word_embeddings=True), {"dtype": HALF}),
    ("gpt-neox", "GPTNeoX", NEOX | {"use_parallel_residual": True},
     {"old": True, "rename": {"lm_head.weight": "embed_out.weight"}, "buffers": "gpt_neox.layers.{}.attention."}),
    ("gpt-neox-sequential", "GPTNeoX", NEOX | {"use_parallel_residual": False}, {"dtype": HALF}),
    ("gpt-j", "GPTJ", GPTJ | {"activation_function": "gelu_new"}, {"old": True, "dtype": HALF, "buffers": "transformer.h.{}.attn."}),
]  # fmt: skip


# Weights and configurations


def weights(model, seed):
    """Fills the parameters in the order of their names, so that no norm is ones and no bias zeros."""
    random = np.random.RandomState(seed)
    scale = 0.3 if model.config.tie_word_embeddings else 1.0
    for name, parameter in sorted(model.named_parameters()):
        drawn = random.standard_normal(tuple(parameter.shape))
        if parameter.dim() == 2:
            drawn *= scale if "embed" in name or "wte" in name else 1.4 / parameter.shape[1] ** 0.5
        elif name.endswith("bias"):
            drawn *= 0.2
        else:
            drawn = 1 + 0.3 * drawn
        parameter.data = torch.from_numpy(drawn.astype(np.float32))


def rounded(model, dtype):
    """The parameters as a file of that type holds them, in f32. (`model.to` would round the rotary tables too.)"""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(getattr(torch, dtype)).float()


def old_names(config):
    """The configuration as transformers 4 wrote it, which is what most published models have."""
    config = {key: value for key, value in config.items() if key != "layer_types"}
    said = config.pop("rope_parameters", None)
    if said:
        theta, partial = said.pop("rope_theta"), said.pop("partial_rotary_factor", None)
        if config["model_type"] == "gpt_neox":
            config |= {"rotary_emb_base": int(theta), "rotary_pct": partial}
        else:
            config["rope_theta"] = theta
        config["rope_scaling"] = said if said["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype", None) or "float32"
    return config | {"transformers_version": "4.41.2"}


def write_model(folder, model, written):
    """Configuration, weights and tokenizer in Hugging Face layout."""
    folder.mkdir(parents=True)
    stored = model.to(getattr(torch, written.get("dtype", "float32")))
    stored.save_pretrained(folder, max_shard_size=written.get("shard", "1GB"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if written.get("old"):
        write_json(folder / "config.json", old_names(config))
        write_json(folder / "config.new.json", config)
    if "rename" in written or "buffers" in written:
        renamed = written.get("rename", {})
        tensors = load_file(folder / "model.safetensors")
        tensors = {renamed.get(name, name): tensor for name, tensor in tensors.items()}
        if "buffers" in written:
            # Published checkpoints of these families hold their causal masks too; a loader leaves them alone.
            for layer in range(2):
                place = written["buffers"].format(layer)
                tensors[place + "bias"] = torch.ones(1, 1, 8, 8, dtype=torch.bool).tril()
                tensors[place + "masked_bias"] = torch.tensor(-1e9)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def write_json(path, value, **options):
    path.write_text(json.dumps(value, ensure_ascii=False, **({"indent": 1} | options)) + "\n", encoding="utf-8")


def write_rows(path, rows):
    """A JSON object of lists with an entry a line: readable, and a change shows as a line."""
    parts = [
        f'"{key}": [\n' + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]"
        for key, entries in rows.items()
    ]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


# What transformers makes of a model


def forward(model, ids):
    """Logits of every position [tokens, vocab], without a cache."""
    with torch.inference_mode():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def log_likelihood(model, prompt, completion):
    """Natural logarithm of the completion's probability after the prompt, the softmax in f64."""
    logits = forward(model, prompt + completion)[len(prompt) - 1 : -1]
    chosen = torch.log_softmax(logits.double(), -1).gather(1, torch.tensor(completion)[:, None])
    return chosen.sum().item()


def greedy(model, prompt, new):
    """The most likely token, `new` times, no end of text; and the smallest lead that one had over the second."""
    ids, lead = list(prompt), float("inf")
    for _ in range(new):
        best = forward(model, ids)[-1].topk(2)
        lead = min(lead, (best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    tokens = ids[len(prompt) :]
    said = model.generate(
        torch.tensor([prompt]), max_new_tokens=new, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert said[0, len(prompt) :].tolist() == tokens, "transformers' generate says something else"
    return tokens, lead


def sequences(vocab, seed):
    random = np.random.RandomState(seed)
    return [[BOS, *random.randint(len(SPECIALS), vocab, length - 1).tolist()] for length in LENGTHS]


def goldens(folder, model):
    """golden.json and golden.safetensors of a model in f32; gives (largest difference of f32 to f64, smallest lead).

    Of the sequences that seeds give, the first where every greedy token leads clearly: no rounding changes it.
    """
    model = model.float().eval()
    for seed in range(1000, 1100):
        inputs = sequences(model.config.vocab_size, seed)
        continued = [(ids, *greedy(model, ids, NEW)) for ids in (inputs[1], inputs[2], inputs[4])]
        lead = min(lead for _, _, lead in continued)
        if lead > LEAD:
            break
    else:
        raise AssertionError(f"{folder.name}: no sequences found whose greedy tokens lead by {LEAD}")
    said = {
        "sequences": [],
        "greedy": [{"prompt": ids, "tokens": tokens} for ids, tokens, _ in continued],
        "scores": [],
    }
    # Transformers computes norms, and GPT-J its softmax, in f32 even here.
    double = AutoModelForCausalLM.from_config(
        model.config, attn_implementation="eager" if model.config.model_type == "gptj" else "sdpa"
    )
    double.load_state_dict(model.state_dict())
    double.double().eval()
    logits, error = {}, 0.0
    for index, ids in enumerate(inputs):
        positions = sorted({0, len(ids) // 2, len(ids) - 1})
        made = forward(model, ids)
        error = max(error, (made.double() - forward(double, ids)).abs().max().item())
        logits[f"logits.{index}"] = made[positions].contiguous()
        said["sequences"].append({"ids": ids, "positions": positions})
    for ids, cut in ((inputs[2], 3), (inputs[3], 1), (inputs[5], 20), (inputs[5], 44)):
        prompt, completion = ids[:cut], ids[cut:]
        value = log_likelihood(model, prompt, completion)
        said["scores"].append({"prompt": prompt, "completion": completion, "log_likelihood": value})
    write_rows(folder / "golden.json", said)
    save_file(logits, folder / "golden.safetensors")
    return error, lead


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


# Tokenizers


def word_tokenizer():
    """Byte-level BPE of VOCAB tokens for the small models. Bytes that TEXT does not have are unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    assert tokenizer.get_vocab_size() == VOCAB
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    return tokenizer


def write_tokenizer(folder, tokenizer):
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    fields = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    write_json(folder / "tokenizer_config.json", fields | {"clean_up_tokenization_spaces": False})


def made_model(family, fields, seed):
    config = getattr(transformers, f"{family}Config")(**fields)
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    weights(model, seed)
    if config.tie_word_embeddings:
        model.tie_weights()
    return model


def make_families(out):
    """The models of MODELS; gives a table row each."""
    rows, tokenizer = [], word_tokenizer()
    for index, (name, family, fields, written) in enumerate(MODELS):
        model = made_model(family, fields, 100 + index)
        folder = out / name
        write_model(folder, model, written)
        write_tokenizer(folder, tokenizer)
        loaded, meant = load(folder), made_model(family, fields, 100 + index)
        rounded(meant, written.get("dtype", "float32"))
        ids = sequences(VOCAB, 0)[-1]
        assert torch.equal(forward(loaded, ids), forward(meant, ids)), f"{name}: transformers reads the files otherwise"
        error, lead = goldens(folder, loaded)
        rows.append((name, about(fields, written), error, lead))
        print(f"{index + 1}/{len(MODELS)} {name}: f32 to f64 {error:.1e}, smallest lead {lead:.3f}", flush=True)
    texts = [{"text": text, "ids": tokenizer.encode(text).ids} for text in ODD]
    write_rows(out / "tokenizer.json-goldens.json", {"texts": texts})
    return rows


def make_packed(out):
    """The same Llama in AutoAWQ's and AutoGPTQ's layouts; the goldens are those of the dequantised f32 weights."""
    rows, tokenizer = [], word_tokenizer()
    common = {"bits": 4, "group_size": formats.GROUP}
    gptq = common | {
        "quant_method": "gptq",
        "sym": False,
        "lm_head": False,
        "checkpoint_format": "gptq",
        "damp_percent": 0.01,
    }
    awq = common | {"quant_method": "awq", "zero_point": True, "version": "gemm", "modules_to_not_convert": None}
    of = {"awq": awq, "gptq": gptq | {"desc_act": False}, "gptq-act-order": gptq | {"desc_act": True}}
    for seed, (name, quantization) in enumerate(of.items(), 300):
        folder = out / name
        model = made_model("Llama", llama(hidden_size=64, intermediate_size=96), seed)
        model.config.save_pretrained(folder)
        rounded(model, HALF)
        tensors, dense = {}, {}
        for place, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and place != "lm_head":
                seed += 1000
                values, zeros, scales = formats.drawn_4bit(module.in_features, module.out_features, seed)
                groups = np.arange(module.in_features) // formats.GROUP
                if quantization.get("desc_act"):
                    np.random.RandomState(seed).shuffle(groups)
                parts = (
                    formats.awq(values, zeros, scales) if name == "awq" else formats.gptq(values, zeros, scales, groups)
                )
                tensors |= {f"{place}.{part}": tensor.contiguous() for part, tensor in parts.items()}
                dense[f"{place}.weight"] = torch.from_numpy(
                    formats.dequantised(values, zeros, scales, groups)
                ).contiguous()
        tensors |= {key: tensor.half() for key, tensor in model.state_dict().items() if key not in dense}
        model.load_state_dict(dense, strict=False)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        write_json(folder / "config.json", old_names(config | {"dtype": HALF}) | {"quantization_config": quantization})
        write_tokenizer(folder, tokenizer)
        kept = {key: dense[key] for key in ("model.layers.0.self_attn.k_proj.weight",)}
        save_file(kept, folder / "dequantised.safetensors")
        error, lead = goldens(folder, model)
        rows.append((name, f"Llama, {quantization['quant_method']}, 4 bits, groups of {formats.GROUP}", error, lead))
    return rows


def make_gguf(out):
    """GGUF files and their tokenizers."""
    size = 384
    pieces = formats.Pieces(TEXT, size)
    bytes_of = {pre: formats.Bytes(TEXT, size, pre) for pre in formats.PATTERNS}
    tiny = llama(vocab_size=size, intermediate_size=64)
    wide = llama(vocab_size=size, hidden_size=256, intermediate_size=256, num_hidden_layers=1, num_key_value_heads=1)
    kind = formats.Kind
    six = ("attn_v", "ffn_down", "output.")
    of = {
        "llama-f32": ("Llama", tiny, lambda name: kind.F32, pieces),
        "llama-f16": ("Llama", tiny, lambda name: kind.F16, pieces),
        "llama-q8_0": ("Llama", tiny, lambda name: kind.Q8_0, pieces),
        "llama-q4_k-q6_k": ("Llama", wide | LLAMA3, lambda name: kind.Q6_K if any(map(name.__contains__, six)) else kind.Q4_K,
                            bytes_of["llama-bpe"]),
        "qwen2-f16": ("Qwen2", llama(vocab_size=size, tie_word_embeddings=True), lambda name: kind.F16, bytes_of["qwen2"]),
    }  # fmt: skip
    rows = []
    for seed, (name, (family, fields, kind_of, tokenizer)) in enumerate(of.items(), 400):
        folder = out / "gguf" / name
        folder.mkdir(parents=True)
        # The three small ones are one model.
        model = made_model(family, fields | {"bos_token_id": tokenizer.begin}, 400 if tokenizer is pieces else seed)
        held = formats.write_gguf(folder / "model.gguf", model, kind_of, tokenizer)
        if "_" in name:
            # What the bytes mean, as they lie: queries and keys of a `llama` in llama.cpp's order of rows.
            kept = ("blk.0.attn_k.weight", "blk.0.ffn_down.weight", "token_embd.weight")
            save_file({key: held[key][:16].contiguous() for key in kept}, folder / "dequantised.safetensors")
        error, lead = goldens(folder, model)
        rows.append((f"gguf/{name}", about(fields, {}), error, lead))
        print(f"gguf/{name}: f32 to f64 {error:.1e}, smallest lead {lead:.3f}", flush=True)
    for name, tokenizer in {"spm": pieces, **bytes_of}.items():
        formats.write_vocabulary(out / "gguf" / f"vocabulary-{name}.gguf", tokenizer)
        texts = [text for text in ODD if "<unk>" not in text]
        made = [(text, tokenizer.encode(text)) for text in texts]
        said = {"texts": [{"text": text, "ids": ids, "decoded": tokenizer.decode(ids)} for text, ids in made]}
        write_rows(out / "gguf" / f"vocabulary-{name}.json", said)
    return rows


# Real weights


def make_stories(out):
    """What TinyStories-656K says, which lies beside the repository; nothing of it is kept but these lines."""
    model, tokenizer = load(STORIES), Tokenizer.from_file(str(STORIES / "tokenizer.json"))
    said, leads = {"greedy": [], "scores": []}, []
    for prompt in [
        "Once upon a time, a cat",
        "The old dog sat by the door and",
        'Tom said: "I can\'t find my hat!" His mom',
    ]:
        ids = tokenizer.encode(prompt).ids
        tokens, lead = greedy(model, ids, 48)
        leads.append(lead)
        said["greedy"].append({"prompt": prompt, "ids": ids, "tokens": tokens, "text": tokenizer.decode(tokens)})
    for prompt, completion in [
        ("Once upon a time, there was", " a little girl who liked to play in the park."),
        ("Once upon a time, there was", " a tax on windows that nobody paid."),
        ("The sun was", " warm"),
        ("", "Lily and Ben went home. They were happy."),
    ]:
        ids, rest = tokenizer.encode(prompt).ids, tokenizer.encode(completion, add_special_tokens=False).ids
        row = {"prompt": prompt, "completion": completion, "prompt_ids": ids, "completion_ids": rest}
        said["scores"].append(row | {"log_likelihood": log_likelihood(model, ids, rest)})
    write_rows(out / "tinystories.json", said)
    return min(leads)


# All of them


def about(fields, written):
    """What is special about a model, for the table."""
    usual = [*llama().items(), *NEOX.items(), *GPTJ.items()]
    words = [f"{key} {value}" for key, value in fields.items() if (key, value) not in usual]
    words += [f"{key} {value}" for key, value in written.items() if key in ("dtype", "shard")]
    words += ["configuration as transformers 4 writes it"] if written.get("old") else []
    text = re.sub(r"[{}']", "", "; ".join(words))
    return text or "as usual"


def versions():
    names = ["torch", "transformers", "tokenizers", "safetensors", "gguf", "sentencepiece", "numpy"]
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)])


def make(out):
    """All goldens into the folder `out`, which is made anew but for its README.md; gives the README's table."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for path in out.iterdir() if out.is_dir() else []:
        if path.name not in ("README.md", "tinystories.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    out.mkdir(parents=True, exist_ok=True)
    rows = make_families(out) + make_packed(out) + make_gguf(out)
    if STORIES.is_dir():
        print(f"tinystories: smallest lead {make_stories(out):.4f}")
    lines = ["| model | what is special | f32 to f64 | smallest lead |", "|---|---|---|---|"]
    return "\n".join(
        lines + [f"| `{name}` | {words} | {error:.1e} | {lead:.3f} |" for name, words, error, lead in rows]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=GOLDENS, help="where the goldens go (default: where they are)")
    arguments = parser.parse_args()
    table = make(arguments.out)
    readme = arguments.out / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        text = re.sub(r"\| model \|.*?(?=\n\n|\Z)", lambda _: table, text, flags=re.DOTALL)
        readme.write_text(re.sub(r"Made with .*", f"Made with {versions()}.", text), encoding="utf-8")


if __name__ == "__main__":
    main()
