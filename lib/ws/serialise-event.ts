import type { TurnEvent } from "../llm/turn-event.ts";
import { toFrame } from "./to-frame.ts";

const texts = new WeakMap<TurnEvent, string>();

/** The event's frame as JSON, made once however many readers get it, so that all get the same bytes. */
export function serialiseEvent(event: TurnEvent): string {
  let text = texts.get(event);
  if (text === undefined) texts.set(event, (text = JSON.stringify(toFrame(event))));
  return text;
}
