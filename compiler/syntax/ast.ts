import type { Span } from "../diagnostics/index.ts";

/*
 * The syntax of a `.bert` file as data. Every node has the span of its whole text; every name its own span.
 * Parentheses leave no node: a parenthesised expression has the span with its parentheses.
 * Where the text had a syntax error, an `error` node stands for what could not be read; the error itself
 * is already reported, so that later stages say nothing about such a node.
 */

export interface Name {
  readonly text: string;
  readonly span: Span;
}

// --- files ----------------------------------------------------------------------------------------------

export interface SpecFile {
  readonly kind: "file";
  /** In the order of the text. */
  readonly items: readonly FileItem[];
  readonly span: Span;
}

export type FileItem =
  | ImportItem
  | SettingItem
  | LayerDeclaration
  | FnDeclaration
  | ModelInstance
  | DataDeclaration
  | TrainDeclaration;

/** `import "lib/bert.bert"` */
export interface ImportItem {
  readonly kind: "import";
  readonly path: StringLiteral;
  readonly span: Span;
}

/** `setting vocab: int = 20256` */
export interface SettingItem {
  readonly kind: "setting";
  readonly name: Name;
  readonly type: SettingType;
  readonly value: Expression;
  readonly span: Span;
}

/** `layer Name(parameters) { ... }`, and `model Name(parameters) { ... }`, whose forward has no results. */
export interface LayerDeclaration {
  readonly kind: "layer" | "model";
  readonly name: Name;
  /** Setting types by grammar and check: a tensor type here is reported by the parser and becomes an error type. */
  readonly parameters: readonly Parameter[];
  readonly items: readonly LayerItem[];
  readonly span: Span;
}

/** `fn name(parameters) -> type = expression`, and `loss Name(parameters) -> f32 = expression`; or with a block. */
export interface FnDeclaration {
  readonly kind: "fn" | "loss";
  readonly name: Name;
  /** Tensors and settings mixed: `x: f32[..., n], k: float = 1.0`. */
  readonly parameters: readonly Parameter[];
  /** One type, or several in parentheses; at least one. */
  readonly results: readonly Type[];
  readonly body: Body;
  readonly span: Span;
}

/** `model Small = BertForPreTraining(arguments)` */
export interface ModelInstance {
  readonly kind: "modelInstance";
  readonly name: Name;
  readonly model: Name;
  readonly args: readonly Argument[];
  readonly span: Span;
}

/** `data Pairs(batch: dim) { tokens: i32[batch, max_len] ... }` */
export interface DataDeclaration {
  readonly kind: "data";
  readonly name: Name;
  readonly parameters: readonly Parameter[];
  readonly fields: readonly DataField[];
  readonly span: Span;
}

export interface DataField {
  readonly name: Name;
  readonly type: Type;
  readonly span: Span;
}

/** `train Small { data ... minimize ... }` */
export interface TrainDeclaration {
  readonly kind: "train";
  readonly model: Name;
  /** In the order of the text. The keys are checked by the parser: `TrainKey`, each at most once. */
  readonly entries: readonly TrainEntry[];
  readonly span: Span;
}

export const trainKeys = [
  "data",
  "init",
  "freeze",
  "minimize",
  "optimizer",
  "rates",
  "clip",
  "accumulate",
  "steps",
] as const;
export type TrainKey = (typeof trainKeys)[number];

/** `optimizer adam(lr: 1e-3)`: key and value; between `init` and its value stands `from`. `data` has a call, the others any expression. */
export interface TrainEntry {
  readonly key: TrainKey;
  readonly keySpan: Span;
  readonly value: Expression;
  readonly span: Span;
}

// --- types ----------------------------------------------------------------------------------------------

export const settingTypeNames = ["dim", "int", "float", "bool", "string"] as const;
export type SettingTypeName = (typeof settingTypeNames)[number];

export const elementTypeNames = ["f32", "i32", "bool"] as const;
export type ElementTypeName = (typeof elementTypeNames)[number];

export type Type = SettingType | TensorType | ErrorType;

/** `dim`, `int`, ... A bare `bool` is a setting, `bool[]` a tensor. */
export interface SettingType {
  readonly kind: "settingType";
  readonly name: SettingTypeName | "error";
  readonly span: Span;
}

