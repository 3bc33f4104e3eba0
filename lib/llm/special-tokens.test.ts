import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  createSpecialTokenFilter,
  defaultControlTokens,
  type Segment,
  serviceTokens,
  type SpecialTokenFilterOptions,
} from "./special-tokens.ts";

const text = (value: string): Segment => ({ kind: "text", text: value });
const reasoning = (value: string): Segment => ({ kind: "reasoning", text: value });

/** What a reader has after the whole stream: neighbouring segments of one kind are one. */
function run(deltas: readonly string[], options?: SpecialTokenFilterOptions): Segment[] {
  const filter = createSpecialTokenFilter(options);
  const segments = [...deltas.flatMap((delta) => filter.push(delta)), ...filter.flush()];
  for (const segment of segments) {
    assert.notEqual(segment.text, "");
    assert.ok(segment.text.isWellFormed(), JSON.stringify(segment));
  }
  return segments.reduce<Segment[]>((merged, segment) => {
    const last = merged.at(-1);
    if (last?.kind !== segment.kind) return [...merged, segment];
    return [...merged.slice(0, -1), { kind: segment.kind, text: last.text + segment.text }];
  }, []);
}

const joined = (segments: readonly Segment[]) => segments.map((segment) => segment.text).join("");

const cases: readonly (readonly [input: string, expected: readonly Segment[]])[] = [
  ["", []],
  ["plain", [text("plain")]],
  ["<think>why</think>because", [reasoning("why"), text("because")]],
  [
    "a<think>b</think>c<think>d</think>e",
    [text("a"), reasoning("b"), text("c"), reasoning("d"), text("e")],
  ],
  ["<think></think>empty", [text("empty")]],
  ["<think>never closed", [reasoning("never closed")]],
  ["<think>a<think>b</think>c", [reasoning("ab"), text("c")]],
  ["stray</think> close", [text("stray close")]],
  ["<start>a<tool>{}</tool>b</end>", [text("a{}b")]],
  ["<think>a<|im_end|>b</think>", [reasoning("ab")]],
  ["<|im_start|>assistant\nHi<|im_end|>", [text("assistant\nHi")]],
  ["Hi<|eot_id|><|start_header_id|>", [text("Hi")]],
  ["Hi<｜end▁of▁sentence｜>", [text("Hi")]],
  ["<start_of_turn>x<end_of_turn>", [text("x")]],
  // What merely looks similar.
  ["<thinking>x</thinking>", [text("<thinking>x</thinking>")]],
  ["< think>x</ think>", [text("< think>x</ think>")]],
  ["<THINK>x</Think>", [text("<THINK>x</Think>")]],
  ["<think >", [text("<think >")]],
  ["a < b <= c << d </", [text("a < b <= c << d </")]],
  ["<thi", [text("<thi")]],
  ["<think", [text("<think")]],
  ["<s>struck</s> <end> </start> <tools>", [text("<s>struck</s> <end> </start> <tools>")]],
  ["x <| f |> y, <|im_start>, <|endoftext>", [text("x <| f |> y, <|im_start>, <|endoftext>")]],
  ["[INST] <pad> <bos>", [text("[INST] <pad> <bos>")]],
  // A false start right before a token.
  ["<<think>a<</think>b", [text("<"), reasoning("a<"), text("b")]],
  ["<thi<think>a</thi</think>b", [text("<thi"), reasoning("a</thi"), text("b")]],
  ["<|im_<|im_end|>x", [text("<|im_x")]],
  ["<to</end>ol>", [text("<tool>")]],
  // Unicode.
  ["👋🏽 世界 <think>🤔</think>👍", [text("👋🏽 世界 "), reasoning("🤔"), text("👍")]],
  ["a\ud83d", [text("a\ufffd")]],
  ["\ude00a", [text("\ufffda")]],
  ["a\ud83d\ud83d\ude00", [text("a\ufffd😀")]],
  ["\ud83d</end>\ude00", [text("\ufffd\ufffd")]],
  ["\ud83d<think>\ude00", [text("\ufffd"), reasoning("\ufffd")]],
  ["\ud83d<", [text("\ufffd<")]],
  ["\ud83d<thi", [text("\ufffd<thi")]],
];

