"""The packed files among the local engine's goldens: AWQ, GPTQ and GGUF, each written from its documented layout."""

import io
import json

import gguf
import numpy as np
import sentencepiece
import torch
from gguf import GGMLQuantizationType as Kind
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

GROUP = 32
# The place of column i of eight in a 32-bit word of AutoAWQ's GEMM kernel (awq/utils/packing_utils.py, 0.2.9).
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def drawn_4bit(rows, columns, seed):
    """A made-up quantised weight, as [in, out]: values 0..15, zeros 1..15 a group, scales in f16."""
    random = np.random.RandomState(seed)
    values = random.randint(0, 16, (rows, columns))
    zeros = random.randint(4, 12, (rows // GROUP, columns))
    scales = (0.3 / rows**0.5 * (1 + 0.5 * random.random_sample(zeros.shape))).astype(np.float16)
    return values, zeros, scales


def dequantised(values, zeros, scales, groups):
    """The weight as a linear layer has it, f32 [out, in]; `groups` has the group of each row."""
    return ((values - zeros[groups]).astype(np.float32) * scales.astype(np.float32)[groups]).T


def packed(nibbles, axis, order=range(8)):
    """Eight values a 32-bit word along an axis: value order[i] of eight in bits 4i..4i+3."""
    nibbles = np.moveaxis(nibbles.astype(np.uint32), axis, -1)
    eights = nibbles.reshape(*nibbles.shape[:-1], -1, 8)
    words = sum(eights[..., column] << np.uint32(4 * place) for place, column in enumerate(order))
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(words, -1, axis)).view(np.int32))


def awq(values, zeros, scales):
    """AutoAWQ, version gemm: qweight [in, out / 8], qzeros [in / group, out / 8], scales [in / group, out]."""
    words = {"qweight": packed(values, 1, AWQ_ORDER), "qzeros": packed(zeros, 1, AWQ_ORDER)}
    return words | {"scales": torch.from_numpy(scales)}


def gptq(values, zeros, scales, groups):
    """AutoGPTQ and GPTQModel, checkpoint format gptq (v1): qweight [in / 8, out]; qzeros hold zero - 1."""
    words = {"qweight": packed(values, 0), "qzeros": packed(zeros - 1, 1)}
    return words | {"scales": torch.from_numpy(scales), "g_idx": torch.from_numpy(groups.astype(np.int32))}


# GGUF: blocks of 256. Plain quantisers: the files have to hold the format, not the best rounding.


def quantised_q4_k(weight):
    """[rows, columns] as bytes [rows, columns / 256 * 144]."""
    blocks = weight.reshape(-1, 8, 32)
    low = np.minimum(blocks.min(-1), 0)
    step = (blocks.max(-1) - low) / 15
    d, d_min = (np.float16(of.max(-1, keepdims=True) / 63) for of in (step, -low))
    scale, least = (np.round(of / np.float32(by)).clip(0, 63).astype(np.uint8) for of, by in ((step, d), (-low, d_min)))
    by = np.maximum(np.float32(d) * scale, 1e-9)[..., None]
    values = np.round((blocks + (np.float32(d_min) * least)[..., None]) / by).clip(0, 15).astype(np.uint8)
    scales = [
        scale[:, :4] | scale[:, 4:] >> 4 << 6,
        least[:, :4] | least[:, 4:] >> 4 << 6,
        scale[:, 4:] & 15 | (least[:, 4:] & 15) << 4,
    ]
    values = (values[:, 0::2] | values[:, 1::2] << 4).reshape(-1, 128)
    return np.concatenate([d.view(np.uint8), d_min.view(np.uint8), *scales, values], 1).reshape(len(weight), -1)


def quantised_q6_k(weight):
    """[rows, columns] as bytes [rows, columns / 256 * 210]."""
    blocks = weight.reshape(-1, 16, 16)
    step = abs(blocks).max(-1) / 31
    d = np.float16(step.max(-1, keepdims=True) / 127)
    scale = np.round(step / np.float32(d)).clip(1, 127).astype(np.int8)
    values = np.round(blocks / (np.float32(d) * scale)[..., None]).clip(-32, 31) + 32
    values = values.astype(np.uint8).reshape(-1, 2, 4, 32)
    low = np.concatenate(
        [values[:, :, 0] & 15 | (values[:, :, 2] & 15) << 4, values[:, :, 1] & 15 | (values[:, :, 3] & 15) << 4], -1
    )
    high = sum(values[:, :, quarter] >> 4 << np.uint8(2 * quarter) for quarter in range(4))
    parts = [low.reshape(-1, 128), high.reshape(-1, 64), scale.view(np.uint8), d.view(np.uint8)]
    return np.concatenate(parts, 1).reshape(len(weight), -1)


def stored(weight, kind):
    """A weight as the file holds it, and what that means in f32."""
    own = {Kind.Q4_K: quantised_q4_k, Kind.Q6_K: quantised_q6_k}
    data = own[kind](weight) if kind in own else gguf.quants.quantize(weight, kind)
    return data, gguf.quants.dequantize(data, kind).astype(np.float32)


