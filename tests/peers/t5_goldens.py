"""Golden files of T5: small encoder-decoders with random weights, and what transformers, torch and peft make of them.

    python tests/peers/t5_goldens.py

The Python is the virtual environment that tests/peers/run makes. Weights come from numpy's frozen generator
(RandomState), so they are the same on every machine. The goldens' README.md describes the files.
"""

import argparse
import io
import json
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import transformers
from decoder_goldens import TEXT, rounded, write_json, write_rows
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from sentencepiece import sentencepiece_model_pb2
from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer, get_scheduler
from transformers.models.t5.modeling_t5 import T5Attention

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "crates" / "instil-model" / "tests" / "goldens" / "t5"
PIECES, SENTINELS, VOCAB = 110, 10, 128
PAD, EOS = 0, 1
NEW, LEAD = 20, 0.01
SOURCES = [1, 2, 7, 16, 17, 40]
TARGETS = [3, 1, 18, 5, 33, 9]

USUAL = {
    "vocab_size": VOCAB, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4,
    "decoder_start_token_id": PAD, "dropout_rate": 0.0,
}  # fmt: skip

# Name, what is special, the type of the file, and whether config.json is as transformers 4 writes it.
MODELS = [
    ("v1.0", {"feed_forward_proj": "relu"}, "float32", True),
    ("v1.1", {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_decoder_layers": None}, "bfloat16", True),
    ("buckets", {"feed_forward_proj": "gated-silu", "tie_word_embeddings": False, "relative_attention_num_buckets": 8,
                 "relative_attention_max_distance": 20, "d_kv": 12}, "float16", False),
]  # fmt: skip

TEXTS = ["", "The mill.", "hello  world ", " Who will mend it?", "<extra_id_0> ground forty <extra_id_1>", "The wheel<extra_id_9>.",
         "line one\nline two", "Größe π", "a</s>b", "12 crowns and 340"]  # fmt: skip

# What the published tokenizers' map makes of characters is NFKC and some rules for blanks; all of it is 240 KB. These are kept: ligatures,
# characters of full and of half width, signs that stand for several characters, letters with their marks behind them.
SINGLE = [*range(0xFB00, 0xFB07), *range(0xFF01, 0xFF5F), *map(ord, "\u00a0\u2003\u2009\u3000ªº²¹½…™①②℃ｶﾃ")]
MARKED = ["e\u0301", "u\u0308", "ｶ\uff9e", "a\u0323\u0302"]
BLANKS, NOTHING = "\t\n\r\u200b\ufeff", "\x01\x02\x7f\u00ad"
NORMALISED = [
    "The ﬁrst ofﬁce wheel ﬂew.", "ＴＨＥ　ｍｉｌｌ　１２３！", "cafe\u0301 u\u0308ber", "café über", "a\u00a0b\u2003c", "½ of it™, 20 ℃ …", "ｶ\uff9eﾃ ｶ",
    "line\tone\r\nline two", "soft\u00adhyphen\u200bzero", "e\u0301\u0301 x\u0301", "a\u0323\u0302", "a\u0302\u0323", "<extra_id_0> ﬁ ＜extra_id_1＞<extra_id_1>",
    "①② ²", "  two  spaces ", "\ufeffThe mill", "\u3000", "\x01", "", "ﬁ</s>ﬂ", "日本語 ﬆ",
]  # fmt: skip

# Training
STEPS = 10
RATE, DECAY, CLIP, WARMUP, TOTAL = 3e-3, 0.1, 0.7, 2, 12
RANK, ALPHA = 4, 6
KEPT = (
    "shared.weight", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "encoder.block.1.layer.1.DenseReluDense.wo.weight",
    "encoder.final_layer_norm.weight", "decoder.block.1.layer.1.EncDecAttention.k.weight", "lm_head.weight",
    "decoder.block.0.layer.1.layer_norm.weight", "encoder.block.0.layer.0.SelfAttention.q.lora_A.weight",
    "decoder.block.1.layer.1.EncDecAttention.v.lora_B.weight", "decoder.block.1.layer.2.DenseReluDense.wo.lora_A.weight",
)  # fmt: skip


def tokenizer(folder):
    """A tokenizer as T5's: pieces of words, `</s>` behind each text, sentinels at the end of the vocabulary."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    made.decoder = decoders.Metaspace()
    sentinels = [f"<extra_id_{number}>" for number in reversed(range(SENTINELS))]
    special = ["<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        TEXT.split("\n"), trainers.UnigramTrainer(vocab_size=PIECES, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    made.add_special_tokens(sentinels)
    made.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", EOS)])
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "T5TokenizerFast", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
        "extra_ids": SENTINELS, "additional_special_tokens": sentinels, "clean_up_tokenization_spaces": False,
    })  # fmt: skip
    return made


def normalising(folder):
    """A tokenizer as the published ones: pieces that SentencePiece has learnt, and its map of characters (`Precompiled`)."""
    rules = [(text, unicodedata.normalize("NFKC", text)) for text in [*map(chr, SINGLE), *MARKED]]
    rules += [(blank, " ") for blank in BLANKS] + [(text, "") for text in NOTHING]
    written = ["\t".join(" ".join(f"{ord(character):X}" for character in side) for side in rule) for rule in rules]
    lines = [unicodedata.normalize("NFKC", text) for text in NORMALISED if "<" not in text]
    learnt = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        table.write("".join(rule + "\n" for rule in written))
        table.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*TEXT.split("\n"), *lines]), model_writer=learnt, vocab_size=140, model_type="unigram",
            normalization_rule_tsv=table.name, character_coverage=1.0, pad_id=PAD, eos_id=EOS, unk_id=2, bos_id=-1, num_threads=1,
            minloglevel=2,
        )  # fmt: skip
    model = sentencepiece_model_pb2.ModelProto.FromString(learnt.getvalue())
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    made = T5Tokenizer(pieces, _spm_precompiled_charsmap=model.normalizer_spec.precompiled_charsmap, extra_ids=SENTINELS)
    made.save_pretrained(folder)
    found = [{"text": text, "ids": made(text).input_ids} for text in NORMALISED]
    # T5's own library says the same, but for a letter whose marks are six bytes and more with it: those transformers looks up one by
    # one. (It doesn't know sentinels and ends of text in texts.)
    own = sentencepiece.SentencePieceProcessor(model_proto=learnt.getvalue())
    others = [row["text"] for row in found if "<" not in row["text"] and row["ids"] != [*own.encode(row["text"]), EOS]]
    assert others == ["ｶ\uff9eﾃ ｶ", "e\u0301\u0301 x\u0301"], others
    for row in found:
        row["decoded"] = made.decode(row["ids"], skip_special_tokens=True)
    write_rows(folder / "texts.json", {"texts": found})


def weights(model, seed):
    """Fills the parameters in the order of their names, so that no norm is ones."""
    random = np.random.RandomState(seed)
    for name, parameter in sorted(model.named_parameters()):
        drawn = random.standard_normal(tuple(parameter.shape))
        if parameter.dim() == 1:
            drawn = 1 + 0.3 * drawn
        elif "relative_attention_bias" in name or name.startswith("shared"):
            drawn *= 0.8
        elif name.endswith(".q.weight"):
            drawn *= 0.5 / parameter.shape[1] ** 0.5
        else:
            drawn *= 1.4 / parameter.shape[1] ** 0.5
        parameter.data = torch.from_numpy(drawn.astype(np.float32))


def made_model(special, seed, dtype):
    """The model in f32, its numbers as a file of that type holds them."""
    model = T5ForConditionalGeneration._from_config(T5Config(**USUAL | special), attn_implementation="eager")
    if special.get("tie_word_embeddings") is False:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    weights(model, seed)
    rounded(model, dtype)
    return model.eval()


def write_model(folder, model, special, dtype, old):
    """Configuration and weights in Hugging Face layout."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in model.config.to_dict().items() if value is not None}
    if old:
        # As published: the head's own weights are told by `tie_word_embeddings`, and nothing says how outputs are scaled.
        dropped = ("dtype", "scale_decoder_outputs", "is_gated_act", "dense_act_fn", "is_decoder", "classifier_dropout")
        config = {key: value for key, value in config.items() if key not in dropped}
        config |= {"tie_word_embeddings": special.get("tie_word_embeddings", True), "torch_dtype": dtype,
                   "transformers_version": "4.41.2"}  # fmt: skip
    write_json(folder / "config.json", config)
    tensors = {name: parameter.detach().to(getattr(torch, dtype)).contiguous() for name, parameter in model.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def numbers(random, length):
    return random.randint(3, PIECES, length).tolist()


def logits(model, source, target):
    """Logits of every token of the target [tokens, vocab], computed at once."""
    fed = [PAD, *target[:-1]]
    with torch.inference_mode():
        return model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([fed]), use_cache=False).logits[0]


def greedy(model, source):
    """The likeliest tokens, one after the other, and by how little one of them leads."""
    tokens, lead = [], float("inf")
    for _ in range(NEW):
        two = logits(model, source, [*tokens, 0])[-1].topk(2)
        lead = min(lead, (two.values[0] - two.values[1]).item())
        tokens.append(two.indices[0].item())
    return tokens, lead


def goldens(folder, model, seed):
    """What the model says: logits, greedy tokens and likelihoods."""
    random = np.random.RandomState(seed)
    pairs = [{"source": [*numbers(random, source - 1), EOS], "target": numbers(random, target)}
             for source, target in zip(SOURCES, TARGETS, strict=True)]  # fmt: skip
    tensors, scores, followed = {}, [], []
    for number, pair in enumerate(pairs):
        found = logits(model, pair["source"], pair["target"])
        tensors[f"logits.{number}"] = found.contiguous()
        chosen = torch.log_softmax(found.double(), -1).gather(1, torch.tensor(pair["target"])[:, None])
        scores.append(pair | {"log_likelihood": chosen.sum().item()})
    while len(followed) < 4:
        source = [*numbers(random, 3 + 5 * len(followed)), EOS]
        tokens, lead = greedy(model, source)
        # Another sum's order must not change a token, and the end of text would end it.
        if lead > LEAD and EOS not in tokens:
            followed.append({"source": source, "tokens": tokens})
    save_file(tensors, folder / "golden.safetensors")
    write_rows(folder / "golden.json", {"pairs": pairs, "greedy": followed, "scores": scores})


def buckets():
    """The bucket of every distance, for some shapes of the table."""
    rows = []
    for count, distance in [(32, 128), (8, 20), (16, 64)]:
        for bidirectional in (True, False):
            relative = torch.arange(-600, 601)
            found = T5Attention._relative_position_bucket(relative, bidirectional, count, distance)
            rows.append({"buckets": count, "max_distance": distance, "bidirectional": bidirectional, "from": -600, "found": found.tolist()})
    return rows


def examples():
    """Two examples a step: what the encoder reads, and what is learnt."""
    random = np.random.RandomState(11)
    lengths = [(20, 7), (9, 1), (33, 30), (14, 4), (25, 12), (6, 5), (17, 1), (12, 9), (3, 3), (8, 20)]
    made = [{"source": [*numbers(random, source), EOS], "target": [*numbers(random, target), EOS]} for source, target in lengths]
    return made + made


def ours(name):
    """A parameter's name as the Rust side has it."""
    return name.replace("base_model.model.", "").replace(".default.", ".").replace(".base_layer.", ".")


def drawn(model):
    """First weights of the adapter: none of them zeros, so that every matrix has a gradient at once."""
    random = np.random.RandomState(12)
    for _, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad:
            values = 0.1 * random.standard_normal(tuple(parameter.shape))
            parameter.data = torch.from_numpy(values.astype(np.float32))


def loss_of(model, batch):
    """The mean over all learnt tokens of the step, each example by itself; labels are shifted by transformers."""
    total, count = 0.0, 0
    for example in batch:
        labels = torch.tensor([example["target"]])
        total = total + model(input_ids=torch.tensor([example["source"]]), labels=labels).loss * labels.shape[1]
        count += labels.shape[1]
    return total / count


def train(model, lora):
    """Ten AdamW steps: what each said, and some tensors."""
    tensors = {}
    if lora:
        modules = ["q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo"]
        # Without a task: peft 0.20 asks sequence-to-sequence models for what transformers 5.23 calls otherwise.
        config = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=modules)
        model = get_peft_model(model, config)
        drawn(model)
        tensors |= {f"first.{ours(key)}": value.detach().clone() for key, value in model.named_parameters() if value.requires_grad}
    model.train()
    trained = {ours(key): value for key, value in model.named_parameters() if value.requires_grad}
    # As transformers' trainer: neither norms shrink nor what is called a bias, which the tables of positions are.
    shrinks = {name for name, value in trained.items() if value.dim() > 1 and not name.endswith("_bias.weight")}
    matrices = [value for name, value in trained.items() if name in shrinks]
    others = [value for name, value in trained.items() if name not in shrinks]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    scheduler = get_scheduler("linear", optimizer, WARMUP, TOTAL)
    said = {"losses": [], "norms": [], "rates": []}
    for step in range(STEPS):
        loss = loss_of(model, examples()[2 * step : 2 * step + 2])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            tensors |= {f"gradient.{key}": value.grad.clone() for key, value in trained.items() if key.endswith(KEPT)}
        norm = torch.nn.utils.clip_grad_norm_(list(trained.values()), CLIP)
        said["rates"].append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
        said["losses"].append(loss.item())
        said["norms"].append(norm.item())
    said["after"] = loss_of(model, examples()).item()
    tensors |= {f"last.{key}": value.detach().clone() for key, value in trained.items() if key.endswith(KEPT)}
    return said, {key: value.contiguous() for key, value in tensors.items()}


def make(out):
    """All goldens into the folder `out`."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"rate": RATE, "decay": DECAY, "clip": CLIP, "warmup": WARMUP, "total": TOTAL, "rank": RANK, "alpha": ALPHA}
    said = {"settings": settings, "examples": examples(), "runs": {}}
    for number, (name, special, dtype, old) in enumerate(MODELS):
        folder = out / name
        model = made_model(special, 20 + number, dtype)
        write_model(folder, model, special, dtype, old)
        made = tokenizer(folder)
        loaded = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)), name
        assert loaded.config.scale_decoder_outputs == model.config.scale_decoder_outputs, name
        goldens(folder, loaded, 30 + number)
        if number == 0:
            found = [{"text": text, "ids": made.encode(text).ids, "decoded": made.decode(made.encode(text).ids)} for text in TEXTS]
            write_rows(out / "texts.json", {"texts": found})
        for lora in (False, True):
            run = f"{name}-{'lora' if lora else 'full'}"
            fresh = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
            said["runs"][run], tensors = train(fresh, lora)
            save_file(tensors, out / f"{run}.safetensors")
            print(f"{run}: losses {said['runs'][run]['losses']}, {len(tensors)} tensors", flush=True)
    write_rows(out / "buckets.json", {"tables": buckets()})
    normalising(out / "normalising")
    (out / "train.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=GOLDENS, help="where the goldens go")
    make(parser.parse_args().out)


if __name__ == "__main__":
    main()
