"""Seeded weights of the families whose layers are of several kinds."""

import numpy as np

from family_weights import GATED, _bank, _each_expert, _gated
from weights import _gated_delta, _linear, _normal, _rms_norm


def mamba2(out: dict, name: str, hidden: int, heads: int, head_dim: int, groups: int, state: int, config: dict):
    """One mixer. `config` says conv_kernel, use_conv_bias and mamba_proj_bias, as Nemotron names them."""
    inner = heads * head_dim
    convolved = inner + 2 * groups * state
    bias = config["mamba_proj_bias"]
    _linear(out, f"{name}.in_proj", inner + convolved + heads, hidden, gain=1.2, bias=bias)
    _linear(out, f"{name}.out_proj", hidden, inner, gain=1.5, bias=bias)
    out[f"{name}.conv1d.weight"] = _normal(f"{name}.conv1d.weight", (convolved, 1, config["conv_kernel"]), 0.8)
    if config["use_conv_bias"]:
        out[f"{name}.conv1d.bias"] = _normal(f"{name}.conv1d.bias", (convolved,), 0.2)
    # A memory of some tokens up to some dozens.
    out[f"{name}.A_log"] = _normal(f"{name}.A_log", (heads,), 0.7, mean=-1.0)
    out[f"{name}.dt_bias"] = _normal(f"{name}.dt_bias", (heads,), 0.7, mean=-1.0)
    out[f"{name}.D"] = _normal(f"{name}.D", (heads,), 0.4, mean=0.7)
    _rms_norm(out, f"{name}.norm", inner)


