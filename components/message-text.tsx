import { memo } from "react";

/**
 * A message's text as it was written, but for what trails after it. It is cut at blank lines, and each
 * piece is a memoised block: while an answer streams only its last one is laid out again.
 */
export function MessageText({ text }: Readonly<{ text: string }>) {
  return blocksOf(text.trimEnd()).map((block, index) => <Block key={index} text={block} />);
}

const Block = memo(function Block({ text }: Readonly<{ text: string }>) {
  return <div className="whitespace-pre-wrap wrap-anywhere">{text}</div>;
});

/** The pieces keep their blank lines, so that what is copied is what was written. */
function blocksOf(text: string): string[] {
  return text.split(/(?<=\n\n)(?!\n)/);
}
