/** Feed of events as an async iterator that reads page after page and waits for news by itself. */

import { CursorGone } from "./errors.js";
import type { Event, EventsPage } from "./shapes/index.js";
import type { Clock } from "./transport.js";

export interface EventsOptions {
  /** The cursor that was stored; without one the oldest event that is kept is the first. */
  after?: string | undefined;
  types?: string[] | undefined;
  limit?: number | undefined;
  /** False: end with the feed, instead of waiting for news. */
  follow?: boolean | undefined;
  /** `oldest`: continue with the oldest event where the cursor is gone, instead of throwing CursorGone. */
  onGone?: "throw" | "oldest" | undefined;
  /** Ends the iterator; what was being waited for is given up. */
  signal?: AbortSignal | undefined;
}

type Read = (after: string | undefined) => Promise<{ body: EventsPage; retryAfter: number }>;

/**
 * Async iterator over events. It has no end unless `follow` is false or `signal` is aborted.
 *
 * Store `cursor` when the event at hand is processed, and give it as `after` the next time. Within a page it is still
 * the one before that page, because a cursor has no place inside of it: what comes again has the same `id`. After an
 * error the iterator can be used on; it continues where it was.
 */
export class Events implements AsyncIterableIterator<Event> {
  /** What to store once the event at hand is processed. */
  cursor: string | undefined;
  /** Whether the last page that was read was the end of the feed. */
  upToDate = false;
  private nextCursor: string | undefined;
  private waiting: Event[] = [];
  private retryAfter = 0;
  private isClosed = false;

  constructor(
    private readonly read: Read,
    private readonly clock: Clock,
    private readonly options: EventsOptions,
  ) {
    this.cursor = this.nextCursor = options.after;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Event, void>> {
    try {
      return await this.find();
    } catch (error) {
      if (!this.options.signal?.aborted) throw error;
      return { done: true, value: undefined };
    }
  }

  async return(): Promise<IteratorResult<Event, void>> {
    this.isClosed = true;
    return { done: true, value: undefined };
  }

  private async find(): Promise<IteratorResult<Event, void>> {
    while (!this.isClosed && !this.options.signal?.aborted) {
      const event = this.waiting.shift();
      if (event !== undefined) {
        if (this.waiting.length === 0) this.cursor = this.nextCursor;
        return { done: false, value: event };
      }
      if (!this.upToDate) await this.load();
      else if (this.options.follow === false) break;
      else {
        await this.clock.sleep(this.retryAfter * 1000, this.options.signal);
        this.upToDate = false;
      }
    }
    return { done: true, value: undefined };
  }

  private async load(): Promise<void> {
    const { body, retryAfter } = await this.page();
    this.waiting = [...body.events];
    this.nextCursor = body.next;
    this.upToDate = body.up_to_date;
    this.retryAfter = retryAfter;
    if (this.waiting.length === 0) this.cursor = this.nextCursor;
  }

  private async page(): Promise<{ body: EventsPage; retryAfter: number }> {
    try {
      return await this.read(this.nextCursor);
    } catch (error) {
      if (!(error instanceof CursorGone) || this.options.onGone !== "oldest") throw error;
      this.cursor = this.nextCursor = error.oldest;
      return this.read(this.nextCursor);
    }
  }
}
