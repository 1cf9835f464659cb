import {
  type CstNode,
  CstParser,
  type IParserErrorMessageProvider,
  type IToken,
  type ParserMethod,
  type TokenType,
} from "chevrotain";
import * as t from "./tokens.ts";

/*
 * The grammar of one statement's text: what stands before its `{` or up to its end. `blocks.ts` has cut the file
 * into these, so a mistake in one cannot reach another. Recovery within a statement is Chevrotain's.
 */

/** Exceptions carry only the name of the token expected; `messages.ts` makes the sentence. */
const terse: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected }) => expected.name,
  buildNotAllInputParsedMessage: () => "",
  buildNoViableAltMessage: () => "",
  buildEarlyExitMessage: () => "",
};

export type Rule = ParserMethod<[], CstNode>;

class Grammar extends CstParser {
  constructor(skipValidations: boolean) {
    super(t.vocabulary, {
      recoveryEnabled: true,
      maxLookahead: 2,
      errorMessageProvider: terse,
      skipValidations,
    });
    this.performSelfAnalysis();
  }

  // An inserted token is no text; `build.ts` leaves it out.
  override getTokenToInsert(type: TokenType): IToken {
    return { ...t.virtual(type, Number.NaN), isInsertedInRecovery: true };
  }

  // --- statements ---------------------------------------------------------------------------------------

  readonly import = this.RULE("import", () => {
    this.CONSUME(t.Import);
    this.CONSUME(t.Text);
  });

  readonly setting = this.RULE("setting", () => {
    this.CONSUME(t.Setting);
    this.CONSUME(t.Name);
    this.CONSUME(t.Colon);
    this.SUBRULE(this.type);
    this.CONSUME(t.Equals);
    this.SUBRULE(this.expression);
  });

  readonly layer = this.RULE("layer", () => {
    this.CONSUME(t.Layer);
    this.CONSUME(t.Name);
    this.SUBRULE(this.parameters);
  });

  readonly model = this.RULE("model", () => {
    this.CONSUME(t.Model);
    this.CONSUME(t.Name);
    this.OR([
      { ALT: () => this.SUBRULE(this.parameters) },
      {
        ALT: () => {
          this.CONSUME(t.Equals);
          this.CONSUME2(t.Name);
          this.SUBRULE(this.args);
        },
      },
    ]);
  });

  readonly fn = this.RULE("fn", () => {
    this.OR([{ ALT: () => this.CONSUME(t.Fn) }, { ALT: () => this.CONSUME(t.Loss) }]);
    this.CONSUME(t.Name);
    this.SUBRULE(this.parameters);
    this.CONSUME(t.Arrow);
    this.SUBRULE(this.results);
    this.OPTION(() => {
      this.CONSUME(t.Equals);
      this.SUBRULE(this.expression);
    });
  });

  readonly data = this.RULE("data", () => {
    this.CONSUME(t.Data);
    this.CONSUME(t.Name);
    this.SUBRULE(this.parameters);
  });

  readonly train = this.RULE("train", () => {
    this.CONSUME(t.Train);
    this.CONSUME(t.Name);
  });

  readonly param = this.RULE("param", () => {
    this.CONSUME(t.Param);
    this.CONSUME(t.Name);
    this.CONSUME(t.Colon);
    this.SUBRULE(this.type);
    this.CONSUME(t.Equals);
    this.SUBRULE(this.expression);
  });

