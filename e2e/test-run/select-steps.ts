import type { Step } from "./steps.ts";

export type Selection = Readonly<{ steps: readonly Step[]; rest: readonly string[] }>;

/**
 * Reads the words after `npm test --`: the leading names choose steps (none chooses all), what follows
 * (files, options) is handed to the one step chosen. Throws a sentence where that makes no sense.
 */
export function selectSteps(words: readonly string[], steps: readonly Step[]): Selection {
  const names = steps.map((step) => step.name);
  const end = words.findIndex((word) => !names.includes(word));
  const chosen = end === -1 ? words : words.slice(0, end);
  const rest = end === -1 ? [] : words.slice(end);
  if (rest.length > 0 && chosen.length !== 1) {
    throw new Error(
      `Name one step before ${rest.join(" ")}: npm test -- <${names.join("|")}> [files and options]`,
    );
  }
  if (chosen.length === 0) return { steps, rest };
  return { steps: steps.filter((step) => chosen.includes(step.name)), rest };
}
