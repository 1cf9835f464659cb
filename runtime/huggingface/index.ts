// In: a folder that `save_pretrained` of transformers wrote; or parameters of Kiln and what their model is.
// Out: what Kiln needs of it (model, spec, parameters, vocabulary); or the files of such a folder.
// Assumes: layers and names of models/lib/bert.bert. What reads folders (read-folder.ts) loads Node's modules when it is called.
// Guarantees: every tensor is accounted for by name; numbers come and go bit for bit; one tensor in memory at a time.
// Start reading at: tensor-names.ts, then match-tensors.ts.
export {
  type Activation,
  type Architecture,
  architectures,
  type BertConfig,
  type HeadedConfig,
  parseConfig,
  printConfig,
} from "./config.ts";
export { type FloatTensor, toHuggingFace, toKiln } from "./convert-tensors.ts";
export { type MatchedTensors, matchTensors } from "./match-tensors.ts";
export { type ModelFolder, openModelFolder, readFolderTokenizer } from "./read-folder.ts";
export { labelNames, specText } from "./spec-text.ts";
export { partsOf, type TensorPair, tensorPairs } from "./tensor-names.ts";
export { tokenizerFiles } from "./tokenizer-files.ts";
