import { memo } from "react";

/**
 * A message's text, exactly as it was written. It is cut at blank lines and each piece is its own
 * memoised block, so that while an answer streams only its last block is laid out again.
 */
export function MessageText({ text }: Readonly<{ text: string }>) {
  return blocksOf(text).map((block, index) => <Block key={index} text={block} />);
}

const Block = memo(function Block({ text }: Readonly<{ text: string }>) {
  return <div className="whitespace-pre-wrap wrap-anywhere">{text}</div>;
});

/** The pieces keep their blank lines, so that what is copied is what was written. */
function blocksOf(text: string): string[] {
  return text.split(/(?<=\n\n)(?!\n)/);
}
