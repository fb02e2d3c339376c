/** Rows of a streamed list of contract 1, one at a time and in constant memory. */

import { BrokenAnswer } from "./errors.js";
import type { ListEnvelope } from "./shapes/index.js";
import type { OpenAnswer } from "./transport.js";

/** What stands before the rows. The server writes no blanks, and no text before it. */
const BEGIN = '"data":[';

/**
 * Async iterator over the rows of one answer, which is closed at its end or when the loop is left.
 *
 * Whoever takes long over each row should collect them first: the installation ends a list that is read slowly.
 */
export class Rows<Row> implements AsyncIterableIterator<Row> {
  /** `id_solicitud`, `timestamp` and the count, once all rows are out. */
  envelope: ListEnvelope | undefined;
  private readonly rows: AsyncGenerator<Row, void, void>;

  constructor(private readonly answer: OpenAnswer) {
    this.rows = this.read();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Row, void>> {
    return this.rows.next();
  }

  /** End the list early. */
  async return(): Promise<IteratorResult<Row, void>> {
    this.answer.reading.end();
    await this.rows.return();
    return { done: true, value: undefined };
  }

  /** All rows, for a list that is short or slow to process. */
  async all(): Promise<Row[]> {
    const found: Row[] = [];
    for await (const row of this) found.push(row);
    return found;
  }

  private async *read(): AsyncGenerator<Row, void, void> {
    const splitter = new RowSplitter();
    let count = 0;
    for await (const text of this.texts())
      for (const row of splitter.push(text)) {
        count += 1;
        yield JSON.parse(row) as Row;
      }
    this.envelope = envelopeOf(splitter.around, count);
  }

  private async *texts(): AsyncGenerator<string, void, void> {
    const decoder = new TextDecoder();
    const reader = this.answer.response.body?.getReader();
    if (reader === undefined) return;
    for (;;) {
      const { done, value } = await this.answer.reading.next(() => reader.read());
      yield decoder.decode(value, { stream: !done });
      if (done) return;
    }
  }
}

/** Finds the objects of the array `data` in a text that comes in pieces; keeps what is around them. */
class RowSplitter {
  around = "";
  private pending = "";
  private place: "head" | "rows" | "tail" = "head";
  private position = 0;
  private depth = 0;
  private inText = false;
  private escaped = false;

  *push(text: string): Generator<string, void, void> {
    if (this.place === "tail") {
      this.around += text;
      return;
    }
    this.pending += text;
    if (this.place === "head" && !this.findRows()) return;
    yield* this.completeRows();
  }

  private findRows(): boolean {
    const begin = this.pending.indexOf(BEGIN);
    if (begin === -1) return false;
    this.around = this.pending.slice(0, begin + BEGIN.length);
    this.pending = this.pending.slice(begin + BEGIN.length);
    this.place = "rows";
    return true;
  }

  private *completeRows(): Generator<string, void, void> {
    let start = 0;
    for (; this.position < this.pending.length; this.position += 1) {
      const character = this.pending[this.position];
      if (this.depth === 0 && character === "]") {
        this.place = "tail";
        this.around += this.pending.slice(this.position);
        return;
      }
      if (this.depth === 0 && character === ",") start = this.position + 1;
      else if (this.ends(character)) {
        yield this.pending.slice(start, this.position + 1);
        start = this.position + 1;
      }
    }
    this.pending = this.pending.slice(start);
    this.position -= start;
  }

  /** Whether a character ends the object that it stands in. */
  private ends(character: string | undefined): boolean {
    if (this.inText) {
      if (this.escaped) this.escaped = false;
      else if (character === "\\") this.escaped = true;
      else if (character === '"') this.inText = false;
      return false;
    }
    if (character === '"') this.inText = true;
    if (character === "{" || character === "[") this.depth += 1;
    if (character !== "}" && character !== "]") return false;
    this.depth -= 1;
    return this.depth === 0;
  }
}

/** What is around the rows. Throws BrokenAnswer if it has no end, or counts other rows than came. */
function envelopeOf(text: string, count: number): ListEnvelope {
  let envelope: ListEnvelope;
  try {
    envelope = JSON.parse(text) as ListEnvelope;
  } catch (error) {
    throw new BrokenAnswer("the list ends early", { cause: error });
  }
  const promised = (envelope as Partial<ListEnvelope>).resultados?.cuenta;
  if (promised !== count) throw new BrokenAnswer(`${count} rows came of ${promised}`);
  return envelope;
}
