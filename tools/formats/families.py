"""Tiny checkpoints of each architecture: the metadata and tensors that llama.cpp's converter writes, and what they are called by Hugging Face."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import gguf
import numpy as np

VOCAB = 96
KINDS = ["Q8_0", "Q4_0", "F16", "Q5_1", "Q4_1", "BF16", "Q5_0"]  # in turn, of matrices


@dataclass
class Tensor:
    """One of the file's. `twin`: its numbers -> tensors in Hugging Face's names."""

    name: str
    value: np.ndarray
    kind: str
    twin: Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclass
class Family:
    name: str
    architecture: str
    seed: int
    config: dict
    metadata: dict = field(default_factory=dict)  # beyond what all have
    permuted: bool = False  # the rows of q and k that turn together lie side by side
    norm_shift: float = 0  # added to the norms in the file
    qkv_bias: bool = False
    all_bias: bool = False  # of the output projection, too
    head_norms: bool = False
    post_norms: bool = False
    sinks: bool = False
    experts: str = ""  # the module that holds them
    router: str = ""
    banked: bool = False  # the twin has banks, too
    kinds: dict = field(default_factory=dict)  # of particular tensors
    frequency_factors: list | None = None
    tokenizer: bool = False  # with that of src/text/testdata/tokenizers/byte_level and a template

    def write_metadata(self, writer: gguf.GGUFWriter) -> None:
        c = self.config
        writer.add_block_count(c["num_hidden_layers"])
        writer.add_context_length(c["max_position_embeddings"])
        writer.add_embedding_length(c["hidden_size"])
        writer.add_feed_forward_length(c["intermediate_size"])
        writer.add_head_count(c["num_attention_heads"])
        writer.add_head_count_kv(c["num_key_value_heads"])
        writer.add_key_length(c["head_dim"])
        writer.add_value_length(c["head_dim"])
        writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
        writer.add_rope_freq_base(c["rope_theta"])
        for key, value in self.metadata.items():
            kind = {float: writer.add_float32, int: writer.add_uint32, str: writer.add_string, list: writer.add_array}[type(value)]
            kind(f"{self.architecture}.{key}", value)

    # ---- tensors

    def tensors(self, rng: np.random.Generator) -> Iterator[Tensor]:
        c = self.config
        self._turn = 0
        hidden = c["hidden_size"]
        yield self.matrix(rng, "token_embd", "model.embed_tokens", (c["vocab_size"], hidden), 1.0)
        yield self.norm(rng, "output_norm", "model.norm", hidden)
        if not c["tie_word_embeddings"]:
            yield self.matrix(rng, "output", "lm_head", (c["vocab_size"], hidden), 0.3)
        if self.frequency_factors:
            yield Tensor("rope_freqs.weight", np.array(self.frequency_factors, np.float32), "F32", lambda x: {})
        for layer in range(c["num_hidden_layers"]):
            yield from self.block(rng, f"blk.{layer}.", f"model.layers.{layer}.")

    def block(self, rng: np.random.Generator, theirs: str, ours: str) -> Iterator[Tensor]:
        c = self.config
        hidden, dim = c["hidden_size"], c["head_dim"]
        heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        yield self.norm(rng, theirs + "attn_norm", ours + "input_layernorm", hidden)
        if "linear_num_key_heads" in c and (int(theirs.split(".")[1]) + 1) % c["full_attention_interval"]:
            yield from self.delta(rng, theirs, ours)
            yield self.norm(rng, theirs + "post_attention_norm", ours + "post_attention_layernorm", hidden)
            yield from self.mlp(rng, theirs, ours)
            return
        gates = 2 if "linear_num_key_heads" in c else 1  # half of q's outputs gate
        for name, count, bias in (("q", gates * heads, self.qkv_bias), ("k", kv_heads, self.qkv_bias), ("v", kv_heads, self.qkv_bias)):
            turned = count if self.permuted and name != "v" else 0
            module = ours + f"self_attn.{name}_proj"
            yield self.matrix(rng, theirs + f"attn_{name}", module, (count * dim, hidden), 0.4, turned)
            if bias:
                yield self.bias(rng, theirs + f"attn_{name}", module, (count * dim,), turned)
            if self.head_norms and name != "v":
                yield self.norm(rng, theirs + f"attn_{name}_norm", ours + f"self_attn.{name}_norm", dim)
        yield self.matrix(rng, theirs + "attn_output", ours + "self_attn.o_proj", (hidden, heads * dim), 0.3)
        if self.all_bias:
            yield self.bias(rng, theirs + "attn_output", ours + "self_attn.o_proj", (hidden,))
        if self.sinks:
            yield Tensor(theirs + "attn_sinks.weight", rng.normal(size=heads).astype(np.float32), "F32",
                         lambda x: {ours + "self_attn.sinks": x})
        if self.post_norms:
            yield self.norm(rng, theirs + "post_attention_norm", ours + "post_attention_layernorm", hidden)
            yield self.norm(rng, theirs + "ffn_norm", ours + "pre_feedforward_layernorm", hidden)
            yield self.norm(rng, theirs + "post_ffw_norm", ours + "post_feedforward_layernorm", hidden)
        else:
            name = "post_attention_norm" if self.sinks or gates == 2 else "ffn_norm"
            yield self.norm(rng, theirs + name, ours + "post_attention_layernorm", hidden)
        yield from (self.moe if self.experts else self.mlp)(rng, theirs, ours)

    def delta(self, rng: np.random.Generator, theirs: str, ours: str) -> Iterator[Tensor]:
        """A gated delta layer: the values' heads lie by their number within a key's head, at Hugging Face's by the key's head."""
        c = self.config
        hidden, keys, values = c["hidden_size"], c["linear_num_key_heads"], c["linear_num_value_heads"]
        key_rows, dim = 2 * keys * c["linear_key_head_dim"], c["linear_value_head_dim"]
        each = values // keys

        def grouped(x: np.ndarray, axis: int, size: int, kept: int = 0) -> np.ndarray:
            x = np.moveaxis(x, axis, 0)
            rest = x[kept:].reshape(each, keys, size, *x.shape[1:]).swapaxes(0, 1).reshape(x[kept:].shape)
            return np.moveaxis(np.concatenate([x[:kept], rest]), 0, axis)

        ours += "linear_attn."
        for name, part, rows, size, kept in (
            ("attn_qkv", "in_proj_qkv", key_rows + values * dim, dim, key_rows), ("attn_gate", "in_proj_z", values * dim, dim, 0),
            ("ssm_beta", "in_proj_b", values, 1, 0), ("ssm_alpha", "in_proj_a", values, 1, 0)):
            value = rng.normal(0, 0.4, (rows, hidden)).astype(np.float32)
            yield Tensor(theirs + name + ".weight", value, self.kind_of(theirs + name),
                         lambda x, part=part, size=size, kept=kept: {ours + part + ".weight": grouped(x, 0, size, kept)})
        decay = -np.exp(rng.normal(0, 0.5, values)).astype(np.float32)
        yield Tensor(theirs + "ssm_a", decay, "F32", lambda x: {ours + "A_log": np.log(-grouped(x, 0, 1))})
        yield Tensor(theirs + "ssm_dt.bias", rng.normal(0, 0.5, values).astype(np.float32), "F32",
                     lambda x: {ours + "dt_bias": grouped(x, 0, 1)})
        conv = rng.normal(0, 0.5, (key_rows + values * dim, c["linear_conv_kernel_dim"])).astype(np.float32)
        yield Tensor(theirs + "ssm_conv1d.weight", conv, "F32",
                     lambda x: {ours + "conv1d.weight": grouped(x, 0, dim, key_rows)[:, None, :]})
        yield Tensor(theirs + "ssm_norm.weight", rng.normal(1, 0.2, dim).astype(np.float32), "F32", lambda x: {ours + "norm.weight": x})
        out = rng.normal(0, 0.3, (hidden, values * dim)).astype(np.float32)
        yield Tensor(theirs + "ssm_out.weight", out, self.kind_of(theirs + "ssm_out"),
                     lambda x: {ours + "out_proj.weight": grouped(x, 1, dim)})

    def mlp(self, rng: np.random.Generator, theirs: str, ours: str) -> Iterator[Tensor]:
        hidden, width = self.config["hidden_size"], self.config["intermediate_size"]
        for name, shape in (("gate", (width, hidden)), ("up", (width, hidden)), ("down", (hidden, width))):
            yield self.matrix(rng, theirs + f"ffn_{name}", ours + f"mlp.{name}_proj", shape, 0.3)

    def moe(self, rng: np.random.Generator, theirs: str, ours: str) -> Iterator[Tensor]:
        c = self.config
        hidden, width = c["hidden_size"], c.get("moe_intermediate_size", c["intermediate_size"])
        count = c.get("num_experts") or c["num_local_experts"]
        router = rng.normal(0, 0.5, (count, hidden)).astype(np.float32)
        yield Tensor(theirs + "ffn_gate_inp.weight", router, "F32", lambda x: {ours + self.router + ".weight": x})
        if self.all_bias:
            yield self.bias(rng, theirs + "ffn_gate_inp", ours + self.router, (count,))
        for name, shape in (("gate", (width, hidden)), ("up", (width, hidden)), ("down", (hidden, width))):
            yield self.bank(rng, theirs + f"ffn_{name}_exps", ours + self.experts, name, (count, *shape))
            if self.all_bias:
                yield self.bias(rng, theirs + f"ffn_{name}_exps", ours + self.experts + f".{name}_proj", (count, shape[0]))

    def kind_of(self, name: str) -> str:
        for part, kind in self.kinds.items():
            if part in name:
                return kind
        self._turn += 1
        return KINDS[(self._turn + self.seed) % len(KINDS)]

    def matrix(self, rng: np.random.Generator, theirs: str, ours: str, shape: tuple, size: float, turned: int = 0) -> Tensor:
        value = rng.normal(0, size, shape).astype(np.float32)
        return Tensor(theirs + ".weight", value, self.kind_of(theirs), lambda x: {ours + ".weight": unpermuted(x, turned)})

    def bias(self, rng: np.random.Generator, theirs: str, ours: str, shape: tuple, turned: int = 0) -> Tensor:
        value = rng.normal(0, 0.3, shape).astype(np.float32)
        return Tensor(theirs + ".bias", value, "F32", lambda x: {ours + ".bias": unpermuted(x, turned)})

    def norm(self, rng: np.random.Generator, theirs: str, ours: str, size: int) -> Tensor:
        value = rng.normal(1, 0.2, size).astype(np.float32)
        return Tensor(theirs + ".weight", value, "F32", lambda x: {ours + ".weight": x - np.float32(self.norm_shift)})

    def bank(self, rng: np.random.Generator, theirs: str, ours: str, name: str, shape: tuple) -> Tensor:
        value = rng.normal(0, 0.3, shape).astype(np.float32)
        theirs_of = {"gate": "w1", "up": "w3", "down": "w2"}[name] if "block_sparse" in ours else f"{name}_proj"

        def twin(x: np.ndarray) -> dict[str, np.ndarray]:
            if self.banked:
                return {f"{ours}.{name}_proj.weight": x}
            return {f"{ours}.{i}.{theirs_of}.weight": matrix for i, matrix in enumerate(x)}

        return Tensor(theirs + ".weight", value, self.kind_of(theirs), twin)


def unpermuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """The converter stores row i of a head's first half and row i of its second as neighbours."""
    if not heads:
        return rows
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, half, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def config(model_type: str, **fields: object) -> dict:
    return {
        "model_type": model_type, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5,
        "vocab_size": VOCAB, "max_position_embeddings": 256, "rope_theta": 10000.0, "tie_word_embeddings": True,
        "dtype": "float32",
    } | fields


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}


