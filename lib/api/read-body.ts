import { AppError } from "../errors.ts";
import type { Route } from "./routes.ts";

const mediaTypes = {
  json: "application/json",
  form: "application/x-www-form-urlencoded",
} as const;

/**
 * Reads a request's body as its route wants it, and never more of it than `maxBytes`.
 *
 * @throws {AppError} `unsupported_media_type`, `payload_too_large`, `bad_request` for what is not
 *   UTF-8 or not JSON, `invalid_request` for a form field that is repeated.
 */
export async function readBody(
  request: Request,
  body: NonNullable<Route["body"]>,
  maxBytes: number,
): Promise<unknown> {
  const isExpected = isOfType(request, mediaTypes[body.type]);
  if (!isExpected && !body.optional) throw unsupported(body);
  const text = await readText(request, maxBytes);
  if (body.optional && text === "") return {};
  if (!isExpected) throw unsupported(body);
  return body.type === "json" ? parseJson(text) : parseForm(text);
}

function isOfType({ headers }: Request, mediaType: string): boolean {
  const type = headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  return type === mediaType && !headers.has("content-encoding");
}

function unsupported({ type }: NonNullable<Route["body"]>): AppError {
  return new AppError("unsupported_media_type", `Send ${mediaTypes[type]}, not compressed.`);
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  const tooLarge = () =>
    new AppError("payload_too_large", `A request may have ${maxBytes} bytes at most.`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of request.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw tooLarge();
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("bad_request", "The body is cut off or not UTF-8.", { cause: error });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError("bad_request", "The body is not valid JSON.");
  }
}

/** A field without a value counts as left out (RFC 6749, section 3.2). */
function parseForm(text: string): Record<string, string> {
  const fields = new URLSearchParams(text);
  for (const name of fields.keys()) {
    if (fields.getAll(name).length > 1) {
      throw new AppError("invalid_request", `The field ${name} is repeated.`);
    }
  }
  return Object.fromEntries([...fields].filter(([, value]) => value !== ""));
}
