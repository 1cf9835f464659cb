"""Small random BERTs of `transformers` as Hugging Face folders, with what the library computes with them.

    generate_huggingface.py                                 writes fixtures/huggingface/
    generate_huggingface.py --check FOLDER FIXTURE          FOLDER, exported by Kiln, against what a fixture recorded
    generate_huggingface.py --encode FOLDER TEXT [SECOND]   < `tools/run encode --json`: tokens and vectors are the same

Reference outputs, losses and gradients come from loading the very folder that is committed, with the Flax classes, in
float64. Any warning of the library while it loads is an error. Losses are Kiln's: means over what has weight 1.
"""

import argparse
import json
import logging
import pathlib
import shutil
import sys
import tempfile
from dataclasses import dataclass

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
import optax
import transformers
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.flax import save_file as save_flax
from safetensors.numpy import load_file, save_file

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "huggingface"
BATCH, TOKENS, PREDICTIONS = 4, 14, 3
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
VOCABULARY = SPECIAL + LETTERS + [f"##{letter}" for letter in LETTERS] + ["the", "bird", "##ing", "."]


@dataclass(frozen=True)
class Model:
    architecture: str
    activation: str
    dtype: str = "float32"
    shards: int = 1
    seed: int = 0
    gamma_beta: bool = False  # LayerNorm's parameters as old checkpoints spell them
    labels: tuple[str, ...] = ()
    tied: bool = True
    prefix: str = "bert."

    @property
    def flax(self):
        return getattr(transformers, f"Flax{self.architecture}")

    def config(self):
        c = transformers.BertConfig(
            vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, hidden_act=self.activation, max_position_embeddings=24, layer_norm_eps=1e-12,
            tie_word_embeddings=self.tied, architectures=[self.architecture], torch_dtype=self.dtype,
        )  # fmt: skip
        if self.labels:
            c.id2label = dict(enumerate(self.labels))
            c.label2id = {label: id for id, label in enumerate(self.labels)}
        return c


MODELS = {
    "pretraining": Model("BertForPreTraining", "gelu", seed=1),
    "masked-lm": Model("BertForMaskedLM", "gelu_new", shards=3, seed=2, tied=False),
    "sequence-classification": Model(
        "BertForSequenceClassification", "relu", "bfloat16", seed=3, labels=("entailment", "neutral", "contradiction")
    ),
    "token-classification": Model("BertForTokenClassification", "silu", "float16", seed=4, labels=("O", "B", "I", "X")),
    "model": Model("BertModel", "gelu", seed=5, gamma_beta=True, prefix=""),
}


def draw_parameters(rng, shapes):
    """Nothing zero or one: a swapped bias, a missing gamma or a transposed weight must show."""

    def draw(path, leaf):
        noise = rng.standard_normal(leaf.shape)
        if path[-1] == "scale":
            return 1 + 0.2 * noise
        if path[-1] == "kernel":
            return noise / np.sqrt(leaf.shape[0])
        return (0.5 if path[-1] == "embedding" else 0.1) * noise

    flat = flatten_dict(shapes)
    return {path: draw(path, leaf).astype(np.float32) for path, leaf in sorted(flat.items())}


def torch_name(path):
    """A Flax path as PyTorch's modules call it, and whether PyTorch stores the matrix the other way round."""
    leaf = {"kernel": "weight", "scale": "weight", "embedding": "weight"}.get(path[-1], path[-1])
    return ".".join([*path[:-1], leaf]), path[-1] == "kernel"


def torch_tensors(flat):
    tensors = {}
    for path, value in flat.items():
        name, transposed = torch_name(path)
        tensors[name] = np.ascontiguousarray(np.asarray(value).T if transposed else value)
    return tensors


def write_folder(folder, model):
    folder.mkdir(parents=True)
    config = model.config()
    shapes = jax.eval_shape(lambda: model.flax(config, _do_init=True).params)
    tensors = torch_tensors(draw_parameters(np.random.default_rng(20260 + model.seed), shapes))
    if model.gamma_beta:
        spelled = {".LayerNorm.weight": ".LayerNorm.gamma", ".LayerNorm.bias": ".LayerNorm.beta"}
        for old, new in spelled.items():
            tensors = {name.replace(old, new): tensor for name, tensor in tensors.items()}
    dtype = getattr(jnp, model.dtype)
    save = lambda tensors, path: (
        save_file(tensors, path, {"format": "pt"}) if dtype == jnp.float32
        else save_flax({name: jnp.asarray(t, dtype) for name, t in tensors.items()}, path, {"format": "pt"})
    )  # fmt: skip
    if model.shards == 1:
        save(tensors, folder / "model.safetensors")
    else:
        names = sorted(tensors)
        files = [f"model-{i + 1:05}-of-{model.shards:05}.safetensors" for i in range(model.shards)]
        place = {name: files[i % model.shards] for i, name in enumerate(names)}
        for file in files:
            save({name: tensors[name] for name in names if place[name] == file}, folder / file)
        total = sum(tensor.nbytes for tensor in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": place}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    config.save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": True, "model_max_length": 24, "tokenizer_class": "BertTokenizer"}, indent=2) + "\n"
    )


