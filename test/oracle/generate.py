"""Writes the fixtures that Kiln is held against: BERT pre-training in JAX, Flax and Optax, in float64.

Two models, each as its source describes it (see README.md):
  d2l       post-norm, ReLU, untied masked-LM decoder, layer norm eps 1e-5, Adam
  original  layer norm after the embeddings, erf GELU, decoder tied to the token embedding plus a bias, eps 1e-12,
            AdamW without decay of biases and layer norms, global-norm clip 1.0, warm-up then linear decay

Everything drawn (weights, batch) comes from a fixed NumPy seed and is rounded to float32 before use, so the
stored inputs are exact. Layers, optimizers and gradients are the libraries' own wherever they have them; only
attention's mask and the two losses are written here. Weights lie [in, out], for x @ W.
"""

import json
import pathlib
from dataclasses import dataclass

import jax

jax.config.update("jax_enable_x64", True)

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
STEPS = 10


@dataclass(frozen=True)
class Config:
    """Sizes are small, and some on purpose no multiples of 4: tiles and vectors must handle their edges."""

    original: bool
    batch: int = 4
    tokens: int = 16
    predictions: int = 3
    vocab: int = 61
    hidden: int = 32
    ffn: int = 46
    heads: int = 2
    layers: int = 2
    positions: int = 20  # rows of the position table: more than tokens, so that some get no gradient

    @property
    def eps(self) -> float:
        return 1e-12 if self.original else 1e-5

    def activation(self, x):
        return jax.nn.gelu(x, approximate=False) if self.original else jax.nn.relu(x)


def dense(size: int, name: str):
    return nn.Dense(size, param_dtype=jnp.float64, name=name)


def layer_norm(config: Config, name: str):
    # Two passes over the data, not E[x^2] - E[x]^2.
    return nn.LayerNorm(epsilon=config.eps, use_fast_variance=False, param_dtype=jnp.float64, name=name)


def embed(rows: int, size: int, name: str):
    return nn.Embed(rows, size, param_dtype=jnp.float64, name=name)


class Attention(nn.Module):
    config: Config

    @nn.compact
    def __call__(self, x, valid):
        c = self.config
        split = lambda y: y.reshape(*y.shape[:2], c.heads, -1).swapaxes(1, 2)  # [B, A, T, d]
        q, k, v = (split(dense(c.hidden, name)(x)) for name in ("query", "key", "value"))
        scores = q @ k.swapaxes(-1, -2) / jnp.sqrt(c.hidden / c.heads)  # [B, A, T, T]
        visible = jnp.arange(x.shape[1]) < valid[:, None, None, None]
        mixed = jax.nn.softmax(jnp.where(visible, scores, -1e6), axis=-1) @ v
        merged = mixed.swapaxes(1, 2).reshape(x.shape)
        return dense(c.hidden, "output")(merged)


class Block(nn.Module):
    config: Config

    @nn.compact
    def __call__(self, x, valid):
        c = self.config
        y = layer_norm(c, "attention_norm")(x + Attention(c, name="attention")(x, valid))
        inner = c.activation(dense(c.ffn, "ffn_in")(y))
        return layer_norm(c, "ffn_norm")(y + dense(c.hidden, "ffn_out")(inner))


class Encoder(nn.Module):
    config: Config

    def setup(self):
        c = self.config
        self.token_embedding = embed(c.vocab, c.hidden, None)
        self.segment_embedding = embed(2, c.hidden, None)
        self.position_embedding = embed(c.positions, c.hidden, None)
        if c.original:
            self.embedding_norm = layer_norm(c, None)
        self.blocks = [Block(c) for _ in range(c.layers)]

    def __call__(self, tokens, segments, valid):
        places = jnp.arange(tokens.shape[1])
        x = self.token_embedding(tokens) + self.segment_embedding(segments) + self.position_embedding(places)
        if self.config.original:
            x = self.embedding_norm(x)
        for block in self.blocks:
            x = block(x, valid)
        return x


class Pretraining(nn.Module):
    config: Config

    def setup(self):
        c = self.config
        self.encoder = Encoder(c)
        self.mlm_dense = dense(c.hidden, None)
        self.mlm_norm = layer_norm(c, None)
        if c.original:
            self.mlm_bias = self.param("mlm_bias", nn.initializers.zeros, (c.vocab,), jnp.float64)
        else:
            self.mlm_decoder = dense(c.vocab, None)
        self.nsp_hidden = dense(c.hidden, None)
        self.nsp_output = dense(2, None)

    def __call__(self, batch):
        encoded = self.encoder(batch["tokens"], batch["segments"], batch["valid"])  # [B, T, H]
        picked = jnp.take_along_axis(encoded, batch["positions"][..., None], axis=1)  # [B, P, H]
        h = self.mlm_norm(self.config.activation(self.mlm_dense(picked)))
        if self.config.original:
            logits = self.encoder.token_embedding.attend(h) + self.mlm_bias
        else:
            logits = self.mlm_decoder(h)
        return encoded, logits, self.nsp_output(jnp.tanh(self.nsp_hidden(encoded[:, 0])))


def losses(model, params, batch):
    """-> total f64 [], (encoded [B, T, H], mlm [], nsp [])"""
    encoded, mlm_logits, nsp_logits = model.apply({"params": params}, batch)
    entropy = optax.softmax_cross_entropy_with_integer_labels
    weights = batch["weights"].astype(jnp.float64)
    mlm = jnp.sum(entropy(mlm_logits, batch["labels"]) * weights) / (jnp.sum(weights) + 1e-8)
    nsp = jnp.mean(entropy(nsp_logits, batch["next"]))
    return mlm + nsp, (encoded, mlm, nsp)


