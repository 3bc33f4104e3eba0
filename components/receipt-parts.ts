import type { Message } from "#lib/api/schemas.ts";

/** What an answer took, in the order it is read: model, times, tokens, what the service added, cost. */
export function receiptParts({ model, timings, usage, cost }: Message): string[] {
  const about = usage?.estimated ? "about " : "";
  const parts = [
    model,
    timings && timings.ttft_ms !== null && `${duration(timings.ttft_ms)} to first token`,
    timings &&
      timings.tokens_per_second !== null &&
      `${number(timings.tokens_per_second)} tokens/s`,
    usage && `${about}${number(usage.prompt_tokens)} in, ${number(usage.completion_tokens)} out`,
    usage?.reasoning_tokens && `${number(usage.reasoning_tokens)} for thinking`,
    usage?.omitted_messages && `${number(usage.omitted_messages)} earlier messages left out`,
    timings && `${duration(timings.overhead_ms)} overhead`,
    cost && dollars(cost),
  ];
  return parts.filter((part): part is string => Boolean(part));
}

function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${number(milliseconds / 1000)} s`;
  return `${number(milliseconds)} ms`;
}

function number(value: number): string {
  const maximumFractionDigits = value < 10 ? 1 : 0;
  return value.toLocaleString("en-US", { maximumFractionDigits });
}

function dollars(cost: number): string {
  const maximumSignificantDigits = 3;
  return cost.toLocaleString("en-US", {
    style: "currency",
    currency: "USD",
    maximumSignificantDigits,
  });
}