class Warnings(logging.Handler):
    """What `transformers` warns of, but that Flax classes will go one day and that weights are in half precision."""

    known = ("TensorFlow and JAX classes are deprecated", "float16 precision from the model checkpoint")

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        text = record.getMessage()
        if not any(known in text for known in self.known):
            self.texts.append(text)


def load(folder, flax):
    """The folder's model in float64. Fails for a missing, unexpected or misshaped tensor."""
    if (folder / "model.safetensors.index.json").exists():
        return load_merged(folder, flax)
    warnings = Warnings()
    logger = transformers.utils.logging.get_logger("transformers")
    logger.addHandler(warnings)
    try:
        model = flax.from_pretrained(folder, dtype=jnp.float64, local_files_only=True)
    finally:
        logger.removeHandler(warnings)
    assert not warnings.texts, warnings.texts
    model.params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), model.params)
    return model


def load_merged(folder, flax):
    """The Flax classes read no shards: all of them in one file."""
    with tempfile.TemporaryDirectory() as merged:
        shutil.copy(folder / "config.json", merged)
        tensors = {}
        for file in sorted(folder.glob("*.safetensors")):
            tensors |= load_file(file)
        save_file(tensors, pathlib.Path(merged) / "model.safetensors", {"format": "pt"})
        return load(pathlib.Path(merged), flax)


