import { ModelFileError, SourceError } from "./model-file-error.ts";
import type { DownloadTimeouts } from "./download.ts";
import type { ExpectedFile, RemoteModel } from "./model-sources.ts";
import { Watchdog } from "./watchdog.ts";

const referencePattern =
  /^hf:(?<owner>[\w.-]+)\/(?<repository>[\w.-]+)\/(?<path>[\w./ -]+\.gguf)(?:#(?<revision>[\w./-]+))?$/i;

/** Hugging Face's own host; another one is for tests and mirrors. */
export const defaultHuggingFaceUrl = "https://huggingface.co";

/**
 * Reads a reference of the form `hf:owner/repository/file.gguf`, with `#revision` at the end for
 * another revision than `main`.
 *
 * @throws ModelFileError local_model_invalid
 */
export function parseHuggingFaceReference(reference: string, baseUrl: string): RemoteModel {
  const groups = referencePattern.exec(reference)?.groups;
  const { owner, repository, path, revision = "main" } = groups ?? {};
  if (!owner || !repository || !path || path.split("/").includes("..")) {
    throw new ModelFileError(
      "local_model_invalid",
      `LOCAL_MODEL is "${reference}", which is not a Hugging Face reference. ` +
        "Write it as hf:owner/repository/file.gguf, or give the path of a GGUF file.",
    );
  }
  const fileName = path.slice(path.lastIndexOf("/") + 1);
  const urlPath = [owner, repository, "resolve", revision, path].map(encodePath).join("/");
  return {
    modelId: fileName.replace(/\.gguf$/i, ""),
    fileName: [owner, repository, revision, path].join("--").replaceAll(/[^\w.-]/g, "-"),
    expected: { sizeBytes: undefined, sha256: undefined },
    sources: [{ kind: "hub", name: "Hugging Face", url: `${baseUrl}/${urlPath}` }],
  };
}

/**
 * Asks what a file on Hugging Face must be: its first answer, before the redirect to the storage,
 * names the size and the SHA-256 of a large file in `X-Linked-Size` and `X-Linked-Etag`.
 *
 * @throws SourceError when the host does not answer or does not have the file.
 */
export async function describeHuggingFaceFile(
  url: string,
  options: Readonly<{ timeouts: DownloadTimeouts; signal?: AbortSignal | undefined }>,
): Promise<ExpectedFile> {
  const { connectMs } = options.timeouts;
  using watchdog = new Watchdog(options.signal);
  watchdog.arm(connectMs, `it did not answer within ${connectMs} ms`);
  const response = await fetch(url, {
    method: "HEAD",
    redirect: "manual",
    signal: watchdog.signal,
  }).catch((cause: unknown) => {
    throw watchdog.problem === undefined ? cause : new SourceError(watchdog.problem, { cause });
  });
  if (response.status >= 400) {
    throw new SourceError(`it answered with status ${response.status}`);
  }
  const size = response.headers.get("x-linked-size") ?? "";
  const hash = /^"?([0-9a-f]{64})"?$/i.exec(response.headers.get("x-linked-etag") ?? "")?.[1];
  return {
    sizeBytes: /^\d+$/.test(size) ? Number(size) : undefined,
    sha256: hash?.toLowerCase(),
  };
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
