import { describe, expect, test } from "vitest";
import { type Automaton, startDistributions } from "../../runtime/data/automaton.ts";
import { createBatchMaker, maskedPair } from "../../runtime/data/batch-maker.ts";
import { entropy, estimateBestLosses, ratioOfBatches } from "../../runtime/data/best-loss.ts";
import { wordIds } from "../../runtime/data/corpus.ts";
import { buildGrammar } from "../../runtime/data/grammar.ts";
import {
  createPairInference,
  type PairPosterior,
  type PairProcess,
} from "../../runtime/data/pair-posterior.ts";
import { predictionCount } from "../../runtime/data/pretraining-pairs.ts";
import { indexVocabulary } from "../../runtime/tokenizer/vocabulary.ts";
import { tinyAutomaton } from "./tiny-automaton.ts";

/** Every sentence from a boundary, with its probability and the boundary after it. */
function listSentences(automaton: Automaton, start: number) {
  const done: { words: number[]; probability: number; end: number }[] = [];
  const walk = (state: number, words: number[], probability: number): void => {
    for (let arc = automaton.arcStarts[state]!; arc < automaton.arcStarts[state + 1]!; arc++) {
      const to = automaton.arcTo[arc]!;
      const next = [...words, automaton.arcWord[arc]!];
      const p = probability * automaton.arcProbability[arc]!;
      if (to < automaton.boundaryCount) done.push({ words: next, probability: p, end: to });
      else walk(to, next, p);
    }
  };
  walk(start, [], 1);
  return done;
}

function subsets(size: number, count: number): number[][] {
  if (count === 0) return [[]];
  return Array.from({ length: size }, (_, last) => last).flatMap((last) =>
    subsets(last, count - 1).map((rest) => [...rest, last]),
  );
}

/** Every result of masking the chosen places, with its probability. */
function* corruptions(
  words: readonly number[],
  chosen: readonly number[],
  process: PairProcess,
): Generator<{ readonly y: readonly number[]; readonly share: number }> {
  const [place, ...rest] = chosen;
  if (place === undefined) {
    yield { y: words, share: 1 };
    return;
  }
  const { maskId, vocabularySize } = process;
  for (const { y, share } of corruptions(words, rest, process)) {
    for (let id = 0; id < vocabularySize; id++) {
      const fate = (id === maskId ? 0.8 : 0) + (id === words[place] ? 0.1 : 0) + 0.1 / vocabularySize;
      yield { y: y.with(place, id), share: share * fate };
    }
  }
}

/** The whole joint distribution of masked pairs, outcome by outcome, with no dynamic programming. */
function enumerate(process: PairProcess, chosenOf: (length: number) => number) {
  const { automaton, starts, wordIds: ids, nextShare } = process;
  // observation and place -> original id -> mass; observation -> next label -> mass
  const atPlace = new Map<string, Map<number, number>>();
  const labels = new Map<string, [number, number]>();
  let predictions = 0;
  const visitPair = (a: number[], b: number[], next: 0 | 1, probability: number): void => {
    if (probability === 0) return;
    const words = [...a, ...b].map((word) => ids[word]!);
    const count = chosenOf(words.length);
    const choices = subsets(words.length, count);
    for (const chosen of choices) {
      for (const { y, share } of corruptions(words, chosen, process)) {
        const mass = (probability * share) / choices.length;
        const seen = `${a.length}|${y.join(" ")}`;
        const label = labels.get(seen) ?? [0, 0];
        label[next] += mass;
        labels.set(seen, label);
        for (const place of chosen) {
          const key = `${seen}|${place}`;
          const table = atPlace.get(key) ?? new Map<number, number>();
          table.set(words[place]!, (table.get(words[place]!) ?? 0) + mass);
          atPlace.set(key, table);
          predictions += mass;
        }
      }
    }
  };
  for (let s = 0; s < automaton.boundaryCount; s++) {
    for (const a of listSentences(automaton, s)) {
      for (let r = 0; r < automaton.boundaryCount; r++) {
        for (const b of listSentences(automaton, r)) {
          const base = starts.first[s]! * a.probability * b.probability;
          if (r === a.end) visitPair(a.words, b.words, 1, base * nextShare);
          visitPair(a.words, b.words, 0, base * (1 - nextShare) * starts.random[r]!);
        }
      }
    }
  }
  return { atPlace, labels, predictions };
}

