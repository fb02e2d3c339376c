/** Shapes of the API for partners. */

import type { Via } from "./informaperu.js";

export type Grouping = "day" | "via" | "outcome";
export type MessageKind = "verificacion" | "boletin" | "alerta" | "suscripcion";
export type MessageState =
  | "queued"
  | "sending"
  | "sent"
  | "delivered"
  | "undelivered"
  | "failed"
  | "unknown"
  | "expired"
  | "cancelled";
export type Outcome =
  | "pending"
  | "verified"
  | "failed"
  | "expired"
  | "unanswered"
  | "cancelled"
  | "replaced"
  | "not_sent";
/** Why a message did not arrive or a code was not verified. `late` is in no event. */
export type Reason =
  | "refused"
  | "suppressed"
  | "not_deliverable"
  | "unclear"
  | "stuck"
  | "cancelled"
  | "not_entered"
  | "wrong"
  | "late";
/** Of `authorization.suppressed`. */
export type SuppressionReason = "hard_bounce" | "complaint" | "manual";
/** Of `endpoint.paused`. */
export type PauseReason = "failing" | "by_request";
export type DeliveryStatus = "pending" | "delivered" | "failed";

export interface Limit {
  limit: number | null;
  remaining: number | null;
}

export interface Key {
  prefix: string;
  kind: "opaque" | "jwt";
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  is_this_one: boolean;
}

export interface Me {
  name: string;
  slug: string;
  test: boolean;
  contracts: string[];
  limits: Record<"requests_per_minute" | `messages_per_day_${Via}`, Limit>;
  keys: Key[];
}

export interface UsageRow {
  day?: string;
  via?: Via;
  outcome?: MessageState | Outcome;
  messages: number;
  messages_delivered: number;
  verifications: number;
  verifications_delivered: number;
  verifications_verified: number;
}

export interface Usage {
  from: string;
  to: string;
  by: Grouping;
  rows: UsageRow[];
  missing: string[];
}

export interface Message {
  id: string;
  kind: MessageKind;
  via: Via;
  to: string;
  state: MessageState;
  reason: Reason | null;
  attempts: number;
  verification_id: string | null;
  created_at: string;
  sent_at: string | null;
  delivered_at: string | null;
}

export interface Verification {
  id: string;
  client_id: string;
  via: Via;
  to: string;
  outcome: Outcome;
  reason: Reason | null;
  wrong_attempts: number;
  created_at: string;
  expires_at: string;
  finished_at: string | null;
  messages: Message[];
}

/** What an event says. Its type decides which keys there are; others may be added. */
export interface EventData {
  client_id?: string;
  message_id?: string;
  kind?: string;
  via?: Via;
  to?: string;
  outcome?: string;
  reason?: Reason | SuppressionReason | PauseReason | null;
  id_solicitud?: number;
  clients?: number;
  prefix?: string;
  days?: number;
  expires_at?: string;
  endpoint_id?: string;
  failing_since?: string;
  [key: string]: unknown;
}

/** An event of the feed. Types and keys may be added: ignore those that you do not know. */
export interface Event {
  id: string;
  type: string;
  subject: string;
  at: string;
  data: EventData;
  test: boolean;
}

export interface EventsPage {
  events: Event[];
  next: string;
  up_to_date: boolean;
}

/** The body of a webhook. */
export interface WebhookEvent extends Event {
  timestamp: string;
}

export interface Webhook {
  id: string;
  url: string;
  types: string[] | null;
  description: string;
  email: string;
  status: "active" | "paused" | "disabled";
  created_at: string;
  last_success_at: string | null;
  failing_since: string | null;
  paused_at: string | null;
  resumed_from: string | null;
  previous_secret_until: string | null;
}

/** Answer to the creation of an endpoint and to a rotation. The secret is not shown again. */
export interface WebhookWithSecret extends Webhook {
  secret: string;
}

export interface Webhooks {
  webhooks: Webhook[];
}

export interface WebhookChanges {
  url?: string;
  types?: string[] | null;
  description?: string;
  email?: string;
  status?: "active" | "paused";
}

/** These deliveries, or those of the events of a time. Moments in ISO 8601 with their offset. */
export type ReplayRequest = { deliveries: string[] } | { since: string; until?: string };

export interface Replay {
  replayed: number;
}

export interface Delivery {
  id: string;
  event_id: string | null;
  type: string;
  status: DeliveryStatus;
  attempts: number;
  next_attempt_at: string | null;
  last_attempt_at: string | null;
  last_status: number | null;
  last_error: string | null;
  created_at: string;
  finished_at: string | null;
}

export interface DeliveriesPage {
  deliveries: Delivery[];
  next: string | null;
}

/** Answer to `POST /test/keys`. The keys are not shown again. */
export interface TwinKeys {
  token: string;
  jwt: string;
}

/** Answer to `POST /test/clock`. */
export interface TwinClock {
  advanced_seconds: number;
}

/** Answer to `POST /test/reset`. */
export interface TwinReset {
  removed: number;
}

export interface TwinMessage {
  id: string;
  via: Via;
  to: string;
  text: string;
  created: string;
}

export interface TwinMessages {
  messages: TwinMessage[];
}
