/** API for partners: endpoints of webhooks and their deliveries. */

import type {
  DeliveriesPage,
  Delivery,
  DeliveryStatus,
  Replay,
  ReplayRequest,
  Webhook,
  WebhookChanges,
  Webhooks,
  WebhookWithSecret,
} from "./shapes/index.js";
import { type CallOptions, newKey, segment, type Transport, type WriteOptions } from "./transport.js";

const PATH = "/partners/v1/webhooks";

export interface NewEndpoint {
  url: string;
  /** Types of events; all where it is null or missing. */
  types?: string[] | null;
  description?: string;
  /** Who is told when it is paused. */
  email?: string;
}

export interface DeliveriesOptions extends CallOptions {
  status?: DeliveryStatus;
  after?: string;
  limit?: number;
}

/** `/partners/v1/webhooks`, with either credential. */
export class WebhookEndpoints {
  constructor(
    private readonly transport: Transport,
    private readonly credential: string,
  ) {}

  /** A new endpoint. Store its `secret`: it is not shown again. */
  create(endpoint: NewEndpoint, options: WriteOptions = {}): Promise<WebhookWithSecret> {
    return this.write("POST", "", { types: null, ...endpoint }, options);
  }

  list(options: CallOptions = {}): Promise<Webhooks> {
    return this.read("", {}, options);
  }

  get(webhookId: string, options: CallOptions = {}): Promise<Webhook> {
    return this.read(`/${segment(webhookId)}`, {}, options);
  }

  /** Change what is given; `status` pauses the endpoint, or wakes it with `active`. */
  update(webhookId: string, changes: WebhookChanges, options: WriteOptions = {}): Promise<Webhook> {
    return this.write("PATCH", `/${segment(webhookId)}`, changes, options);
  }

  /** Remove the endpoint. Not repeated by itself: a repetition would say that there is none. */
  async delete(webhookId: string, options: CallOptions = {}): Promise<void> {
    const path = `${PATH}/${segment(webhookId)}`;
    await this.transport.send({ method: "DELETE", path, credential: this.credential, signal: options.signal });
  }

  /** Send an event of no consequence to the endpoint. */
  test(webhookId: string, options: WriteOptions = {}): Promise<Delivery> {
    return this.write("POST", `/${segment(webhookId)}/test`, {}, options);
  }

  /** A new secret. The old one signs along until `previous_secret_until`. */
  rotate(webhookId: string, options: WriteOptions = {}): Promise<WebhookWithSecret> {
    return this.write("POST", `/${segment(webhookId)}/rotate`, {}, options);
  }

  /** Send again. */
  replay(webhookId: string, request: ReplayRequest, options: WriteOptions = {}): Promise<Replay> {
    return this.write("POST", `/${segment(webhookId)}/replay`, request, options);
  }

  /** Page of deliveries; `next` is the `after` of the following page. */
  deliveries(webhookId: string, { signal, ...params }: DeliveriesOptions = {}): Promise<DeliveriesPage> {
    return this.read(`/${segment(webhookId)}/deliveries`, params, { signal });
  }

  delivery(webhookId: string, deliveryId: string, options: CallOptions = {}): Promise<Delivery> {
    return this.read(`/${segment(webhookId)}/deliveries/${segment(deliveryId)}`, {}, options);
  }

  private read<Result>(path: string, params: Omit<DeliveriesOptions, "signal">, options: CallOptions): Promise<Result> {
    return this.transport.json({
      method: "GET",
      path: PATH + path,
      credential: this.credential,
      params: { ...params },
      isSafe: true,
      signal: options.signal,
    });
  }

  private write<Result>(
    method: "POST" | "PATCH",
    path: string,
    body: object,
    options: WriteOptions,
  ): Promise<Result> {
    return this.transport.json({
      method,
      path: PATH + path,
      credential: this.credential,
      body,
      idempotencyKey: options.idempotencyKey ?? newKey(),
      signal: options.signal,
    });
  }
}