  readonly use = this.RULE("use", () => {
    this.CONSUME(t.Use);
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.binding) });
  });

  readonly binding = this.RULE("binding", () => {
    this.CONSUME(t.Name);
    this.CONSUME(t.Equals);
    this.OPTION(() => {
      this.CONSUME(t.Repeat);
      this.SUBRULE(this.expression);
      this.CONSUME(t.Of);
    });
    this.CONSUME2(t.Name);
    this.SUBRULE(this.args);
  });

  readonly require = this.RULE("require", () => {
    this.CONSUME(t.Require);
    this.SUBRULE(this.expression);
    this.OPTION(() => {
      this.CONSUME(t.Comma);
      this.CONSUME(t.Text);
    });
  });

  readonly const = this.RULE("const", () => {
    this.CONSUME(t.Const);
    this.CONSUME(t.Name);
    this.CONSUME(t.Equals);
    this.SUBRULE(this.expression);
  });

  readonly forward = this.RULE("forward", () => {
    this.CONSUME(t.Forward);
    this.SUBRULE(this.parameters);
    this.OPTION(() => {
      this.CONSUME(t.Arrow);
      this.SUBRULE(this.results);
    });
    this.OPTION2(() => {
      this.CONSUME(t.Equals);
      this.SUBRULE(this.expression);
    });
  });

  readonly if = this.RULE("if", () => {
    this.CONSUME(t.If);
    this.SUBRULE(this.expression);
  });

  readonly let = this.RULE("let", () => {
    this.CONSUME(t.Let);
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.CONSUME(t.Name) });
    this.CONSUME(t.Equals);
    this.SUBRULE(this.expression);
  });

  readonly return = this.RULE("return", () => {
    this.CONSUME(t.Return);
    this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.expression) });
  });

  readonly output = this.RULE("output", () => {
    this.OR([
      { ALT: () => this.CONSUME(t.Output) },
      { ALT: () => this.CONSUME(t.Head) },
      { ALT: () => this.CONSUME(t.Loss) },
      { ALT: () => this.CONSUME(t.Metric) },
    ]);
    this.CONSUME(t.Name);
    this.CONSUME(t.Equals);
    this.SUBRULE(this.expression);
  });

  readonly field = this.RULE("field", () => {
    this.CONSUME(t.Name);
    this.CONSUME(t.Colon);
    this.SUBRULE(this.type);
  });

  readonly entry = this.RULE("entry", () => {
    const key = this.CONSUME(t.Name);
    // Elsewhere `from` is a name like others.
    this.OPTION2({ GATE: () => key.image === "init", DEF: () => this.CONSUME(t.From) });
    this.OPTION(() => {
      this.OR([{ ALT: () => this.CONSUME(t.Colon) }, { ALT: () => this.CONSUME(t.Equals) }]);
    });
    this.SUBRULE(this.expression);
  });

  // --- types and parameters -----------------------------------------------------------------------------

  readonly parameters = this.RULE("parameters", () => {
    this.CONSUME(t.OpenParen);
    this.OPTION(() => {
      this.SUBRULE(this.parameter);
      this.MANY({
        GATE: () => this.LA(2).tokenType !== t.CloseParen,
        DEF: () => {
          this.CONSUME(t.Comma);
          this.SUBRULE2(this.parameter);
        },
      });
      this.OPTION2(() => this.CONSUME2(t.Comma));
    });
    this.CONSUME(t.CloseParen);
  });

  readonly parameter = this.RULE("parameter", () => {
    this.CONSUME(t.Name);
    this.CONSUME(t.Colon);
    this.SUBRULE(this.type);
    this.OPTION(() => {
      this.CONSUME(t.Equals);
      this.SUBRULE(this.expression);
    });
  });

  readonly results = this.RULE("results", () => {
    this.OR([
      {
        ALT: () => {
          this.CONSUME(t.OpenParen);
          this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.type) });
          this.CONSUME(t.CloseParen);
        },
      },
      { ALT: () => this.SUBRULE2(this.type) },
    ]);
  });

  readonly type = this.RULE("type", () => {
    this.CONSUME(t.Name);
    this.OPTION(() => {
      this.CONSUME(t.OpenSquare);
      this.MANY_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.dimension) });
      this.CONSUME(t.CloseSquare);
    });
  });

  readonly dimension = this.RULE("dimension", () => {
    this.OR([{ ALT: () => this.CONSUME(t.Ellipsis) }, { ALT: () => this.SUBRULE(this.expression) }]);
  });

  // --- expressions --------------------------------------------------------------------------------------

  readonly expression = this.RULE("expression", () => {
    this.OR([{ ALT: () => this.SUBRULE(this.conditional) }, { ALT: () => this.SUBRULE(this.chain) }]);
  });

  readonly conditional = this.RULE("conditional", () => {
    this.CONSUME(t.If);
    this.SUBRULE(this.expression);
    this.CONSUME(t.Then);
    this.SUBRULE2(this.expression);
    this.CONSUME(t.Else);
    this.SUBRULE3(this.expression);
  });

  /** Operands and operators in a row; `precedence.ts` makes the tree. */
  readonly chain = this.RULE("chain", () => {
    this.SUBRULE(this.operand);
    this.MANY(() => {
      this.CONSUME(t.BinaryOperator);
      this.SUBRULE2(this.operand);
    });
  });

  readonly operand = this.RULE("operand", () => {
    this.MANY(() => this.CONSUME(t.PrefixOperator));
    this.SUBRULE(this.primary);
    this.MANY2(() => this.SUBRULE(this.suffix));
  });

  readonly primary = this.RULE("primary", () => {
    this.OR([
      { ALT: () => this.CONSUME(t.Name) },
      { ALT: () => this.CONSUME(t.Literal) },
      {
        ALT: () => {
          this.CONSUME(t.OpenParen);
          this.SUBRULE(this.expression);
          this.CONSUME(t.CloseParen);
        },
      },
      {
        ALT: () => {
          this.CONSUME(t.OpenSquare);
          this.OPTION(() => {
            this.SUBRULE2(this.expression);
            this.MANY({
              GATE: () => this.LA(2).tokenType !== t.CloseSquare,
              DEF: () => {
                this.CONSUME(t.Comma);
                this.SUBRULE3(this.expression);
              },
            });
            this.OPTION2(() => this.CONSUME2(t.Comma));
          });
          this.CONSUME(t.CloseSquare);
        },
      },
    ]);
  });

  readonly suffix = this.RULE("suffix", () => {
    this.OR([
      { ALT: () => this.SUBRULE(this.args) },
      {
        ALT: () => {
          this.CONSUME(t.OpenSquare);
          this.AT_LEAST_ONE_SEP({ SEP: t.Comma, DEF: () => this.SUBRULE(this.element) });
          this.CONSUME(t.CloseSquare);
        },
      },
      {
        ALT: () => {
          this.CONSUME(t.Dot);
          this.CONSUME(t.Name);
        },
      },
    ]);
  });

  readonly element = this.RULE("element", () => {
    this.OR([
      { ALT: () => this.CONSUME(t.Ellipsis) },
      {
        ALT: () => {
          this.CONSUME(t.Colon);
          this.OPTION(() => this.SUBRULE(this.expression));
        },
      },
      {
        ALT: () => {
          this.SUBRULE2(this.expression);
          this.OPTION2(() => {
            this.CONSUME2(t.Colon);
            this.OPTION3(() => this.SUBRULE3(this.expression));
          });
        },
      },
    ]);
  });

  readonly args = this.RULE("args", () => {
    this.CONSUME(t.OpenParen);
    this.OPTION(() => {
      this.SUBRULE(this.argument);
      this.MANY({
        GATE: () => this.LA(2).tokenType !== t.CloseParen,
        DEF: () => {
          this.CONSUME(t.Comma);
          this.SUBRULE2(this.argument);
        },
      });
      this.OPTION2(() => this.CONSUME2(t.Comma));
    });
    this.CONSUME(t.CloseParen);
  });

  readonly argument = this.RULE("argument", () => {
    this.OPTION({
      GATE: () => t.isA(this.LA(2), t.Colon, t.Equals),
      DEF: () => {
        this.CONSUME(t.Name);
        this.OR([{ ALT: () => this.CONSUME(t.Colon) }, { ALT: () => this.CONSUME(t.Equals) }]);
      },
    });
    this.SUBRULE(this.expression);
  });
}

export type RuleName = {
  [K in keyof Grammar]: Grammar[K] extends Rule ? K : never;
}[keyof Grammar];

let grammar: Grammar | undefined;

/** The one parser, made when first needed: its analysis of the grammar takes some milliseconds. */
export function theGrammar(): Grammar {
  grammar ??= new Grammar(true);
  return grammar;
}

/**
 * What a test asks once, so that not every start has to.
 * @throws Error naming what is wrong with the grammar
 */
export function checkGrammar(): void {
  new Grammar(false);
}