const tiny = tinyAutomaton();
const tinyProcess = (nextShare: number): PairProcess => ({
  automaton: tiny,
  starts: startDistributions(tiny),
  // `q` shares an id with `b`, as words outside a vocabulary share <unk>; two more ids are never words.
  wordIds: Int32Array.from(tiny.words, (word) => "rbxyz".indexOf(word === "q" ? "b" : word)),
  maskId: 5,
  vocabularySize: 7,
  nextShare,
});

describe("the posterior against every outcome of a tiny grammar", () => {
  test.each([
    ["one place, half of the pairs true", 0.5, () => 1],
    ["two places", 0.5, () => 2],
    ["places by length, all pairs true", 1, (length: number) => (length > 4 ? 3 : 1)],
  ])("%s", (_, nextShare, chosenOf) => {
    const process = tinyProcess(nextShare);
    const { atPlace, labels, predictions } = enumerate(process, chosenOf);
    const infer = createPairInference(process);
    let exact = 0;
    let byInference = 0;
    let worst = 0;
    const known = new Map<string, PairPosterior>();
    for (const [key, table] of atPlace) {
      const [first = "", seen = "", place = ""] = key.split("|");
      const words = seen.split(" ").map(Number);
      const label = labels.get(`${first}|${seen}`) ?? [0, 0];
      const posterior =
        known.get(`${first}|${seen}`) ??
        infer({ words, firstLength: Number(first), chosen: chosenOf(words.length) });
      known.set(`${first}|${seen}`, posterior);
      const wordAt = posterior.wordAt(Number(place));
      const mass = [...table.values()].reduce((a, b) => a + b, 0);
      for (const [id, part] of table) {
        const p = wordAt.get(id) ?? 0;
        worst = Math.max(worst, Math.abs(p - part / mass));
        exact -= (part * Math.log(part / mass)) / predictions;
        byInference -= (part * Math.log(p)) / predictions;
      }
      worst = Math.max(worst, Math.abs(posterior.next - label[1] / (label[0] + label[1])));
    }
    expect(known.size).toBeGreaterThan(300);
    // Sums of a few thousand float64 products.
    expect(worst).toBeLessThan(1e-11);
    expect(byInference).toBeCloseTo(exact, 12);
  });

  test("the estimate from drawn batches agrees with the exact conditional entropy", () => {
    const vocabulary = ["<unk>", "<pad>", "<mask>", "<cls>", "<sep>", ..."rbqxyz"];
    const index = indexVocabulary(vocabulary);
    const process: PairProcess = {
      automaton: tiny,
      starts: startDistributions(tiny),
      wordIds: wordIds(tiny, index),
      maskId: index.mask,
      vocabularySize: vocabulary.length,
      nextShare: 0.5,
    };
    const { atPlace, predictions } = enumerate(process, (words) => predictionCount(words + 3, 10));
    let exact = 0;
    for (const table of atPlace.values()) {
      const mass = [...table.values()].reduce((a, b) => a + b, 0);
      exact += (mass / predictions) * entropy([...table.values()].map((part) => part / mass));
    }
    const best = createBatchMaker(
      { kind: "PretrainingPairs", settings: { batch: 512, max_len: 32 } },
      { corpus: { kind: "grammar", name: "tiny", automaton: tiny }, split: "train", seed: 3, vocabulary },
    ).best();
    expect(best).toBeDefined();
    const { mean, standardError } = best!.maskedLanguageModel;
    // Four standard errors are then under a fifth of the value: wide enough to hold, narrow enough to tell.
    expect(standardError).toBeLessThan(0.05 * exact);
    expect(Math.abs(mean - exact)).toBeLessThan(4 * standardError);
  });
});

