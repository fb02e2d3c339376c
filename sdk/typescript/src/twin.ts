/** API for partners: the test twin, with its keys, its clock and its outbox. */

import type { TwinClock, TwinKeys, TwinMessages, TwinReset } from "./shapes/index.js";
import { type CallOptions, newKey, type Transport, type WriteOptions } from "./transport.js";

const PATH = "/partners/v1/test";

export interface MessagesOptions extends CallOptions {
  /** Only those to this number or address. */
  to?: string;
}

/** `/partners/v1/test`. `keys` wants a live credential, the others one of the twin. */
export class Twin {
  constructor(
    private readonly transport: Transport,
    private readonly credential: string,
  ) {}

  /** New test keys. Store them: they are not shown again. */
  keys(options: WriteOptions = {}): Promise<TwinKeys> {
    return this.post("/keys", {}, options);
  }

  /** Let this much time pass for the twin's codes and messages; an ISO 8601 duration, as `PT4H`. */
  advanceClock(advance: string, options: WriteOptions = {}): Promise<TwinClock> {
    return this.post("/clock", { advance }, options);
  }

  /** Remove the twin's clients, codes and messages. Its keys and events stay. */
  reset(options: WriteOptions = {}): Promise<TwinReset> {
    return this.post("/reset", {}, options);
  }

  /** Messages to the twin's clients with their texts, the newest first. */
  messages({ to, signal }: MessagesOptions = {}): Promise<TwinMessages> {
    const path = `${PATH}/messages`;
    return this.transport.json({
      method: "GET",
      path,
      credential: this.credential,
      params: { to },
      isSafe: true,
      signal,
    });
  }

  private post<Result>(path: string, body: object, options: WriteOptions): Promise<Result> {
    return this.transport.json({
      method: "POST",
      path: PATH + path,
      credential: this.credential,
      body,
      idempotencyKey: options.idempotencyKey ?? newKey(),
      signal: options.signal,
    });
  }
}