/** `f32[..., in]`; `f32` and `f32[]` are scalars, with no dims. */
export interface TensorType {
  readonly kind: "tensorType";
  readonly dtype: ElementTypeName;
  readonly dtypeSpan: Span;
  /** At most one is the ellipsis. */
  readonly dims: readonly Dimension[];
  readonly span: Span;
}

/** What could not be read; reported. */
export interface ErrorType {
  readonly kind: "errorType";
  readonly span: Span;
}

/** A dimension: `...`, or integers, names and arithmetic (semantics says which expressions may stand here). */
export type Dimension = Ellipsis | Expression;

export interface Ellipsis {
  readonly kind: "ellipsis";
  readonly span: Span;
}

/** `name: type = default` of a layer, fn, loss, data or forward. */
export interface Parameter {
  readonly name: Name;
  readonly type: Type;
  readonly default?: Expression;
  readonly span: Span;
}

// --- inside layers --------------------------------------------------------------------------------------

export type LayerItem = ParamItem | UseItem | RequireItem | ConstItem | ForwardItem | IfItem;

/** `param weight: f32[in, out] = glorot_uniform()` */
export interface ParamItem {
  readonly kind: "param";
  readonly name: Name;
  readonly type: TensorType | ErrorType;
  readonly initializer: Expression;
  readonly span: Span;
}

/** `use a = Layer(args), b = repeat n of Layer(args)` */
export interface UseItem {
  readonly kind: "use";
  /** At least one. */
  readonly bindings: readonly UseBinding[];
  readonly span: Span;
}

export interface UseBinding {
  readonly name: Name;
  /** The count of `repeat n of`. */
  readonly repeat?: Expression;
  readonly layer: Name;
  readonly args: readonly Argument[];
  readonly span: Span;
}

/** `require condition, "message with {values}"` */
export interface RequireItem {
  readonly kind: "require";
  readonly condition: Expression;
  /** Absent where only the condition was written. */
  readonly message?: Template;
  readonly span: Span;
}

/** A string with expressions in braces. `\{` is a brace. */
export interface Template {
  readonly parts: readonly TemplatePart[];
  readonly span: Span;
}
export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "value"; readonly value: Expression };

/** `const head = hidden / heads` */
export interface ConstItem {
  readonly kind: "const";
  readonly name: Name;
  readonly value: Expression;
  readonly span: Span;
}

/** `if condition { items } else { items }`; `else if` is an `if` alone in `otherwise`. */
export interface IfItem {
  readonly kind: "if";
  readonly condition: Expression;
  readonly then: readonly LayerItem[];
  /** Empty without `else`. */
  readonly otherwise: readonly LayerItem[];
  readonly span: Span;
}

/** `forward(inputs) -> type = expression` or with a block. */
export interface ForwardItem {
  readonly kind: "forward";
  readonly parameters: readonly Parameter[];
  /** Empty without `->` (a model's forward). */
  readonly results: readonly Type[];
  readonly body: Body;
  /** Of the word `forward`: where to point for "this forward". */
  readonly keywordSpan: Span;
  readonly span: Span;
}

export type Body = ExpressionBody | BlockBody;

export interface ExpressionBody {
  readonly kind: "expressionBody";
  readonly value: Expression;
  readonly span: Span;
}

export interface BlockBody {
  readonly kind: "blockBody";
  readonly statements: readonly Statement[];
  readonly span: Span;
}

// --- statements -----------------------------------------------------------------------------------------

/** `require` in a body may use the bound dimensions: `require T <= max_len, "..."`. */
export type Statement = LetStatement | ReturnStatement | OutputStatement | RequireItem | IfStatement;

/** `let a = expression`, `let a, b = layer(x)` */
export interface LetStatement {
  readonly kind: "let";
  /** At least one. */
  readonly names: readonly Name[];
  readonly value: Expression;
  readonly span: Span;
}

/** `return a` or `return a, b`; at least one value. */
export interface ReturnStatement {
  readonly kind: "return";
  readonly values: readonly Expression[];
  readonly span: Span;
}

/** A result of a model's forward; what each is for is told by `semantics/model.ts`. */
export const resultKinds = ["output", "head", "loss", "metric"] as const;
export type ResultKind = (typeof resultKinds)[number];

