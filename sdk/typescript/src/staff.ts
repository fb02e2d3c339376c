/** Queries of contract 2 for staff, with the token of a login. */

import type { ClientDetailAnswer, StaffClient, StaffMessage, StaffPage } from "./shapes/index.js";
import { type CallOptions, segment, type Transport } from "./transport.js";

const PATH = "/v1/api/admin";

export type Filters = Record<string, string | number>;

/** `/v1/api/admin`. Filters are those of the reference; pages go on with `cursor`, the `next` of the one before. */
export class Staff {
  constructor(
    private readonly transport: Transport,
    private readonly token: string,
  ) {}

  /** Page of registered clients. */
  clients(filters: Filters = {}, options: CallOptions = {}): Promise<StaffPage<StaffClient>> {
    return this.get("/clients", filters, options);
  }

  /** One client with its tokens and messages. */
  client(clientId: string, options: CallOptions = {}): Promise<ClientDetailAnswer> {
    return this.get(`/clients/${segment(clientId)}`, {}, options);
  }

  /** Page of messages. */
  messages(filters: Filters = {}, options: CallOptions = {}): Promise<StaffPage<StaffMessage>> {
    return this.get("/messages", filters, options);
  }

  private get<Result>(path: string, params: Filters, { signal }: CallOptions): Promise<Result> {
    return this.transport.json({
      method: "GET",
      path: PATH + path,
      credential: this.token,
      params,
      isSafe: true,
      signal,
    });
  }
}
