"""Writes tests/golden/packed_ints: tiny checkpoints as AutoGPTQ and AutoAWQ write them, and their twins: the same numbers as plain float32.

The twins are made number by number, as the formats' definitions have it.
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "packed_ints"
HIDDEN, WIDTH, HEADS, DIM, VOCAB = 64, 96, 2, 32, 96
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # of eight columns, from the lowest nibble on
CASES = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": False},
    "gptq-v2": {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True, "checkpoint_format": "gptq_v2"},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True},
}
CONFIG = {
    "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": HEADS,
    "num_key_value_heads": 1, "head_dim": DIM, "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "max_position_embeddings": 128,
    "tie_word_embeddings": True, "torch_dtype": "float16",
}
MODULES = {
    "self_attn.q_proj": (HIDDEN, HEADS * DIM), "self_attn.k_proj": (HIDDEN, DIM), "self_attn.v_proj": (HIDDEN, DIM),
    "self_attn.o_proj": (HEADS * DIM, HIDDEN), "mlp.gate_proj": (HIDDEN, WIDTH), "mlp.up_proj": (HIDDEN, WIDTH),
    "mlp.down_proj": (WIDTH, HIDDEN),
}  # inputs, outputs


def packed(nibbles: np.ndarray, axis: int, order: list[int]) -> np.ndarray:
    """Eight nibbles along the axis as one int32."""
    nibbles = np.moveaxis(nibbles, axis, -1)
    words = np.zeros((*nibbles.shape[:-1], nibbles.shape[-1] // 8), np.uint32)
    for place, which in enumerate(order):
        words |= nibbles[..., which::8].astype(np.uint32) << np.uint32(4 * place)
    return np.ascontiguousarray(np.moveaxis(words, -1, axis)).view(np.int32)


def matrix(rng: np.random.Generator, case: dict, inputs: int, outputs: int) -> tuple[dict, np.ndarray]:
    """The format's tensors, and the weight [outputs, inputs]."""
    group = case["group_size"]
    q = rng.integers(0, 16, (inputs, outputs))
    zeros = rng.integers(1, 17, (inputs // group, outputs)) if case["quant_method"] == "gptq" else rng.integers(0, 16, (inputs // group, outputs))
    if case.get("sym"):
        zeros[:] = 8
    zeros = np.minimum(zeros, 15) if "checkpoint_format" in case else zeros
    scales = rng.normal(0, 0.03, (inputs // group, outputs)).astype(np.float16)
    weight = np.zeros((outputs, inputs), np.float32)
    for k in range(inputs):
        for n in range(outputs):
            weight[n, k] = np.float32(scales[k // group, n]) * np.float32(q[k, n] - zeros[k // group, n])
    if case["quant_method"] == "awq":
        return {"qweight": packed(q, 1, AWQ_ORDER), "qzeros": packed(zeros, 1, AWQ_ORDER), "scales": scales}, weight
    stored = zeros if "checkpoint_format" in case else zeros - 1
    return {
        "qweight": packed(q, 0, list(range(8))), "qzeros": packed(stored, 1, list(range(8))), "scales": scales,
        "g_idx": (np.arange(inputs) // group).astype(np.int32),
    }, weight


def write(name: str, case: dict) -> None:
    rng = np.random.default_rng(len(name))
    shared = {
        "model.embed_tokens.weight": rng.normal(size=(VOCAB, HIDDEN)).astype(np.float16),
        "model.norm.weight": np.ones(HIDDEN, np.float16),
        "model.layers.0.input_layernorm.weight": np.ones(HIDDEN, np.float16),
        "model.layers.0.post_attention_layernorm.weight": np.ones(HIDDEN, np.float16),
    }
    theirs, twin = dict(shared), dict(shared)
    for module, (inputs, outputs) in MODULES.items():
        tensors, weight = matrix(rng, case, inputs, outputs)
        prefix = f"model.layers.0.{module}."
        theirs |= {prefix + kind: array for kind, array in tensors.items()}
        twin[prefix + "weight"] = weight
    # AutoGPTQ writes biases for layers that have none.
    if name == "gptq":
        theirs["model.layers.0.self_attn.o_proj.bias"] = np.zeros(HIDDEN, np.float16)
    for folder, tensors, config in ((OUT / name, theirs, CONFIG | {"quantization_config": case}), (OUT / f"{name}-twin", twin, CONFIG)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        # Two files, so that a matrix's parts lie apart.
        names = sorted(tensors)
        save_file({n: tensors[n] for n in names[::2]}, folder / "model-00001-of-00002.safetensors")
        save_file({n: tensors[n] for n in names[1::2]}, folder / "model-00002-of-00002.safetensors")


def main() -> None:
    for name, case in CASES.items():
        write(name, case)


if __name__ == "__main__":
    main()
