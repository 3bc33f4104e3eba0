import { useRef, useState, type FormEvent, type SubmitEvent } from "react";
import type { z } from "zod";
import { ApiError } from "./api-client.ts";
import { sentenceFor, validateFields, type FieldErrors } from "./field-errors.ts";

type FormSetup<T> = Readonly<{
  schema: z.ZodType<T>;
  labels: Readonly<Record<string, string>>;
  /** What the schema is asked about. */
  read: (fields: FormData) => unknown;
  /** Errors raised here are shown: at their fields where they name them, else above the button. */
  submit: (value: T) => Promise<void>;
}>;

export type ValidatedForm = Readonly<{
  /** The sentence to show at a field, if any. */
  errorOf: (name: string) => string | undefined;
  /** What is wrong with the whole. */
  formError: string | null;
  isBusy: boolean;
  handlers: Readonly<{
    noValidate: true;
    onSubmit: (event: SubmitEvent<HTMLFormElement>) => void;
    onInput: (event: FormEvent<HTMLFormElement>) => void;
    onBlur: (event: FormEvent<HTMLFormElement>) => void;
    onPointerDown: () => void;
  }>;
}>;

/**
 * A form that is checked while one types, by the API's own schema. What further typing may mend (too
 * short, empty) is said once the field was left or the form was sent; everything else at once. The
 * fields keep their text whatever happens.
 */
export function useValidatedForm<T>({ schema, labels, read, submit }: FormSetup<T>): ValidatedForm {
  const [errors, setErrors] = useState<FieldErrors>({});
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [formError, setFormError] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const isPressed = useRef(false);
  const allFields = useRef<ReadonlySet<string>>(new Set(Object.keys(labels)));

  /** A sentence that appeared during a press would push the pressed button from under the pointer. */
  const afterPress = (reveal: () => void) => {
    if (!isPressed.current) reveal();
    else addEventListener("pointerup", () => setTimeout(reveal), { once: true });
  };

  const check = (form: HTMLFormElement) => {
    const result = validateFields(schema, read(new FormData(form)), labels);
    setErrors(result.errors ?? {});
    return result;
  };

  const send = async (value: T, form: HTMLFormElement) => {
    setIsBusy(true);
    setFormError(null);
    try {
      await submit(value);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const refused = error.errors.filter(({ path }) => path in labels);
      setErrors(
        Object.fromEntries(
          refused.map(({ path, message }) => [
            path,
            { text: sentenceFor(labels[path] ?? path, message), isUnfinished: false },
          ]),
        ),
      );
      setFormError(refused.length > 0 ? null : error.message);
      focusField(
        form,
        refused.map(({ path }) => path),
      );
    } finally {
      setIsBusy(false);
    }
  };

  return {
    errorOf: (name) => {
      const error = errors[name];
      return error && (!error.isUnfinished || left.has(name)) ? error.text : undefined;
    },
    formError,
    isBusy,
    handlers: {
      noValidate: true,
      onSubmit: (event) => {
        event.preventDefault();
        if (isBusy) return;
        setLeft(allFields.current);
        const { value, errors: refused } = check(event.currentTarget);
        if (refused === null) void send(value, event.currentTarget);
        else focusField(event.currentTarget, Object.keys(refused));
      },
      onInput: (event) => void check(event.currentTarget),
      onBlur: (event) => {
        const { name } = event.target as HTMLInputElement;
        if (name) afterPress(() => setLeft((names) => new Set([...names, name])));
      },
      onPointerDown: () => {
        isPressed.current = true;
        addEventListener("pointerup", () => (isPressed.current = false), { once: true });
      },
    },
  };
}

/** Leads to the first refused field in the order of the page. */
function focusField(form: HTMLFormElement, names: readonly string[]): void {
  const fields = [...form.elements] as HTMLInputElement[];
  fields.find(({ name }) => names.includes(name))?.focus();
}
