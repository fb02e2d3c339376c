/** API for partners: the partner itself, its usage, its messages, its codes and pages of its events. */

import { BrokenAnswer } from "./errors.js";
import type { EventsPage, Grouping, Me, Message, Usage, Verification } from "./shapes/index.js";
import { type Call, type CallOptions, segment, type Transport } from "./transport.js";

const PATH = "/partners/v1";
/** Seconds between two readings of a feed that is up to date, where the answer does not say. */
const RETRY_AFTER = 5;

export interface UsageOptions extends CallOptions {
  /** Days of Lima, `YYYY-MM-DD`; this month where none is given. */
  from?: string;
  to?: string;
  by?: Grouping;
}

export interface PageOptions extends CallOptions {
  after?: string | undefined;
  types?: string[] | undefined;
  limit?: number | undefined;
}

/** `/partners/v1`, with either credential. */
export class Partners {
  constructor(
    private readonly transport: Transport,
    private readonly credential: string,
  ) {}

  /** The partner, its limits and its live credentials. */
  me(options: CallOptions = {}): Promise<Me> {
    return this.transport.json(this.call("/me", {}, options));
  }

  /** Messages and codes by day, via or outcome. */
  usage({ signal, ...params }: UsageOptions = {}): Promise<Usage> {
    return this.transport.json(this.call("/usage", params, { signal }));
  }

  /** State of a message. */
  message(messageId: string, options: CallOptions = {}): Promise<Message> {
    return this.transport.json(this.call(`/messages/${segment(messageId)}`, {}, options));
  }

  /** Outcome of a code. */
  verification(tokenId: string, options: CallOptions = {}): Promise<Verification> {
    return this.transport.json(this.call(`/verifications/${segment(tokenId)}`, {}, options));
  }

  /** One page of the feed. `Aval.events` reads page after page. */
  async eventsPage(options: PageOptions = {}): Promise<EventsPage> {
    return (await this.feedPage(options)).body;
  }

  /** One page of the feed with the seconds to wait after it. */
  async feedPage(options: PageOptions): Promise<{ body: EventsPage; retryAfter: number }> {
    const { after, types, limit, signal } = options;
    const answer = await this.transport.send(
      this.call("/events", { after, types: types?.join(","), limit: limit ?? 1000 }, { signal }),
    );
    const body = answer.jsonOrUndefined();
    if (body === undefined) throw new BrokenAnswer("a page of events is no JSON");
    return { body: body as EventsPage, retryAfter: answer.retryAfter ?? RETRY_AFTER };
  }

  private call(path: string, params: NonNullable<Call["params"]>, options: CallOptions): Call {
    const { signal } = options;
    return { method: "GET", path: PATH + path, credential: this.credential, params, isSafe: true, signal };
  }
}