def _nemotron_attention(out: dict, name: str, config: dict):
    hidden, heads, key_heads = (
        config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    bias, dim = config["attention_bias"], config["head_dim"]
    _linear(out, f"{name}.q_proj", heads * dim, hidden, gain=1.4, bias=bias)
    _linear(out, f"{name}.k_proj", key_heads * dim, hidden, gain=1.4, bias=bias)
    _linear(out, f"{name}.v_proj", key_heads * dim, hidden, bias=bias)
    _linear(out, f"{name}.o_proj", hidden, heads * dim, gain=1.5, bias=bias)


def _nemotron_mlp(out: dict, name: str, hidden: int, inner: int, bias: bool):
    _linear(out, f"{name}.up_proj", inner, hidden, gain=1.5, bias=bias)
    _linear(out, f"{name}.down_proj", hidden, inner, bias=bias)


def _nemotron_experts(out: dict, name: str, config: dict):
    hidden, count = config["hidden_size"], config["n_routed_experts"]
    latent = config.get("moe_latent_size")
    _linear(out, f"{name}.gate", count, hidden, gain=2.0)
    key = f"{name}.gate.e_score_correction_bias"
    out[key] = _normal(key, (count,), 0.2)
    for i in range(count):
        inner = config["moe_intermediate_size"]
        _nemotron_mlp(out, f"{name}.experts.{i}", latent or hidden, inner, False)
    if latent:
        _linear(out, f"{name}.fc1_latent_proj", latent, hidden)
        _linear(out, f"{name}.fc2_latent_proj", hidden, latent)
    inner = config["moe_shared_expert_intermediate_size"]
    _nemotron_mlp(out, f"{name}.shared_experts", hidden, inner, False)


def nemotron_h_weights(config: dict) -> dict[str, np.ndarray]:
    """Nemotron-H under its own names; one branch a layer."""
    hidden = config["hidden_size"]
    letters = {"linear_attention": "M", "full_attention": "*", "mlp": "-", "moe": "E"}
    pattern = config.get("hybrid_override_pattern") or [
        letters[kind] for kind in config["layers_block_type"]
    ]
    out: dict[str, np.ndarray] = {}
    name = "backbone.embeddings.weight"
    out[name] = _normal(name, (config["vocab_size"], hidden), 0.4)
    for i, kind in enumerate(pattern):
        layer = f"backbone.layers.{i}"
        _rms_norm(out, f"{layer}.norm", hidden)
        mixer = f"{layer}.mixer"
        if kind == "M":
            sizes = (config[k] for k in ("mamba_num_heads", "mamba_head_dim", "n_groups", "ssm_state_size"))
            mamba2(out, mixer, hidden, *sizes, config)
        elif kind == "*":
            _nemotron_attention(out, mixer, config)
        elif kind == "-":
            _nemotron_mlp(out, mixer, hidden, config["intermediate_size"], config["mlp_bias"])
        else:
            _nemotron_experts(out, mixer, config)
    _rms_norm(out, "backbone.norm_f", hidden)
    _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    _linear(out, "mtp.layers.0.eh_proj", 8, 16)  # predicts ahead, and is dropped
    return out


def _attention(out: dict, name: str, config: dict, o_proj: str = "o_proj"):
    """Without biases; queries and keys come peaked."""
    hidden, heads, key_heads = (
        config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    dim = config.get("head_dim", hidden // heads)
    _linear(out, f"{name}.q_proj", heads * dim, hidden, gain=1.4)
    _linear(out, f"{name}.k_proj", key_heads * dim, hidden, gain=1.4)
    _linear(out, f"{name}.v_proj", key_heads * dim, hidden)
    _linear(out, f"{name}.{o_proj}", hidden, heads * dim, gain=1.5)


def _table(out: dict, name: str, config: dict):
    std = 0.4 / config.get("embedding_multiplier", 1)
    out[name] = _normal(name, (config["vocab_size"], config["hidden_size"]), std)


def lfm2_moe_weights(config: dict) -> dict[str, np.ndarray]:
    hidden, heads, taps = (config[k] for k in ("hidden_size", "num_attention_heads", "conv_L_cache"))
    out: dict[str, np.ndarray] = {}
    _table(out, "model.embed_tokens.weight", config)
    for i, kind in enumerate(config["layer_types"]):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.operator_norm", hidden)
        _rms_norm(out, f"{layer}.ffn_norm", hidden)
        if kind == "full_attention":
            _attention(out, f"{layer}.self_attn", config, "out_proj")
            for norm in ("q_layernorm", "k_layernorm"):
                _rms_norm(out, f"{layer}.self_attn.{norm}", hidden // heads, mean=1.5)
        else:
            _linear(out, f"{layer}.conv.in_proj", 3 * hidden, hidden)
            _linear(out, f"{layer}.conv.out_proj", hidden, hidden)
            name = f"{layer}.conv.conv.weight"
            out[name] = _normal(name, (hidden, 1, taps), 1.0)
        names, name = ("w1", "w3", "w2"), f"{layer}.feed_forward"
        if i < config["num_dense_layers"]:
            _gated(out, name, names, hidden, config["intermediate_size"])
            continue
        count = config["num_experts"]
        _linear(out, f"{name}.gate", count, hidden, gain=2.0)
        out[f"{name}.expert_bias"] = _normal(f"{name}.expert_bias", (count,), 0.2)
        _each_expert(out, f"{name}.experts", names, count, hidden, config["moe_intermediate_size"])
    _rms_norm(out, "model.embedding_norm", hidden)
    return out


def granitemoehybrid_weights(config: dict) -> dict[str, np.ndarray]:
    hidden = config["hidden_size"]
    mamba = {
        "conv_kernel": config["mamba_d_conv"],
        "use_conv_bias": config["mamba_conv_bias"],
        "mamba_proj_bias": config["mamba_proj_bias"],
    }
    out: dict[str, np.ndarray] = {}
    _table(out, "model.embed_tokens.weight", config)
    for i, kind in enumerate(config["layer_types"]):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden)
        _rms_norm(out, f"{layer}.post_attention_layernorm", hidden)
        if kind == "mamba":
            sizes = (config[f"mamba_{k}"] for k in ("n_heads", "d_head", "n_groups", "d_state"))
            mamba2(out, f"{layer}.mamba", hidden, *sizes, mamba)
        else:
            _attention(out, f"{layer}.self_attn", config)
        shared = config["shared_intermediate_size"]
        _linear(out, f"{layer}.shared_mlp.input_linear", 2 * shared, hidden, gain=1.5)
        _linear(out, f"{layer}.shared_mlp.output_linear", hidden, shared, gain=1.5)
        if count := config.get("num_local_experts"):
            name, inner = f"{layer}.block_sparse_moe", config["intermediate_size"]
            _linear(out, f"{name}.router.layer", count, hidden, gain=2.0)
            _bank(out, f"{name}.input_linear.weight", count, 2 * inner, hidden, gain=1.5)
            _bank(out, f"{name}.output_linear.weight", count, hidden, inner, gain=1.5)
    _rms_norm(out, "model.norm", hidden)
    return out


def falcon_h1_weights(config: dict) -> dict[str, np.ndarray]:
    hidden, heads, key_heads, dim = (config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim"))
    mamba = {"conv_kernel": config["mamba_d_conv"], "use_conv_bias": config["mamba_conv_bias"], "mamba_proj_bias": config["mamba_proj_bias"]}
    bias = config["attention_bias"]
    out: dict[str, np.ndarray] = {}
    _table(out, "model.embed_tokens.weight", config)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden)
        _rms_norm(out, f"{layer}.pre_ff_layernorm", hidden)
        sizes = (config[f"mamba_{k}"] for k in ("n_heads", "d_head", "n_groups", "d_state"))
        mamba2(out, f"{layer}.mamba", hidden, *sizes, mamba)
        if not config["mamba_rms_norm"]:
            del out[f"{layer}.mamba.norm.weight"]
        name = f"{layer}.self_attn"
        for which, count, gain in (("q", heads, 2.0), ("k", key_heads, 2.0), ("v", key_heads, 1.0)):
            _linear(out, f"{name}.{which}_proj", count * dim, hidden, gain=gain, bias=bias)
        _linear(out, f"{name}.o_proj", hidden, heads * dim, gain=1.5, bias=bias)
        _gated(out, f"{layer}.feed_forward", GATED, hidden, config["intermediate_size"], config["mlp_bias"])
    _rms_norm(out, "model.final_layernorm", hidden)
    if not config["tie_word_embeddings"]:
        _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    return out


def hunyuan_v1_dense_weights(config: dict) -> dict[str, np.ndarray]:
    hidden, dim = config["hidden_size"], config["head_dim"]
    out: dict[str, np.ndarray] = {}
    _table(out, "model.embed_tokens.weight", config)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden)
        _rms_norm(out, f"{layer}.post_attention_layernorm", hidden)
        for which in ("q", "k", "v", "o"):
            heads = config["num_attention_heads" if which in "qo" else "num_key_value_heads"]
            shape = (hidden, heads * dim) if which == "o" else (heads * dim, hidden)
            _linear(out, f"{layer}.self_attn.{which}_proj", *shape, bias=config["attention_bias"])
        _rms_norm(out, f"{layer}.self_attn.query_layernorm", dim, mean=1.5)
        _rms_norm(out, f"{layer}.self_attn.key_layernorm", dim, mean=1.5)
        _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"])
    _rms_norm(out, "model.norm", hidden)
    _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    return out


def minimax_weights(config: dict) -> dict[str, np.ndarray]:
    hidden, dim, count = (config[k] for k in ("hidden_size", "head_dim", "num_local_experts"))
    out: dict[str, np.ndarray] = {}
    _table(out, "model.embed_tokens.weight", config)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden)
        _rms_norm(out, f"{layer}.post_attention_layernorm", hidden)
        _attention(out, f"{layer}.self_attn", config)
        _rms_norm(out, f"{layer}.self_attn.q_norm", config["num_attention_heads"] * dim, mean=1.5)
        _rms_norm(out, f"{layer}.self_attn.k_norm", config["num_key_value_heads"] * dim, mean=1.5)
        name = f"{layer}.block_sparse_moe"
        _linear(out, f"{name}.gate", count, hidden, gain=2.0)
        key = f"{name}.e_score_correction_bias"
        out[key] = _normal(key, (count,), 0.2)
        _each_expert(out, f"{name}.experts", ("w1", "w3", "w2"), count, hidden, config["intermediate_size"])
    _rms_norm(out, "model.norm", hidden)
    _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    return out


def bailing_moe_weights(config: dict) -> dict[str, np.ndarray]:
    hidden, heads, key_heads = (
        config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    dim, count = hidden // heads, config["num_experts"]
    out: dict[str, np.ndarray] = {}
    _table(out, "model.word_embeddings.weight", config)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        _rms_norm(out, f"{layer}.input_layernorm", hidden)
        _rms_norm(out, f"{layer}.post_attention_layernorm", hidden)
        name = f"{layer}.attention"
        _linear(out, f"{name}.query_key_value", (heads + 2 * key_heads) * dim, hidden, bias=True)
        _linear(out, f"{name}.dense", hidden, heads * dim)
        _rms_norm(out, f"{name}.query_layernorm", dim, mean=1.5)
        _rms_norm(out, f"{name}.key_layernorm", dim, mean=1.5)
        if i < config["first_k_dense_replace"]:
            _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"])
            continue
        inner = config["moe_intermediate_size"]
        _linear(out, f"{layer}.mlp.gate", count, hidden, gain=2.0)
        key = f"{layer}.mlp.gate.expert_bias"
        out[key] = _normal(key, (count,), 0.2)
        _each_expert(out, f"{layer}.mlp.experts", GATED, count, hidden, inner)
        shared = config["num_shared_experts"] * inner
        _gated(out, f"{layer}.mlp.shared_experts", GATED, hidden, shared)
    _rms_norm(out, "model.norm", hidden)
    _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    return out


def less_one(out: dict, name: str, dim: int, mean: float = 1.0):
    """A norm that is stored less one, and is the same in bfloat16: references add one in the checkpoint's dtype."""
    values = _normal(f"{name}.weight", (dim,), 0.2, mean)
    out[f"{name}.weight"] = np.clip(np.round(values * 128) / 128, 0.25, 1.9) - 1


def output_gated_attention(out: dict, name: str, config: dict):
    """Each head's query with its gate, norms less one."""
    hidden, heads, dim = (config[k] for k in ("hidden_size", "num_attention_heads", "head_dim"))
    keys = config["num_key_value_heads"] * dim
    _linear(out, f"{name}.q_proj", 2 * heads * dim, hidden)
    _linear(out, f"{name}.k_proj", keys, hidden)
    _linear(out, f"{name}.v_proj", keys, hidden)
    _linear(out, f"{name}.o_proj", hidden, heads * dim, gain=1.5)
    less_one(out, f"{name}.q_norm", dim, 1.5)
    less_one(out, f"{name}.k_norm", dim, 1.5)


def gated_experts(out: dict, name: str, config: dict, banks: bool):
    """Qwen's router, its experts (as banks without a suffix, or one by one), and the shared one with its gate."""
    hidden, inner, count = (config[k] for k in ("hidden_size", "moe_intermediate_size", "num_experts"))
    _linear(out, f"{name}.gate", count, hidden, gain=2.0)
    if banks:
        _bank(out, f"{name}.experts.gate_up_proj", count, 2 * inner, hidden, gain=1.5)
        _bank(out, f"{name}.experts.down_proj", count, hidden, inner, gain=1.5)
    else:
        _each_expert(out, f"{name}.experts", GATED, count, hidden, inner)
    _gated(out, f"{name}.shared_expert", GATED, hidden, config["shared_expert_intermediate_size"])
    _linear(out, f"{name}.shared_expert_gate", 1, hidden, gain=2.0)


def _key_head_order(values: np.ndarray, parts: list[tuple[int, int]], heads: int) -> np.ndarray:
    """Rows of several modules, one after the other -> each key head's rows of all. parts: (begin, rows a head)."""
    return np.concatenate(
        [values[begin + h * rows : begin + (h + 1) * rows] for h in range(heads) for begin, rows in parts]
    )


def qwen3_next_weights(config: dict) -> dict[str, np.ndarray]:
    """Gated delta layers whose projections lie by key head; norms less one, but for those layers'."""
    hidden, heads = config["hidden_size"], config["linear_num_key_heads"]
    keys, share = config["linear_key_head_dim"], config["linear_num_value_heads"] // heads
    values = share * config["linear_value_head_dim"]
    out: dict[str, np.ndarray] = {}
    _table(out, "model.embed_tokens.weight", config)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        less_one(out, f"{layer}.input_layernorm", hidden)
        less_one(out, f"{layer}.post_attention_layernorm", hidden)
        if (i + 1) % config["full_attention_interval"] == 0:
            output_gated_attention(out, f"{layer}.self_attn", config)
        else:
            name = f"{layer}.linear_attn"
            _gated_delta(out, name, config)
            qkv, z, b, a = (out.pop(f"{name}.in_proj_{m}.weight") for m in ("qkv", "z", "b", "a"))
            sizes = [keys, keys, values, values]
            begins = [0, heads * keys, 2 * heads * keys, len(qkv)]
            both = np.concatenate([qkv, z])
            out[f"{name}.in_proj_qkvz.weight"] = _key_head_order(both, list(zip(begins, sizes)), heads)
            out[f"{name}.in_proj_ba.weight"] = _key_head_order(
                np.concatenate([b, a]), [(0, share), (len(b), share)], heads
            )
        if i in config["mlp_only_layers"]:
            _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"])
        else:
            gated_experts(out, f"{layer}.mlp", config, False)
    less_one(out, "model.norm", hidden)
    _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    _linear(out, "mtp.fc", 8, 16)  # predicts ahead, and is dropped
    return out


def qwen3_5_vision_text_weights(config: dict, prefix: str) -> dict[str, np.ndarray]:
    """The language part of Qwen3.5 with pictures, dense or with experts."""
    hidden = config["hidden_size"]
    out: dict[str, np.ndarray] = {}
    _table(out, f"{prefix}.embed_tokens.weight", config)
    for i in range(config["num_hidden_layers"]):
        layer = f"{prefix}.layers.{i}"
        less_one(out, f"{layer}.input_layernorm", hidden)
        less_one(out, f"{layer}.post_attention_layernorm", hidden)
        if (i + 1) % config["full_attention_interval"] == 0:
            output_gated_attention(out, f"{layer}.self_attn", config)
        else:
            _gated_delta(out, f"{layer}.linear_attn", config)
        if "num_experts" in config:
            gated_experts(out, f"{layer}.mlp", config, True)
        else:
            _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"])
    less_one(out, f"{prefix}.norm", hidden)
    if not config["tie_word_embeddings"]:
        _linear(out, "lm_head", config["vocab_size"], hidden, gain=3.0)
    return out


def muse_glimmer_weights(config: dict) -> dict[str, np.ndarray]:
    """Centred norms but for the last; a projection of attention's gate."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    out: dict[str, np.ndarray] = {}
    _table(out, "model.language_model.embed_tokens.weight", config)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.language_model.layers.{i}"
        for norm in (
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
        ):
            less_one(out, f"{layer}.{norm}", hidden)
        _attention(out, f"{layer}.self_attn", config)
        _linear(out, f"{layer}.self_attn.gate_proj", heads * config["head_dim"], hidden, gain=1.5)
        _gated(out, f"{layer}.mlp", GATED, hidden, config["intermediate_size"])
    _rms_norm(out, "model.language_model.norm", hidden)
    _linear(out, "lm_head", config["vocab_size"], hidden, gain=6.0)
    _linear(out, "vision_adapter.fc", 8, 16)  # no part of the text model
    return out