def llama3_factors(theta: float, dim: int) -> list[float]:
    """What the converter divides each frequency by."""
    factors = []
    for i in range(0, dim, 2):
        wave = 2 * np.pi * theta ** (i / dim)
        shortest, longest = (LLAMA3["original_max_position_embeddings"] / LLAMA3[f"{k}_freq_factor"] for k in ("high", "low"))
        if wave < shortest:
            factors.append(1.0)
        elif wave > longest:
            factors.append(LLAMA3["factor"])
        else:
            smooth = (LLAMA3["original_max_position_embeddings"] / wave - 1.0) / (4.0 - 1.0)
            factors.append(1 / ((1 - smooth) / LLAMA3["factor"] + smooth))
    return factors


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "truncate": False}

FAMILIES = [
    Family("llama", "llama", 1, config("llama", rope_scaling=LLAMA3, intermediate_size=256, head_dim=32, tie_word_embeddings=False,
                                       num_hidden_layers=1),
           permuted=True, frequency_factors=llama3_factors(10000.0, 32), kinds={"ffn_down": "Q6_K", "output.": "Q8_0"}),
    Family("llama-bias", "llama", 2, config("llama", attention_bias=True, rope_scaling={"rope_type": "linear", "factor": 2.0}),
           {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}, permuted=True, qkv_bias=True, all_bias=True),
    Family("mixtral", "llama", 3, config("mixtral", num_local_experts=5, num_experts_per_tok=2, num_attention_heads=2, num_key_value_heads=1),
           {"expert_count": 5, "expert_used_count": 2}, permuted=True, experts="block_sparse_moe.experts",
           router="block_sparse_moe.gate"),
    Family("qwen2", "qwen2", 4, config("qwen2", num_attention_heads=2, num_key_value_heads=1), qkv_bias=True),
    Family("qwen3", "qwen3", 5, config("qwen3", intermediate_size=256), head_norms=True,
           kinds={"blk.0.ffn_down": "Q4_K", "blk.1.ffn_down": "Q5_K"}),
    Family("qwen3moe", "qwen3moe", 6, config("qwen3_moe", num_experts=3, num_experts_per_tok=2, moe_intermediate_size=256,
                                             norm_topk_prob=True, hidden_size=64, decoder_sparse_step=1, mlp_only_layers=[],
                                             num_hidden_layers=1),
           {"expert_count": 3, "expert_used_count": 2, "expert_feed_forward_length": 256}, head_norms=True, experts="mlp.experts",
           router="mlp.gate", kinds={"ffn_down_exps": "Q6_K", "ffn_gate_exps": "Q4_0"}),
    Family("gemma2", "gemma2", 7, config("gemma2", query_pre_attn_scalar=16, attn_logit_softcapping=50.0,
                                         final_logit_softcapping=30.0, sliding_window=9, hidden_activation="gelu_pytorch_tanh"),
           {"attention.sliding_window": 9, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
           norm_shift=1, post_norms=True),
    Family("gemma3", "gemma3", 8, config("gemma3_text", query_pre_attn_scalar=16, sliding_window=9, sliding_window_pattern=3,
                                         num_hidden_layers=3, rope_theta=1000000.0, rope_local_base_freq=10000.0,
                                         rope_scaling={"rope_type": "linear", "factor": 8.0}),
           {"attention.sliding_window": 9, "attention.sliding_window_pattern": 3, "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0}, norm_shift=1, post_norms=True, head_norms=True),
    Family("gpt-oss", "gpt-oss", 9, config("gpt_oss", num_local_experts=4, num_experts_per_tok=2, sliding_window=9,
                                           rope_theta=150000.0, rope_scaling=YARN, tie_word_embeddings=False, attention_bias=True),
           {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 64, "attention.sliding_window": 9,
            "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32},
           qkv_bias=True, all_bias=True, sinks=True, experts="mlp.experts", router="mlp.router", banked=True,
           kinds={"exps": "MXFP4"}),
    Family("qwen35", "qwen35", 11, config(
               "qwen3_5_text", linear_num_key_heads=2, linear_num_value_heads=6, linear_key_head_dim=16, linear_value_head_dim=32,
               linear_conv_kernel_dim=4, full_attention_interval=2, partial_rotary_factor=0.5),
           {"ssm.group_count": 2, "ssm.time_step_rank": 6, "ssm.state_size": 16, "ssm.inner_size": 192, "ssm.conv_kernel": 4,
            "rope.dimension_count": 8, "full_attention_interval": 2}, norm_shift=1, head_norms=True, kinds={"ssm_out": "Q5_1"}),
    Family("served", "qwen3", 10, config("qwen3", vocab_size=502, num_hidden_layers=1, eos_token_id=2), head_norms=True, tokenizer=True),
]
