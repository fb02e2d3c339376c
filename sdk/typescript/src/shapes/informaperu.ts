/** Shapes of contract 2. */

import type { DocumentType } from "./nopasanada.js";

/** SMS, WhatsApp, voice call, e-mail. */
export type Via = "S" | "W" | "I" | "C";

export type Operator =
  | "MOVISTAR"
  | "CLARO"
  | "ENTEL"
  | "BITEL"
  | "FLASH"
  | "CUY"
  | "SUMA"
  | "DOLPHIN"
  | "INTERMAX"
  | "OTRO";

/** Body of `POST /client`. */
export interface Person {
  tipo_documento: DocumentType;
  documento: string;
  digito_verificador?: string | null;
  nombres: string;
  apellido_paterno: string;
  apellido_materno?: string | null;
  correo: string;
  departamento: string;
  provincia: string;
  distrito: string;
}

export interface Registered {
  message: string;
  data: { id: string };
}

/** Body of `POST /client/:id/token`; `telefono` and `operador` are needed but for `C`. */
export interface TokenRequest {
  via: Via;
  telefono?: string;
  operador?: Operator;
}

export interface TokenSent {
  message: string;
  warning?: { message: string; code: "PHONE_REUSE_WARNING" };
  data: { token_id: string; expires_in_seconds: number };
}

/** Answer to `verify`, `cancel` and `expire`. */
export interface StatusChanged {
  message: string;
  data: { status: string };
}

export interface Cooldown {
  via: Via;
  can_request: boolean;
  remaining_seconds: number;
  attempts_24h: number;
  next_attempt: number;
  available_at: string | null;
}

export interface CooldownAnswer {
  data: Cooldown;
}

/** Body of `POST /auth/login`. */
export interface Login {
  username: string;
  password: string;
  codigo?: string;
}

export interface Session {
  token: string;
  token_type: "Bearer";
  expires_in: number;
}

export interface SystemStatus {
  status: string;
  timestamp: string;
  uptime: number;
}