describe("the special token filter", () => {
  for (const [input, expected] of cases) {
    test(`reads ${JSON.stringify(input)} the same at every split`, () => {
      assert.deepEqual(run([input]), expected);
      for (let first = 0; first <= input.length; first += 1) {
        for (let second = first; second <= input.length; second += 1) {
          const deltas = [input.slice(0, first), input.slice(first, second), input.slice(second)];
          assert.deepEqual(run(deltas), expected, JSON.stringify(deltas));
        }
      }
      assert.deepEqual(run(input.split("")), expected);
    });
  }

  for (const token of [...serviceTokens, ...defaultControlTokens]) {
    test(`never emits ${token}, and emits each of its beginnings`, () => {
      assert.equal(joined(run([`a${token}b`])), "ab");
      assert.equal(joined(run(`a${token}b`.split(""))), "ab");
      for (let length = 1; length < token.length; length += 1) {
        const beginning = token.slice(0, length);
        assert.deepEqual(run([beginning]), [text(beginning)]);
        assert.deepEqual(run([...beginning.split(""), "~"]), [text(`${beginning}~`)]);
      }
    });
  }

  test("gives the same result for any chunking of any input", () => {
    const seed = Number(process.hrtime.bigint() & 0xffff_ffffn);
    const random = seededRandom(seed);
    const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)] ?? "";
    const options = {
      controlTokens: [...defaultControlTokens, "<|im_start|>user", "<|im", "ab", "a<think>b"],
    };
    const pieces = [...serviceTokens, ...options.controlTokens]
      .flatMap((token) => [token, token.slice(0, -1), token.slice(0, 3), token.slice(2)])
      .concat(["<", ">", "/", "|", "a", "b", " ", "😀", "\ud83d", "\ude00", "世"]);
    for (let round = 0; round < 2000; round += 1) {
      const input = Array.from({ length: 1 + random() * 12 }, () => pick(pieces)).join("");
      const deltas: string[] = [];
      for (let position = 0; position < input.length;) {
        const length = Math.floor(random() * 5);
        deltas.push(input.slice(position, position + length));
        position += length;
      }
      const context = `seed ${seed}, deltas ${JSON.stringify(deltas)}`;
      assert.deepEqual(run(deltas, options), run([input], options), context);
    }
  });

  test("passes text on as soon as it can no longer become a token", () => {
    const filter = createSpecialTokenFilter();
    const steps: readonly (readonly [string, readonly Segment[]])[] = [
      ["a <", [text("a ")]],
      [" b", [text("< b")]],
      ["<thin", []],
      ["ki", [text("<thinki")]],
      ["ng>", [text("ng>")]],
      ["x<<", [text("x<")]],
      ["think>", []],
      ["y", [reasoning("y")]],
      ["</thi", []],
      ["nk", []],
      ["", []],
      [">z", [text("z")]],
      ["\ud83d", []],
      ["\ude00", [text("😀")]],
      ["\ud83d", []],
      ["</", [text("\ufffd")]],
    ];
    for (const [delta, expected] of steps) assert.deepEqual(filter.push(delta), expected, delta);
    assert.deepEqual(filter.flush(), [text("</")]);
    assert.deepEqual(filter.flush(), []);
  });

  test("merges neighbours of one kind within a push", () => {
    const filter = createSpecialTokenFilter();
    assert.deepEqual(filter.push("a<tool>b</tool>c<think>d<start>e"), [
      text("abc"),
      reasoning("de"),
    ]);
  });

  test("prefers the longest token and waits for it", () => {
    const options = { controlTokens: ["<|a|>", "<|a|>user"] };
    for (const deltas of [["<|a|>user!"], ["<|a|>", "user!"], ["<|a|>us", "er!"]]) {
      assert.deepEqual(run(deltas, options), [text("!")]);
    }
    assert.deepEqual(run(["<|a|>", "used"], options), [text("used")]);
    assert.deepEqual(run(["<|a|>us"], options), [text("us")]);
  });

  test("finds a token inside the beginning of a longer one that never comes", () => {
    const options = { controlTokens: ["a<think>b"] };
    for (const deltas of [["a<think>"], ["a", "<think>"]]) {
      assert.deepEqual(run(deltas, options), [text("a")]);
      assert.deepEqual(run([...deltas, "c"], options), [text("a"), reasoning("c")]);
      assert.deepEqual(run([...deltas, "b"], options), []);
    }
  });

  test("ignores empty and ill-formed control tokens", () => {
    const options = { controlTokens: ["", "x\ud83d", "\ude00"] };
    assert.deepEqual(run(["x\ud83d", "\ude00"], options), [text("x😀")]);
  });

  test("takes a model's own tokens instead of the default list, beside the service's", () => {
    const options = { controlTokens: ["</s>", "[INST]"] };
    assert.deepEqual(run(["<think>a</think>b</s>[INST]<|im_end|>"], options), [
      reasoning("a"),
      text("b<|im_end|>"),
    ]);
  });

  for (const unit of ["<", "<think", "<|im_start", "<think>", "a</end>", "\ud83d"]) {
    test(`takes time linear in the input: ${JSON.stringify(unit)} repeated`, () => {
      const input = unit.repeat(Math.floor(2 ** 20 / unit.length));
      const filter = createSpecialTokenFilter();
      const startedAt = performance.now();
      filter.push(input);
      for (const delta of input.slice(0, 2 ** 17)) filter.push(delta);
      filter.flush();
      // About 100 ms here; quadratic work on 1 MiB takes minutes.
      assert.ok(performance.now() - startedAt < 5000);
    });
  }
});

/** A linear congruential generator: small, seedable, good enough to pick test inputs. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