def draw_batch(rng, model):
    """Rows of full length and shorter; all, some and one of the prediction slots used; a row of weight 0."""
    vocab = len(VOCABULARY)
    valid = np.array([TOKENS, 9, 6, 12], np.int32)
    tokens = np.zeros((BATCH, TOKENS), np.int32)
    segments = np.zeros((BATCH, TOKENS), np.int32)
    for row, length in enumerate(valid):
        tokens[row, :length] = rng.integers(0, vocab, length)
        segments[row, length // 2 : length] = 1
    batch = {"tokens": tokens, "segments": segments, "valid": valid}
    if model.architecture == "BertForSequenceClassification":
        labels = rng.integers(0, len(model.labels), BATCH)
        return batch | {"labels": labels.astype(np.int32), "weights": np.array([1, 1, 0, 1], np.float32)}
    if model.architecture == "BertForTokenClassification":
        labels = rng.integers(0, len(model.labels), (BATCH, TOKENS))
        weights = (np.arange(TOKENS) < valid[:, None]) & (rng.random((BATCH, TOKENS)) < 0.8)
        return batch | {"labels": labels.astype(np.int32), "weights": weights.astype(np.float32)}
    positions = np.zeros((BATCH, PREDICTIONS), np.int32)
    labels = np.zeros((BATCH, PREDICTIONS), np.int32)
    weights = np.zeros((BATCH, PREDICTIONS), np.float32)
    for row, (length, count) in enumerate(zip(valid, (3, 2, 1, 3))):
        positions[row, :count] = np.sort(rng.choice(np.arange(1, length), count, replace=False))
        labels[row, :count] = rng.integers(0, vocab, count)
        weights[row, :count] = 1
    batch |= {"positions": positions, "labels": labels, "weights": weights}
    if model.architecture != "BertForMaskedLM":
        batch["next"] = np.array([1, 0, 0, 1], np.int32)
    return batch


def forward(model, params, batch):
    """-> outputs by name: encoded [B, T, H], pooled [B, H] and logits where there are such"""
    mask = (np.arange(batch["tokens"].shape[1]) < batch["valid"][:, None]).astype(np.int32)
    result = model(
        batch["tokens"], attention_mask=mask, token_type_ids=batch["segments"], params=params,
        output_hidden_states=True,
    )  # fmt: skip
    outputs = {"encoded": result.hidden_states[-1]}
    masked = result.get("prediction_logits")
    if "positions" in batch and masked is None:
        masked = result.get("logits")
    if masked is not None:
        outputs["mlm_logits"] = jnp.take_along_axis(masked, batch["positions"][..., None], axis=1)
    elif "logits" in result:
        outputs["logits"] = result["logits"]
    if "seq_relationship_logits" in result:
        outputs["nsp_logits"] = result["seq_relationship_logits"]
    if "pooler_output" in result:
        outputs["pooled"] = result["pooler_output"]
    return outputs


def losses(outputs, batch):
    entropy = optax.softmax_cross_entropy_with_integer_labels
    mean = lambda logits: jnp.sum(entropy(logits, batch["labels"]) * batch["weights"]) / (
        jnp.sum(batch["weights"]) + 1e-8
    )
    found = {}
    if "mlm_logits" in outputs:
        found["mlm"] = mean(outputs["mlm_logits"])
    if "nsp_logits" in outputs:
        # Here 0 is "follows", in Kiln's batches 1.
        found["nsp"] = jnp.mean(entropy(outputs["nsp_logits"], 1 - batch["next"]))
    if "logits" in outputs:
        found["classification"] = mean(outputs["logits"])
    return found


def write_reference(name, model):
    loaded = load(FIXTURES / name, model.flax)
    batch = draw_batch(np.random.default_rng(30260 + model.seed), model)
    outputs = forward(loaded, loaded.params, batch)
    found = losses(outputs, batch)
    tensors = {f"batch/{field}": value for field, value in batch.items()}
    tensors |= {f"output/{key}": np.ascontiguousarray(value, np.float32) for key, value in outputs.items()}
    if found:
        total = lambda params: sum(losses(forward(loaded, params, batch), batch).values())
        gradients = torch_tensors(flatten_dict(jax.grad(total)(loaded.params)))
        tensors |= {f"grad/{key}": np.ascontiguousarray(value, np.float32) for key, value in gradients.items()}
    metadata = {"oracle": json.dumps({"losses": {key: float(value) for key, value in found.items()}})}
    save_file(tensors, FIXTURES / f"{name}.reference.safetensors", metadata)
    print(name, {key: float(value) for key, value in found.items()})


def generate():
    shutil.rmtree(FIXTURES, ignore_errors=True)
    for name, model in MODELS.items():
        write_folder(FIXTURES / name, model)
        write_reference(name, model)


def largest_error(actual, expected):
    return float(np.max(np.abs(np.asarray(actual) - expected)) / np.max(np.abs(expected)))


def check(folder, name):
    """Kiln's export computes what the folder computed that it was imported from."""
    model = MODELS[name]
    config = json.loads((folder / "config.json").read_text())
    loaded = load(folder, getattr(transformers, f"Flax{config['architectures'][0]}"))
    recorded = load_file(FIXTURES / f"{name}.reference.safetensors")
    batch = {key.removeprefix("batch/"): value for key, value in recorded.items() if key.startswith("batch/")}
    outputs = forward(loaded, loaded.params, batch)
    for key, value in recorded.items():
        if not key.startswith("output/") or key.removeprefix("output/") not in outputs:
            continue
        error = largest_error(outputs[key.removeprefix("output/")], value)
        print(f"{name} {key}: {error:.1e}")
        assert error < 1e-6, "outputs are stored as float32"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    source = transformers.AutoTokenizer.from_pretrained(FIXTURES / name, local_files_only=True)
    for text in ("The bird sings.", "déjà vu, zebra [MASK] 漢字", ""):
        assert tokenizer(text, "pair")["input_ids"] == source(text, "pair")["input_ids"], text
    print(f"{name}: {config['architectures'][0]}, no warning; tokens as before")
    assert model.activation == config["hidden_act"]


def encode(folder, texts):
    """Kiln's `encode --json` from standard input against the tokenizer and model of the exported folder."""
    told = json.load(sys.stdin)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    config = json.loads((folder / "config.json").read_text())
    loaded = load(folder, getattr(transformers, f"Flax{config['architectures'][0]}"))
    inputs = tokenizer(*texts, return_tensors="np")
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    assert tokens == told["tokens"], (tokens, told["tokens"])
    result = loaded(**inputs, params=loaded.params, output_hidden_states=True)
    error = largest_error(told["vectors"], np.asarray(result.hidden_states[-1][0]))
    print(f"{len(tokens)} tokens {tokens}: vectors differ by {error:.1e}")
    assert error < 1e-4


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs=2, metavar=("FOLDER", "FIXTURE"))
    parser.add_argument("--encode", nargs="+", metavar=("FOLDER", "TEXT"))
    arguments = parser.parse_args()
    if arguments.check:
        check(pathlib.Path(arguments.check[0]), arguments.check[1])
    elif arguments.encode:
        encode(pathlib.Path(arguments.encode[0]), arguments.encode[1:])
    else:
        generate()
