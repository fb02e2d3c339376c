/** Verification of webhooks by the Standard Webhooks library. */

import { Webhook } from "standardwebhooks";

import { WebhookVerificationError } from "./errors.js";
import type { WebhookEvent } from "./shapes/index.js";

/** Headers of a request, as `fetch` or `node:http` have them. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/**
 * The event of a webhook. `body` is the raw body, `secret` the endpoint's `whsec_...`.
 *
 * Throws WebhookVerificationError for whatever is not signed with the secret, or not within five minutes. A webhook may
 * come again: its `webhook-id` stays the same.
 */
export function verifyWebhook(body: string | Uint8Array, headers: WebhookHeaders, secret: string): WebhookEvent {
  const endpoint = new Webhook(secret);
  try {
    const text = typeof body === "string" ? body : new TextDecoder("utf-8", { fatal: true }).decode(body);
    const event = endpoint.verify(text, plain(headers));
    if (event === undefined) throw new Error("the body is empty");
    return event as WebhookEvent;
  } catch (error) {
    throw new WebhookVerificationError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function plain(headers: WebhookHeaders): Record<string, string> {
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (typeof value === "string" ? [[name.toLowerCase(), value]] : [])),
  ) as Record<string, string>;
}
