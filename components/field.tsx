import { useId, type ComponentProps, type ReactNode } from "react";

type FieldFrame = Readonly<{
  name: string;
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
}>;

type FieldProps = FieldFrame &
  (
    | ({ as?: "input" } & ComponentProps<"input">)
    | ({ as: "textarea" } & ComponentProps<"textarea">)
    | ({ as: "select" } & ComponentProps<"select">)
  );

const controlLook =
  "min-h-11 w-full rounded-lg border bg-raised px-3 py-2 text-body text-ink placeholder:text-ink-soft";

/** A labelled control with its hint and its error, both tied to it for assistive technology. */
export function Field({ name, label, hint, error, as: Control = "input", ...control }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const ControlTag = Control as "input";
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="text-label font-medium">
        {label}
      </label>
      <ControlTag
        {...(control as ComponentProps<"input">)}
        id={id}
        name={name}
        aria-invalid={error ? true : undefined}
        aria-describedby={described || undefined}
        className={`${controlLook} ${error ? "border-danger" : "border-field-line"}`}
      />
      {hint && (
        <p id={`${id}-hint`} className="text-small text-ink-soft">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="text-small text-danger">
          {error}
        </p>
      )}
    </div>
  );
}
