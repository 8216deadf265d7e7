"""Qwen3-VL over packs: transformers' own weights, a forward pass of ours.

transformers' module holds and initialises the parameters (so names and shapes are right by construction); the functions
here run them over conversations packed end to end, with flash attention on a GPU and a dense mask on a CPU. A test
compares the two on the same input.
"""
import torch
import torch.nn.functional as F

from demo_model.configs import TEXT, VISION, model_config
from demo_model.packing import LONGEST, LONGEST_PICTURE


def build(tokenizer, seed=0):
    """A freshly initialised float32 model."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**model_config(tokenizer))).float()
    model.lm_head.weight = model.model.language_model.embed_tokens.weight
    return model


def load_weights(model, tensors):
    """{Hugging Face name: float32 array} into the model; every parameter must be there, and nothing else."""
    state = {k: torch.from_numpy(v.copy()) for k, v in tensors.items()}
    state["lm_head.weight"] = state["model.language_model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)


def attend(q, k, v, ends, longest, causal, row):
    """q, k, v: (tokens, heads, dim). `ends` are cumulative lengths; `row` (CPU only) says which row a token is of."""
    if q.is_cuda:
        return torch.ops.aten._flash_attention_forward(q, k, v, ends, ends, longest, longest, 0.0, causal, False)[0]
    mask = row[:, None] == row[None]
    mask = mask & torch.ones_like(mask).tril() if causal else mask
    share = q.shape[1] // k.shape[1]
    q, k, v = (x.transpose(0, 1) for x in (q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)))
    return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0].transpose(0, 1)


def rotate(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


def vision_layer(x, w, cos, sin, ends, longest, heads, row):
    y = F.layer_norm(x, x.shape[-1:], w["norm1.weight"], w["norm1.bias"], 1e-6)
    q, k, v = F.linear(y, w["attn.qkv.weight"], w["attn.qkv.bias"]).view(x.shape[0], 3, heads, -1).unbind(1)
    y = attend(rotate(q, cos, sin), rotate(k, cos, sin), v.contiguous(), ends, longest, False, row)
    x = x + F.linear(y.reshape(x.shape[0], -1), w["attn.proj.weight"], w["attn.proj.bias"])
    y = F.layer_norm(x, x.shape[-1:], w["norm2.weight"], w["norm2.bias"], 1e-6)
    y = F.gelu(F.linear(y, w["mlp.linear_fc1.weight"], w["mlp.linear_fc1.bias"]), approximate="tanh")
    return x + F.linear(y, w["mlp.linear_fc2.weight"], w["mlp.linear_fc2.bias"])


def text_layer(x, w, cos, sin, ends, longest, heads, kv_heads, dim, row):
    y = F.rms_norm(x, x.shape[-1:], w["input_layernorm.weight"], 1e-6)
    v = F.linear(y, w["self_attn.v_proj.weight"]).view(-1, kv_heads, dim)
    q = F.linear(y, w["self_attn.q_proj.weight"]).view(-1, heads, dim).float()
    k = F.linear(y, w["self_attn.k_proj.weight"]).view(-1, kv_heads, dim).float()
    q = rotate(F.rms_norm(q, (dim,), w["self_attn.q_norm.weight"], 1e-6), cos, sin).to(v.dtype)
    k = rotate(F.rms_norm(k, (dim,), w["self_attn.k_norm.weight"], 1e-6), cos, sin).to(v.dtype)
    y = attend(q, k, v, ends, longest, True, row)
    x = x + F.linear(y.reshape(-1, heads * dim), w["self_attn.o_proj.weight"])
    y = F.rms_norm(x, x.shape[-1:], w["post_attention_layernorm.weight"], 1e-6)
    y = F.silu(F.linear(y, w["mlp.gate_proj.weight"])) * F.linear(y, w["mlp.up_proj.weight"])
    return x + F.linear(y, w["mlp.down_proj.weight"])


class Packed:
    """The forward pass of one model over packs. `compile_layers` makes it fast for constant shapes."""

    def __init__(self, model):
        self.model = model
        self.vision_layer, self.text_layer = vision_layer, text_layer
        visual, text = model.model.visual, model.model.language_model
        self.vision_weights = [dict(b.named_parameters()) for b in visual.blocks]
        self.text_weights = [dict(l.named_parameters()) for l in text.layers]

    def compile_layers(self):
        self.vision_layer = torch.compile(vision_layer, dynamic=False)
        self.text_layer = torch.compile(text_layer, dynamic=False)

    def eager(self):
        """The same weights, layers not compiled: for shapes that change."""
        return Packed(self.model)

    def see(self, pack):
        """-> (features of the visual tokens, [features added after the first text layers])."""
        visual, dim = self.model.model.visual, VISION["hidden"] // VISION["heads"]
        frames, pair = pack["frames"], pack["pair"]
        pixels = torch.stack([frames[pair[:, 0]].view(-1, 3, 256), frames[pair[:, 1]].view(-1, 3, 256)], 2).flatten(1)
        pixels = (pixels.float() / 127.5 - 1).to(torch.bfloat16 if pixels.is_cuda else torch.float32)
        conv = visual.patch_embed.proj
        x = F.linear(pixels, conv.weight.flatten(1), conv.bias).float()
        x = x + (F.embedding(pack["table_index"], visual.pos_embed.weight) * pack["table_weight"][..., None]).sum(1)
        inverse = 1 / 10000 ** (torch.arange(0, dim // 2, 2, device=x.device).float() / (dim // 2))
        angle = (pack["place"].float()[..., None] * inverse).flatten(1)[:, None]
        row, deep = rows(pack["block_ends"], x), []
        for i, w in enumerate(self.vision_weights):
            x = self.vision_layer(x, w, angle.cos(), angle.sin(), pack["block_ends"], LONGEST_PICTURE, VISION["heads"], row)
            if i in VISION["deepstack"]:
                deep.append(visual.deepstack_merger_list[VISION["deepstack"].index(i)](x))
        return visual.merger(x), deep

    def hidden(self, pack, seen=None):
        """-> what the last norm gives for every token. `seen` spares looking at the pictures again."""
        text, config = self.model.model.language_model, self.model.config
        features, deep = seen or self.see(pack)
        is_visual = (pack["ids"] == config.image_token_id) | (pack["ids"] == config.video_token_id)
        x = text.embed_tokens(pack["ids"]) * ~is_visual[:, None]
        x = x.index_add(0, pack["visual_at"], features.to(x.dtype))
        cos, sin = self.turns(pack)
        row = rows(pack["row_ends"], x)
        for i, w in enumerate(self.text_weights):
            x = self.text_layer(x, w, cos, sin, pack["row_ends"], LONGEST, TEXT["heads"], TEXT["kv_heads"], TEXT["head_dim"], row)
            if i < len(deep):
                x = x.index_add(0, pack["visual_at"], deep[i].to(x.dtype))
        return F.rms_norm(x, x.shape[-1:], text.norm.weight, 1e-6)

    def turns(self, pack):
        """Rotary cosines and sines: frequencies take time, height and width in turns (interleaved M-RoPE)."""
        dim, device = TEXT["head_dim"], pack["ids"].device
        axis = torch.zeros(dim // 2, dtype=torch.long, device=device)
        for which in (1, 2):
            axis[which : 3 * TEXT["mrope"][which] : 3] = which
        inverse = 1 / TEXT["theta"] ** (torch.arange(0, dim, 2, device=device).float() / dim)
        angle = (pack["positions"][axis].float().t() * inverse)[:, None]
        return angle.cos(), angle.sin()

    def logits(self, hidden):
        return F.linear(hidden, self.model.lm_head.weight).float()

    def loss(self, pack):
        logits = self.logits(self.hidden(pack)[pack["label_at"]])
        return F.cross_entropy(logits, pack["label"], ignore_index=-100)


def rows(ends, x):
    """Which row each token is of: only the CPU's dense mask needs it."""
    return None if x.is_cuda else torch.bucketize(torch.arange(x.shape[0]), ends[1:], right=True)