/** `output encoded = expression`, `loss mlm = expression` */
export interface OutputStatement {
  readonly kind: ResultKind;
  readonly name: Name;
  readonly value: Expression;
  readonly span: Span;
}

export interface IfStatement {
  readonly kind: "if";
  readonly condition: Expression;
  readonly then: readonly Statement[];
  /** Empty without `else`; `else if` is an `if` alone. */
  readonly otherwise: readonly Statement[];
  readonly span: Span;
}

// --- expressions ----------------------------------------------------------------------------------------

export type Expression =
  | NameExpression
  | IntLiteral
  | FloatLiteral
  | StringLiteral
  | BoolLiteral
  | ListExpression
  | UnaryExpression
  | BinaryExpression
  | ConditionalExpression
  | CallExpression
  | IndexExpression
  | MemberExpression
  | ErrorExpression;

export interface NameExpression {
  readonly kind: "name";
  readonly text: string;
  readonly span: Span;
}

/** No point and no exponent; a safe integer. */
export interface IntLiteral {
  readonly kind: "int";
  readonly value: number;
  readonly span: Span;
}

/** `1.0`, `1e-4`; finite. */
export interface FloatLiteral {
  readonly kind: "float";
  readonly value: number;
  readonly span: Span;
}

export interface StringLiteral {
  readonly kind: "string";
  /** Without quotes, escapes resolved: `\"`, `\\`, `\n`, `\t`, `\{`, `\}`. */
  readonly value: string;
  /** With the quotes. Where no escape occurs, character i of `value` stands at `span.start + 1 + i`. */
  readonly span: Span;
}

export interface BoolLiteral {
  readonly kind: "bool";
  readonly value: boolean;
  readonly span: Span;
}

/** `[a, b]` */
export interface ListExpression {
  readonly kind: "list";
  readonly elements: readonly Expression[];
  readonly span: Span;
}

export type UnaryOperator = "-" | "not";

export interface UnaryExpression {
  readonly kind: "unary";
  readonly operator: UnaryOperator;
  readonly operand: Expression;
  readonly span: Span;
}

export type ComparisonOperator = "==" | "!=" | "<" | "<=" | ">" | ">=";
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%" | "@" | "**";
export type BinaryOperator = "or" | "and" | ComparisonOperator | ArithmeticOperator;

export interface BinaryExpression {
  readonly kind: "binary";
  readonly operator: BinaryOperator;
  readonly operatorSpan: Span;
  readonly left: Expression;
  readonly right: Expression;
  readonly span: Span;
}

/** `if condition then a else b` */
export interface ConditionalExpression {
  readonly kind: "conditional";
  readonly condition: Expression;
  readonly then: Expression;
  readonly otherwise: Expression;
  readonly span: Span;
}

/** `f(x, axis: -1)`: primitives (`einsum`, `rearrange`), fns, layers, initialisers and optimizers alike. */
export interface CallExpression {
  readonly kind: "call";
  readonly callee: Expression;
  /** Positional before named ones (checked by the parser), no name twice. */
  readonly args: readonly Argument[];
  readonly span: Span;
}

export interface Argument {
  readonly name?: Name;
  readonly value: Expression;
  readonly span: Span;
}

/** `x[a:b, :, i, ...]` */
export interface IndexExpression {
  readonly kind: "index";
  readonly target: Expression;
  /** At least one; at most one ellipsis, for as many full axes as are missing. */
  readonly items: readonly IndexElement[];
  readonly span: Span;
}

export type IndexElement = AtIndex | SliceIndex | Ellipsis;

/** `i`: drops its axis. */
export interface AtIndex {
  readonly kind: "at";
  readonly value: Expression;
  readonly span: Span;
}

/** `a:b`, `a:`, `:b`, `:` */
export interface SliceIndex {
  readonly kind: "slice";
  readonly start?: Expression;
  readonly stop?: Expression;
  readonly span: Span;
}

/** `embedding.weight` */
export interface MemberExpression {
  readonly kind: "member";
  readonly target: Expression;
  readonly member: Name;
  readonly span: Span;
}

/** What could not be read; reported. */
export interface ErrorExpression {
  readonly kind: "error";
  readonly span: Span;
}