def permuted(weight, heads):
    """Rows of a query or key weight from halves (Hugging Face) to pairs, as llama.cpp's `llama` wants them."""
    return weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def unpermuted(weight, heads):
    return weight.reshape(heads, len(weight) // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


PLACES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def gguf_name(name):
    """`model.layers.0.mlp.up_proj.weight` is `blk.0.ffn_up.weight`."""
    place, last = name.rsplit(".", 1)
    if place.startswith("model.layers."):
        _, _, layer, place = place.split(".", 3)
        return f"blk.{layer}.{PLACES[place]}.{last}"
    return f"{PLACES[place]}.{last}"


def rope_factors(scaling, theta, size):
    """The tensor rope_freqs of llama3 scaling: what each frequency is divided by (convert_hf_to_gguf.py)."""
    wavelengths = 2 * np.pi * theta ** (np.arange(0, size, 2) / size)
    low, high, context = (
        scaling[f"{name}"] for name in ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    smooth = ((context / wavelengths - low) / (high - low)).clip(0, 1)
    return (1 / ((1 - smooth) / scaling["factor"] + smooth)).astype(np.float32)


def write_gguf(path, model, kind_of, tokenizer):
    """A Llama or Qwen2 model as GGUF; `kind_of` says a matrix's type by its name. Leaves in the model what the file
    means, and gives the matrices as they lie in the file, dequantised."""
    config = model.config
    arch, size = config.model_type, config.hidden_size // config.num_attention_heads
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(path.parent.name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(config.vocab_size)
    tokenizer(writer)
    if config.rope_parameters["rope_type"] == "llama3":
        factors = rope_factors(config.rope_parameters, config.rope_parameters["rope_theta"], size)
        writer.add_tensor("rope_freqs.weight", factors)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads} if arch == "llama" else {}
    held = {}
    for name, parameter in model.named_parameters():
        called = gguf_name(name)
        turn = heads.get(called.split(".")[-2])
        weight = parameter.data.numpy()
        if parameter.dim() == 1:
            writer.add_tensor(called, weight)
            continue
        kind = kind_of(called)
        data, weight = stored(permuted(weight, turn) if turn else weight, kind)
        writer.add_tensor(called, data, raw_dtype=kind)
        held[called] = torch.from_numpy(weight)
        parameter.data = torch.from_numpy(np.ascontiguousarray(unpermuted(weight, turn) if turn else weight))
    close(writer)
    return held


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_vocabulary(path, tokenizer):
    """A GGUF with a tokenizer alone."""
    writer = gguf.GGUFWriter(path, "llama")
    tokenizer(writer)
    close(writer)


# GGUF: tokenizers

CODE = "def sum(values):\n    total = 0\n    for value in values:\n        total += value\n    return total\n"
PATTERNS = {
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
CONTROL = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]


class Pieces:
    """A SentencePiece BPE as Llama 1 and 2 and Mistral have it: `tokenizer.ggml.model` llama."""

    def __init__(self, text, size):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter((text + "\n" + CODE).splitlines()), model_writer=model, model_type="bpe", vocab_size=size,
            byte_fallback=True, split_digits=True, normalization_rule_name="identity", add_dummy_prefix=True,
            remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, character_coverage=1.0, minloglevel=2,
        )  # fmt: skip
        self.of = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        self.size, self.begin = size, self.of.bos_id()

    def encode(self, text):
        return self.of.encode(text)

    def decode(self, ids):
        return self.of.decode(ids)

    def __call__(self, writer):
        ids, of = range(self.size), self.of
        kinds = [2 if of.is_unknown(i) else 3 if of.is_control(i) else 6 if of.is_byte(i) else 1 for i in ids]
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([of.id_to_piece(i) for i in ids])
        writer.add_token_scores([of.get_score(i) for i in ids])
        writer.add_token_types(kinds)
        writer.add_bos_token_id(of.bos_id())
        writer.add_eos_token_id(of.eos_id())
        writer.add_unk_token_id(of.unk_id())
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(False)


class Bytes:
    """A byte-level BPE as GPT-2, Llama 3 and Qwen2 have it: `tokenizer.ggml.model` gpt2, told apart by `pre`."""

    def __init__(self, text, size, pre):
        self.size, self.pre, self.begin = size, pre, size - len(CONTROL)
        of = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
        parts = [
            pre_tokenizers.Split(Regex(PATTERNS[pre]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
        of.pre_tokenizer, of.decoder = pre_tokenizers.Sequence(parts), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=self.begin, initial_alphabet=alphabet, show_progress=False)
        of.train_from_iterator([text, CODE], trainer)
        of.add_special_tokens(CONTROL)
        assert of.get_vocab_size() == size
        self.of = of

    def encode(self, text):
        return self.of.encode(text).ids

    def decode(self, ids):
        return self.of.decode(ids)

    def merges(self):
        """As lines `left right`, in order."""
        merges = json.loads(self.of.to_str())["model"]["merges"]
        return [" ".join(pair) for pair in merges]

    def __call__(self, writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list([self.of.id_to_token(i) for i in range(self.size)])
        writer.add_token_types([1] * self.begin + [3] * len(CONTROL))
        writer.add_token_merges(self.merges())
        writer.add_bos_token_id(self.begin)
        writer.add_eos_token_id(self.begin + 1)
        writer.add_add_bos_token(self.pre == "llama-bpe")
