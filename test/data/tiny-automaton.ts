import { type Automaton, createAutomatonBuilder } from "../../runtime/data/automaton.ts";

/** A language small enough to list every pair: a colour and one or two words that go with it. */
export function tinyAutomaton(): Automaton {
  const b = createAutomatonBuilder();
  const red = b.state();
  const blue = b.state();
  const any = b.state();
  const afterRed = b.state();
  const afterBlue = b.state();
  const late = b.state();
  b.arc(any, afterRed, "r", 0.6);
  b.arc(any, afterBlue, "b", 0.4);
  b.arc(red, afterRed, "r", 0.9);
  b.arc(red, afterBlue, "b", 0.1);
  b.arc(blue, afterBlue, "b", 0.7);
  b.arc(blue, late, "q", 0.3);
  b.arc(afterRed, red, "x", 0.5);
  b.arc(afterRed, late, "y", 0.5);
  b.arc(afterBlue, blue, "y", 0.8);
  b.arc(afterBlue, blue, "x", 0.2);
  b.arc(late, red, "z", 0.75);
  b.arc(late, blue, "z", 0.25);
  return b.build(3, [0, 0, 1], [2, 4]);
}
