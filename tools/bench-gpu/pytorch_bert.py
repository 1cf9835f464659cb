"""One side of tools/bench-gpu: BERT's pretraining step in PyTorch, timed.

Reads a task written by tools/bench-gpu (first weights and batches as safetensors, sizes as JSON in its metadata), trains on it
as PyTorch's users do (nn.Linear, scaled_dot_product_attention, AdamW, autocast for bf16, torch.compile), and prints one
JSON object. Needs torch 2.0 or later, nothing else.
"""

import argparse
import json
import statistics
import struct
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

DTYPES = {"F32": torch.float32, "I32": torch.int32, "U32": torch.int32}


def read_safetensors(path):
    """https://github.com/huggingface/safetensors#format; little-endian, row-major. Returns (tensors by name, metadata)."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, info in header.items():
        start, end = info["data_offsets"]
        flat = torch.frombuffer(data, dtype=DTYPES[info["dtype"]], count=(end - start) // 4, offset=start)
        tensors[name] = flat.reshape(info["shape"])
    return tensors, metadata


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        hidden, eps = c["hidden"], c["eps"]
        self.heads = c["heads"]
        self.gelu = c["activation"] == "gelu"
        self.attention = nn.ModuleDict({n: nn.Linear(hidden, hidden) for n in ("query", "key", "value", "output")})
        self.attention_norm = nn.LayerNorm(hidden, eps)
        self.feed_forward = nn.ModuleDict({"inner": nn.Linear(hidden, c["ffn"]), "outer": nn.Linear(c["ffn"], hidden)})
        self.output_norm = nn.LayerNorm(hidden, eps)

    def forward(self, x, visible):
        b, t, h = x.shape
        q, k, v = (
            self.attention[n](x).view(b, t, self.heads, h // self.heads).transpose(1, 2) for n in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        x = self.attention_norm(x + self.attention["output"](mixed.transpose(1, 2).reshape(b, t, h)))
        inner = self.feed_forward["inner"](x)
        inner = F.gelu(inner) if self.gelu else F.relu(inner)
        return self.output_norm(x + self.feed_forward["outer"](inner))


class Bert(nn.Module):
    """As models/lib/bert.bert, with names that differ from its parameters' only where PyTorch's layers name theirs."""

    def __init__(self, c):
        super().__init__()
        hidden, vocab, eps = c["hidden"], c["vocab"], c["eps"]
        self.tied, self.gelu = c["tied"], c["activation"] == "gelu"
        self.encoder = nn.Module()
        self.encoder.token = nn.Embedding(vocab, hidden)
        self.encoder.segment = nn.Embedding(2, hidden)
        self.encoder.position = nn.Embedding(c["positions"], hidden)
        self.encoder.norm = nn.LayerNorm(hidden, eps) if c["embedding_norm"] else nn.Identity()
        self.encoder.blocks = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.masked_lm = nn.Module()
        self.masked_lm.dense = nn.Linear(hidden, hidden)
        self.masked_lm.norm = nn.LayerNorm(hidden, eps)
        if self.tied:
            self.masked_lm.bias = nn.Parameter(torch.zeros(vocab))
        else:
            self.masked_lm.decoder = nn.Linear(hidden, vocab)
        self.pooler = nn.ModuleDict({"dense": nn.Linear(hidden, hidden)})
        self.next_sentence = nn.ModuleDict({"classifier": nn.Linear(hidden, 2)})

    def forward(self, batch):
        tokens = batch["tokens"]
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.encoder.token(tokens) + self.encoder.segment(batch["segments"]) + self.encoder.position(positions)
        x = self.encoder.norm(x)
        visible = (positions[None, :] < batch["valid"][:, None])[:, None, None, :]
        for block in self.encoder.blocks:
            x = block(x, visible)
        picked = torch.gather(x, 1, batch["positions"][:, :, None].expand(-1, -1, x.shape[2]))
        dense = self.masked_lm.dense(picked)
        transformed = self.masked_lm.norm(F.gelu(dense) if self.gelu else F.relu(dense))
        if self.tied:
            logits = F.linear(transformed, self.encoder.token.weight, self.masked_lm.bias)
        else:
            logits = self.masked_lm.decoder(transformed)
        entropy = F.cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten(), reduction="none")
        weights = batch["weights"].flatten()
        mlm = (entropy * weights).sum() / (weights.sum() + 1e-8)
        pooled = torch.tanh(self.pooler["dense"](x[:, 0]))
        nsp = F.cross_entropy(self.next_sentence["classifier"](pooled).float(), batch["next"])
        return mlm + nsp


def load_weights(model, tensors):
    """Kiln's linear layers are [in, out], PyTorch's [out, in]; norms call their parameters gamma and beta."""
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    wanted = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in tensors.items():
            target = name.replace(".gamma", ".weight").replace(".beta", ".bias")
            owner, _, last = target.rpartition(".")
            if owner in linear and last == "weight":
                value = value.T
            wanted.pop(target).copy_(value)
    if wanted:
        raise SystemExit(f"the task has no weights for {', '.join(wanted)}")


def optimizer_of(model, c, on_gpu):
    o = c["optimizer"]
    decayed = [p for n, p in model.named_parameters() if p.dim() > 1]
    rest = [p for n, p in model.named_parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": o["weightDecay"]}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(o["beta1"], o["beta2"]), eps=o["eps"], fused=on_gpu)


def matmul_flops(device, dtype):
    """FLOP/s of the largest matmul that is quick to try: what share of peak is a share of."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        synchronize(device)
        began = time.perf_counter()
        a @ b
        synchronize(device)
        best = min(best, time.perf_counter() - began)
    return 2 * n**3 / best


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no CUDA device")
    # Float32 is compared with float32: no TF32.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False

    tensors, metadata = read_safetensors(options.task)
    c = json.loads(metadata["task"])
    batches = []
    for i in range(c["batches"]):
        prefix = f"batch.{i}."
        fields = {n[len(prefix) :]: tensors.pop(n).to(device) for n in list(tensors) if n.startswith(prefix)}
        batches.append({n: v.long() if n in ("labels", "next", "positions") else v for n, v in fields.items()})
    model = Bert(c)
    load_weights(model, {n[len("weight.") :]: v for n, v in tensors.items()})
    model.to(device).train()
    optimizer = optimizer_of(model, c, device.type == "cuda")
    forward = torch.compile(model) if options.compile else model
    bf16 = options.dtype == "bf16"

    def step(index):
        for group in optimizer.param_groups:
            group["lr"] = c["rates"][index]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            loss = forward(batches[index % len(batches)])
        loss.backward()
        if c["clip"] is not None:
            nn.utils.clip_grad_norm_(model.parameters(), c["clip"])
        optimizer.step()
        return loss.detach()

    began = time.perf_counter()
    losses = [step(0).item()]
    synchronize(device)
    first_ms = 1000 * (time.perf_counter() - began)
    index = 1
    while index < c["warmUp"]:
        loss = step(index)
        index += 1
        if index <= c["compared"]:
            losses.append(loss.item())
    synchronize(device)
    blocks = []
    for _ in range(c["blocks"]):
        began = time.perf_counter()
        for _ in range(c["stepsPerBlock"]):
            loss = step(index)
            index += 1
        loss.item()
        synchronize(device)
        blocks.append(1000 * (time.perf_counter() - began) / c["stepsPerBlock"])
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    print(
        json.dumps(
            {
                "version": torch.__version__,
                "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
                "losses": losses,
                "firstStepMs": first_ms,
                "stepMs": statistics.median(blocks),
                "stepsMs": blocks,
                "peakBytes": peak,
                "matmulFlops": matmul_flops(device, torch.bfloat16 if bf16 else torch.float32),
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