describe("the built-in grammar", () => {
  const automaton = buildGrammar();
  const request = { kind: "PretrainingPairs", settings: { batch: 64, max_len: 32 } };
  const maker = createBatchMaker(request, {
    corpus: { kind: "grammar", name: "generated corpus", automaton },
    split: "train",
    seed: 11,
  });
  const index = indexVocabulary(maker.vocabulary);

  /** -log of what `infer` gives to the true word and label, on batches that the estimate has not seen. */
  function lossOf(process: PairProcess, batches: number) {
    const infer = createPairInference(process);
    const nll: number[] = [];
    const counts: number[] = [];
    const nextNll: number[] = [];
    for (let i = 64; i < 64 + batches; i++) {
      const { fields } = maker.make(i);
      for (let row = 0; row < 64; row++) {
        const of = (name: string, width: number) =>
          Int32Array.from(fields[name]!.subarray(row * width, (row + 1) * width));
        const valid = fields.valid![row]!;
        const segments = of("segments", 32);
        const weights = Float32Array.from(of("weights", 5));
        const example = maskedPair(
          {
            tokens: of("tokens", 32),
            segments,
            positions: of("positions", 5),
            labels: of("labels", 5),
            weights,
          },
          valid,
          segments.indexOf(1) - 2,
          weights.filter((w) => w === 1).length,
        );
        const posterior = infer(example);
        counts.push(example.places.length);
        nll.push(
          example.places.reduce(
            (sum, place, i) => sum - Math.log(posterior.wordAt(place).get(example.labels[i]!) ?? 0),
            0,
          ),
        );
        nextNll.push(-Math.log(fields.next![row] === 1 ? posterior.next : 1 - posterior.next));
      }
    }
    const ones = counts.map(() => 1);
    return { word: ratioOfBatches(nll, counts, 64), next: ratioOfBatches(nextNll, ones, 64) };
  }

  const process: PairProcess = {
    automaton,
    starts: startDistributions(automaton),
    wordIds: wordIds(automaton, index),
    maskId: index.mask,
    vocabularySize: maker.vocabulary.length,
    nextShare: 0.5,
  };

  test("the exact model reaches the best losses on fresh batches, within sampling error", () => {
    const best = maker.best()!;
    const reached = lossOf(process, 16);
    for (const [bound, loss] of [
      [best.maskedLanguageModel, reached.word],
      [best.nextSentence, reached.next],
    ] as const) {
      const error = Math.hypot(bound.standardError, loss.standardError);
      expect(error).toBeLessThan(0.04);
      expect(Math.abs(bound.mean - loss.mean)).toBeLessThan(4 * error);
    }
    // Context tells much: a model without it pays the entropy of single words, near 4.5 nats.
    expect(best.maskedLanguageModel.mean).toBeLessThan(1);
    expect(best.nextSentence.mean).toBeLessThan(0.3);
  });

  test("models with wrong beliefs do worse than the bound", () => {
    // The same examples for all, so that only what is believed of them differs.
    const right = lossOf(process, 4);
    const blindToPairs = lossOf({ ...process, nextShare: 0.001 }, 4);
    expect(blindToPairs.next.mean).toBeGreaterThan(right.next.mean + 0.3);
    const { arcStarts, arcProbability } = automaton;
    // Which choices are the common ones, turned end for end in every state.
    const reversed = arcProbability.slice();
    for (let s = 0; s < automaton.stateCount; s++)
      reversed.subarray(arcStarts[s]!, arcStarts[s + 1]!).reverse();
    const misjudging = lossOf({ ...process, automaton: { ...automaton, arcProbability: reversed } }, 4);
    expect(misjudging.word.mean).toBeGreaterThan(right.word.mean + 0.03);
  });
});

test("a mean of batch ratios, and its error by the delta method", () => {
  const { mean, standardError } = ratioOfBatches([1, 3, 2, 2], [1, 1, 2, 2], 2);
  expect(mean).toBe((4 / 2 + 4 / 4) / 2);
  const ratio = 8 / 6;
  const squares = [1 - ratio, 3 - ratio, 2 - 2 * ratio, 2 - 2 * ratio].reduce((s, d) => s + d * d, 0);
  expect(standardError).toBeCloseTo(Math.sqrt(squares) / 6, 12);
});

test("a best loss of a corpus with nothing to guess is zero", () => {
  const losses = estimateBestLosses(
    () => ({ next: 1, wordAt: () => new Map([[7, 1]]) }),
    [{ words: [7], firstLength: 1, chosen: 1, places: [0], labels: [7] }],
    4,
  );
  expect(losses.maskedLanguageModel.mean).toBe(0);
  expect(losses.nextSentence.mean).toBe(0);
});
