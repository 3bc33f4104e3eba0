import type { Message } from "#lib/api/schemas.ts";
import { receiptParts } from "./receipt-parts.ts";

/** What the answer took, in small figures under it. */
export function Receipt({ message }: Readonly<{ message: Message }>) {
  const parts = receiptParts(message);
  return (
    <ul
      aria-label="Receipt"
      className="flex flex-wrap gap-x-3 text-small text-ink-soft tabular-nums"
    >
      {parts.map((part) => (
        <li key={part}>{part}</li>
      ))}
    </ul>
  );
}
