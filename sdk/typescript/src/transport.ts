/** HTTP calls with timeouts, retries and a deadline. */

import { setTimeout as sleep } from "node:timers/promises";

import { Answer } from "./answers.js";
import { ApiError, BrokenAnswer, errorOf, NoAnswer } from "./errors.js";
import { type Retries, waitMs } from "./retries.js";

/** What every call takes: a signal that ends it, its waits included. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** What a write takes: a key of your own, to repeat it safely after your process has ended. */
export interface WriteOptions extends CallOptions {
  idempotencyKey?: string | undefined;
}

/** One call of the API. It may be repeated if it changes nothing or has an idempotency key. */
export interface Call {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  credential?: string | undefined;
  body?: unknown;
  params?: Record<string, string | number | undefined>;
  isSafe?: boolean;
  idempotencyKey?: string | undefined;
  /** Whether the body of a 400 is a result all the same. */
  isResult?: (body: unknown) => boolean;
  signal?: AbortSignal | undefined;
}

export interface Clock {
  now(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, signal === undefined ? {} : { signal }),
};

export interface TransportOptions {
  url: string;
  retries: Retries;
  timeoutMs: number;
  clock: Clock;
  fetch: typeof fetch;
}

/** A value as one segment of a path. `.` and `..` would name another path. */
export function segment(value: string): string {
  if (["", ".", ".."].includes(value)) throw new RangeError(`${JSON.stringify(value)} cannot be a part of a path`);
  return encodeURIComponent(value);
}

export function newKey(): string {
  return crypto.randomUUID();
}

/** Sends calls to one installation. */
export class Transport {
  readonly clock: Clock;

  constructor(private readonly options: TransportOptions) {
    this.clock = options.clock;
  }

  /** The answer to a call that succeeded. Throws ApiError or NoAnswer. */
  send(call: Call): Promise<Answer> {
    return this.repeated(call, (left) => this.attempt(call, left));
  }

  /** The decoded body of the answer to a call. */
  async json<Result>(call: Call): Promise<Result> {
    return decoded(call, await this.send(call)) as Result;
  }

  /** An answer whose body the caller reads. Only its beginning is tried again. `pauseMs`: limit of each read. */
  open(call: Call, pauseMs: number): Promise<OpenAnswer> {
    return this.repeated(call, async (left) => {
      const reading = new Reading(pauseMs, call.signal);
      const limit = Math.min(this.options.timeoutMs, left);
      const request = this.request(call);
      const response = await reading.within(limit, () => this.fetch(request, reading.signal));
      if (response.ok) return { response, reading };
      throw errorOf(await reading.within(limit, () => whole(response)));
    });
  }

  private async attempt(call: Call, left: number): Promise<Answer> {
    const reading = new Reading(0, call.signal);
    const limit = Math.min(this.options.timeoutMs, left);
    const request = this.request(call);
    const answer = await reading.within(limit, async () => whole(await this.fetch(request, reading.signal)));
    if (answer.isSuccess || (answer.status === 400 && call.isResult?.(answer.jsonOrUndefined()))) return answer;
    throw errorOf(answer);
  }

  private request(call: Call): [URL, RequestInit] {
    const url = new URL(this.options.url.replace(/\/+$/, "") + call.path);
    for (const [name, value] of Object.entries(call.params ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const headers = new Headers({ Accept: "application/json" });
    if (call.credential !== undefined) headers.set("Authorization", `Bearer ${call.credential}`);
    if (call.body !== undefined) headers.set("Content-Type", "application/json");
    if (call.idempotencyKey !== undefined) headers.set("Idempotency-Key", call.idempotencyKey);
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    return [url, { method: call.method, headers, body, redirect: "manual" }];
  }

  private fetch([url, init]: [URL, RequestInit], signal: AbortSignal): Promise<Response> {
    return this.options.fetch(url, { ...init, signal });
  }

  private async repeated<Result>(call: Call, attempt: (left: number) => Promise<Result>): Promise<Result> {
    const until = this.clock.now() + this.options.retries.deadlineMs;
    for (let number = 1; ; number += 1) {
      try {
        return await attempt(Math.max(1, until - this.clock.now()));
      } catch (error) {
        const wait = this.wait(call, number, error);
        if (wait === undefined || this.clock.now() + wait >= until) throw error;
        await this.clock.sleep(wait, call.signal);
      }
    }
  }

  /** Milliseconds before the next attempt; undefined if there is to be none. */
  private wait(call: Call, attempt: number, error: unknown): number | undefined {
    const mayRepeat = call.isSafe === true || call.idempotencyKey !== undefined;
    if (!mayRepeat || attempt >= this.options.retries.attempts) return undefined;
    if (error instanceof NoAnswer) return waitMs(this.options.retries, attempt, undefined);
    if (error instanceof ApiError && error.isTemporary) return waitMs(this.options.retries, attempt, error.retryAfter);
    return undefined;
  }
}

/** An answer that is being read, and what ends it. */
export interface OpenAnswer {
  response: Response;
  reading: Reading;
}

/** The signal of one attempt: it ends at a time limit, or with the caller's own signal. */
export class Reading {
  private readonly controller = new AbortController();
  readonly signal: AbortSignal;

  constructor(
    private readonly pauseMs: number,
    private readonly callers?: AbortSignal,
  ) {
    this.signal = callers === undefined ? this.controller.signal : AbortSignal.any([this.controller.signal, callers]);
  }

  /** What an act gives within so many milliseconds; NoAnswer where the time or the connection ends. */
  async within<Result>(milliseconds: number, act: () => Promise<Result>): Promise<Result> {
    const timer = setTimeout(() => this.controller.abort(new Error("the time is over")), milliseconds);
    try {
      return await act();
    } catch (error) {
      if (this.callers?.aborted) throw this.callers.reason;
      throw new NoAnswer(reasonOf(error), { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next piece of a body. */
  next<Piece>(act: () => Promise<Piece>): Promise<Piece> {
    return this.within(this.pauseMs, act);
  }

  end(): void {
    this.controller.abort(new Error("the list is closed"));
  }
}

async function whole(response: Response): Promise<Answer> {
  return new Answer(response.status, response.statusText, response.headers, await response.text());
}

function decoded(call: Call, answer: Answer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch (error) {
    throw new BrokenAnswer(`${call.method} ${call.path}: the body is no JSON`, { cause: error });
  }
}

/** The words of an error of `fetch`, which has the true one as its cause. */
function reasonOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return error instanceof Error && error.cause instanceof Error ? `${words}: ${error.cause.message}` : words;
}
