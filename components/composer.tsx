import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import type { ChatSnapshot, ChatStore } from "./chat-store.ts";
import type { Drafts } from "./drafts.ts";
import { SendIcon, StopIcon } from "./icons.tsx";
import { useHydrated } from "./use-hydrated.ts";

type ComposerProps = Readonly<{
  store: ChatStore;
  snapshot: ChatSnapshot;
  drafts: Drafts;
  isRunning: boolean;
}>;

/**
 * Where one writes. The browser keeps the text, not React: what was typed before the script came stays,
 * and a key costs no render. One button sends, and stops while an answer is being written.
 */
export function Composer({ store, snapshot, drafts, isRunning }: ComposerProps) {
  const { field, hasText, keep, take } = useKeptText({ store, snapshot, drafts });
  useEffect(() => {
    // Where focus opens a keyboard on the screen, it is the person who asks for it.
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, [field]);
  const isHydrated = useHydrated();

  const send = () => {
    const text = take();
    if (text !== null) store.send(text);
    field.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    const isPlainEnter = event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing;
    if (!isPlainEnter) return;
    event.preventDefault();
    if (!isRunning) send();
  };

  return (
    <div className="flex items-end gap-2 rounded-2xl border border-field-line bg-raised p-1.5 pl-4 focus-within:border-accent focus-within:ring-3 focus-within:ring-accent/15">
      <label htmlFor="composer" className="sr-only">
        Message
      </label>
      <textarea
        ref={field}
        id="composer"
        rows={1}
        placeholder="Write a message"
        enterKeyHint="send"
        onInput={keep}
        onKeyDown={onKeyDown}
        className="field-sizing-content max-h-[40dvh] min-h-11 grow resize-none bg-transparent py-2 text-body outline-none placeholder:text-ink-soft"
      />
      <button
        type="button"
        onClick={isRunning ? store.stop : send}
        disabled={!isHydrated || (!isRunning && !hasText)}
        aria-label={isRunning ? "Stop the answer" : "Send the message"}
        className="grid size-11 shrink-0 place-items-center rounded-xl bg-accent text-on-accent hover:opacity-90 disabled:bg-line disabled:text-ink-soft"
      >
        {isRunning ? <StopIcon /> : <SendIcon />}
      </button>
    </div>
  );
}

/** The text in the field, kept as the conversation's draft until a turn has begun with it. */
function useKeptText({ store, snapshot, drafts }: Omit<ComposerProps, "isRunning">) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [hasText, setHasText] = useState(false);
  const { outbox } = snapshot.connection;
  const { returnedText, conversation } = snapshot;
  const { sessionId } = conversation;
  const keptUnder = useRef(sessionId);

  const keep = () => {
    const text = field.current?.value ?? "";
    setHasText(text.trim() !== "");
    const onTheirWay = store.getSnapshot().connection.outbox.map((message) => message.text);
    drafts.write(store.sessionId, [...onTheirWay, text]);
  };

  useEffect(() => {
    const onTheirWay = store.getSnapshot().connection.outbox.map((message) => message.text);
    const draft = drafts.read(store.sessionId, onTheirWay);
    // What was typed before the script came goes before what was kept.
    if (field.current && field.current.value === "") field.current.value = draft;
    setHasText((field.current?.value ?? "").trim() !== "");
  }, [store, drafts]);

  useEffect(() => {
    if (returnedText === null || !field.current) return;
    field.current.value = [returnedText, field.current.value].filter(Boolean).join("\n\n");
    setHasText(true);
    store.takeReturnedText();
  }, [store, returnedText]);

  useEffect(() => {
    if (keptUnder.current !== sessionId) drafts.write(keptUnder.current, []);
    keptUnder.current = sessionId;
    const onTheirWay = outbox.map((message) => message.text);
    drafts.write(sessionId, [...onTheirWay, field.current?.value ?? ""]);
  }, [drafts, sessionId, outbox]);

  const take = (): string | null => {
    const text = field.current?.value ?? "";
    if (!field.current || text.trim() === "") return null;
    field.current.value = "";
    setHasText(false);
    return text;
  };

  return { field, hasText, keep, take };
}