def draw_batch(rng, c: Config):
    """Rows of full length and shorter; all, some and one of the prediction slots used."""
    valid = np.array([c.tokens, 9, 6, 13], np.int32)
    tokens = np.full((c.batch, c.tokens), 2, np.int32)
    segments = np.zeros((c.batch, c.tokens), np.int32)
    positions = np.zeros((c.batch, c.predictions), np.int32)
    labels = np.zeros((c.batch, c.predictions), np.int32)
    weights = np.zeros((c.batch, c.predictions), np.float32)
    for row, (length, count) in enumerate(zip(valid, (3, 2, 1, 3))):
        tokens[row, :length] = rng.integers(0, c.vocab, length)
        segments[row, length // 2 : length] = 1
        positions[row, :count] = np.sort(rng.integers(1, length, count))
        labels[row, :count] = rng.integers(0, c.vocab, count)
        weights[row, :count] = 1
    positions[0, 1] = positions[0, 0]  # gathered twice: its gradients add up
    tokens[1, 3] = tokens[1, 4] = tokens[0, 5]  # one embedding row read three times
    return {
        "tokens": tokens, "segments": segments, "valid": valid, "positions": positions,
        "labels": labels, "weights": weights, "next": np.array([1, 0, 0, 1], np.int32),
    }  # fmt: skip


def draw_params(rng, shapes):
    """Nothing zero or one: a swapped bias, a missing gamma or a transposed weight must show."""

    def draw(path, leaf):
        noise = rng.standard_normal(leaf.shape)
        if path[-1] == "scale":
            value = 1 + 0.2 * noise
        elif path[-1] == "kernel":
            value = noise / np.sqrt(leaf.shape[0])
        elif path[-1] == "embedding":
            value = 0.5 * noise
        else:
            value = 0.1 * noise
        return value.astype(np.float32).astype(np.float64)

    return unflatten_dict({path: draw(path, leaf) for path, leaf in sorted(flatten_dict(shapes).items())})


def optimizer(c: Config):
    """-> transformation, settings as the fixture tells them"""
    if not c.original:
        settings = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
        return optax.adam(settings["lr"], b1=0.9, b2=0.999, eps=1e-8), settings
    settings = {
        "peak": 6e-3, "warmup": 4, "total": 12, "beta1": 0.9, "beta2": 0.999, "eps": 1e-6,
        "weight_decay": 0.01, "clip": 1.0,
    }  # fmt: skip

    def rate(step):
        """Steps count from 0: peak * (s + 1) / warmup, then straight down to 0 at `total`."""
        rise = settings["peak"] * (step + 1) / settings["warmup"]
        fall = settings["peak"] * (settings["total"] - step) / (settings["total"] - settings["warmup"])
        return jnp.where(step < settings["warmup"], rise, fall)

    def decays(params):
        return unflatten_dict({path: path[-1] in ("kernel", "embedding") for path in flatten_dict(params)})

    return optax.chain(
        optax.clip_by_global_norm(settings["clip"]),
        optax.adamw(rate, b1=0.9, b2=0.999, eps=1e-6, weight_decay=0.01, mask=decays),
    ), settings | {"rates": [float(rate(step)) for step in range(STEPS)]}


def write(name: str, c: Config, seed: int):
    rng = np.random.default_rng(seed)
    batch = draw_batch(rng, c)
    model = Pretraining(c)
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)["params"]
    params = draw_params(rng, shapes)

    gradient = jax.jit(jax.value_and_grad(lambda p: losses(model, p, batch), has_aux=True))
    (_, (encoded, _, _)), gradients = gradient(params)
    transformation, settings = optimizer(c)
    current, state = params, transformation.init(params)
    curve = []
    for _ in range(STEPS):
        (total, (_, mlm, nsp)), g = gradient(current)
        curve.append({"mlm": float(mlm), "nsp": float(nsp), "total": float(total),
                      "gradient_norm": float(optax.global_norm(g))})  # fmt: skip
        updates, state = transformation.update(g, state, current)
        current = optax.apply_updates(current, updates)
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves((current, gradients, updates)))

    def flat(prefix, tree):
        return {
            f"{prefix}/{'.'.join(path)}": np.ascontiguousarray(leaf, np.float32)
            for path, leaf in flatten_dict(tree).items()
        }

    tensors = flat("param", params) | flat("grad", gradients) | flat("final", current)
    tensors |= {f"batch/{field}": np.ascontiguousarray(value) for field, value in batch.items()}
    tensors["output/encoded"] = np.ascontiguousarray(encoded, np.float32)
    sizes = {
        "batch": c.batch, "max_len": c.tokens, "predictions": c.predictions, "vocab": c.vocab, "hidden": c.hidden,
        "ffn": c.ffn, "heads": c.heads, "layers": c.layers, "positions": c.positions, "eps": c.eps,
    }  # fmt: skip
    # One entry of metadata: safetensors writes several in no fixed order, and the files are to be reproducible.
    metadata = {"oracle": json.dumps({"sizes": sizes, "optimizer": settings, "steps": curve})}
    save_file(tensors, FIXTURES / f"{name}.safetensors", metadata)
    print(name, *(f"{step['total']:.6f}" for step in curve), "norms",
          *(f"{step['gradient_norm']:.3f}" for step in curve))  # fmt: skip


if __name__ == "__main__":
    FIXTURES.mkdir(exist_ok=True)
    write("bert-d2l", Config(original=False), seed=20260)
    write("bert-original", Config(original=True), seed=20265)
