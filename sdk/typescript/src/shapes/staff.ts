/** Shapes of the staff's queries of contract 2. */

import type { Operator, Via } from "./informaperu.js";
import type { DocumentType } from "./nopasanada.js";

export interface MessageEvent {
  fecha: string;
  estado: string;
  intento: number;
  proveedor: string | null;
  detalle: string | null;
}

export interface StaffMessage {
  id: string;
  empresa: string | null;
  tipo: string;
  via: Via;
  destino: string;
  asunto: string;
  estado: string;
  intentos: number;
  token: string | null;
  id_solicitud: number | null;
  proveedor: string | null;
  id_proveedor: string | null;
  respuesta_proveedor: string | null;
  creado: string;
  enviar_antes_de: string | null;
  enviado: string | null;
  entregado: string | null;
  eventos: MessageEvent[];
}

export interface StaffToken {
  id: string;
  via: Via;
  destino: string;
  operador: Operator | null;
  resultado: string;
  intentos_errados: number;
  creado: string;
  vence: string;
  cerrado: string | null;
  intento_devuelto: string | null;
  intento_cliente: number;
  espera_cliente_segundos: number;
  intento_destino: number;
  espera_destino_segundos: number;
  mensajes?: (StaffMessage & { texto: string | null })[];
}

export interface StaffClient {
  id: string;
  empresa: string | null;
  tipo_documento: DocumentType;
  documento: string;
  digito_verificador: string;
  nombres: string;
  apellido_paterno: string;
  apellido_materno: string;
  correo: string;
  departamento: string;
  provincia: string;
  distrito: string;
  estado: string;
  via_validada: Via | null;
  destino_validado: string | null;
  operador: Operator | null;
  bloqueado: string | null;
  creado: string;
  actualizado: string;
  validado: string | null;
}

export interface ClientDetailAnswer {
  data: StaffClient & { codigos_errados_seguidos: number; tokens?: StaffToken[] };
}

export interface StaffPage<Row> {
  data: Row[];
  next: string | null;
  previous: string | null;
}
