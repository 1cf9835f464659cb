import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentUnit } from "@codemirror/language";
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState, RangeSetBuilder } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";
import { tokenKinds } from "../../compiler/syntax/index.ts";
import type { Problem } from "./messages.ts";

export interface SpecEditor {
  readonly text: string;
  /** Replaces all of the text; it can be undone. */
  setText(text: string): void;
  show(problems: readonly Problem[]): void;
  focusOn(problem: Problem): void;
}

/** Beyond it a text is shown without colours: no spec is so long, and the page must stay quick. */
const colourLimit = 200_000;

/** Colours by the compiler's own lexer: what is a keyword there is one here. */
const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;

    constructor(view: EditorView) {
      this.decorations = colour(view.state);
    }

    update(update: ViewUpdate): void {
      if (update.docChanged) this.decorations = colour(update.state);
    }
  },
  { decorations: ({ decorations }) => decorations },
);

function colour(state: EditorState): DecorationSet {
  const marks = new RangeSetBuilder<Decoration>();
  if (state.doc.length <= colourLimit)
    for (const { start, end, kind } of tokenKinds(state.doc.toString()))
      marks.add(start, end, Decoration.mark({ class: `token-${kind}` }));
  return marks.finish();
}

/** Colours come from the page's custom properties, which reach into the shadow tree. */
const theme = EditorView.theme({
  "&": { height: "100%", fontSize: "14px", backgroundColor: "var(--surface)", color: "var(--text)" },
  ".cm-scroller": {
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
    lineHeight: "1.5",
  },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--selection)",
  },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--quiet)", border: "none" },
  ".cm-activeLine": { backgroundColor: "var(--line)" },
  "&.cm-focused .cm-matchingBracket": {
    backgroundColor: "var(--selection)",
    outline: "1px solid var(--quiet)",
  },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--border)",
  },
  ".cm-diagnostic": { whiteSpace: "pre-wrap" },
  ".token-comment": { color: "var(--quiet)", fontStyle: "italic" },
  ".token-keyword": { color: "var(--keyword)", fontWeight: "600" },
  ".token-number": { color: "var(--number)" },
  ".token-string": { color: "var(--string)" },
  ".token-operator": { color: "var(--operator)" },
});

/**
 * An editor for a spec, in a shadow tree: there CodeMirror adopts its styles as style sheets, which a policy without inline styles
 * allows.
 */
export function createEditor(place: HTMLElement, text: string, onChange: (text: string) => void): SpecEditor {
  const root = place.attachShadow({ mode: "open" });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        indentUnit.of("  "),
        EditorView.contentAttributes.of({ "aria-label": "Spec", spellcheck: "false", tabindex: "0" }),
        // Escape, then Tab leaves the editor: CodeMirror, "Tab Handling".
        keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap, indentWithTab]),
        lintGutter(),
        colours,
        theme,
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  const clamp = (offset: number): number => Math.min(offset, view.state.doc.length);
  return {
    get text() {
      return view.state.doc.toString();
    },
    setText(next) {
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: next },
        selection: { anchor: 0 },
      });
    },
    show(problems) {
      const diagnostics = problems.map(
        ({ from, to, severity, message, label, hint }): Diagnostic => ({
          from: clamp(from),
          to: clamp(to),
          severity,
          message: [
            message,
            ...(label === "" ? [] : [label]),
            ...(hint === undefined ? [] : [`hint: ${hint}`]),
          ].join("\n"),
        }),
      );
      view.dispatch(setDiagnostics(view.state, diagnostics));
    },
    focusOn({ from, to }) {
      view.dispatch({ selection: { anchor: clamp(from), head: clamp(to) }, scrollIntoView: true });
      view.focus();
    },
  };
}
