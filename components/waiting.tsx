import { useEffect, useState } from "react";
import type { Phase } from "./phase.ts";

const slowAfterMs = 8_000;

type WaitingProps = Readonly<{ phase: Phase | null; model: string | undefined }>;

/** What happens before and while an answer is written. Give it the phase as its key: the words grow with its time. */
export function Waiting({ phase, model }: WaitingProps) {
  const isSlow = useIsSlow();
  const words = phase && wordsOf(phase, { model: model ?? "the model", isSlow });
  return words ? <p className="text-label text-ink-soft">{words}</p> : null;
}

function wordsOf(
  phase: Phase,
  { model, isSlow }: Readonly<{ model: string; isSlow: boolean }>,
): string | null {
  switch (phase) {
    case "waiting":
      return isSlow
        ? `Still waiting for ${model}. It may be slow right now.`
        : `Waiting for ${model}…`;
    case "thinking":
      return isSlow ? "Still thinking." : null;
    case "writing":
      return "Writing…";
    default:
      return null;
  }
}

function useIsSlow(): boolean {
  const [isSlow, setIsSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsSlow(true), slowAfterMs);
    return () => clearTimeout(timer);
  }, []);
  return isSlow;
}
