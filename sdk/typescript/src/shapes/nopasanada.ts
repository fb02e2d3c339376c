/** Shapes of contract 1. Answers may have more keys than are named here. */

export type DocumentType = "DNI" | "CE" | "PASAPORTE";

/** A row of `alta`. */
export interface NewClient {
  codigo_externo: string;
  perfil: string;
  correo: string;
  nombre?: string | null;
  tipo_documento?: DocumentType | "" | null;
  numero_documento?: string | null;
  celular?: string | null;
}

/** A row of `baja`, and of the filters of both queries. */
export interface Address {
  correo: string;
}

export interface RowResults {
  cuenta_exitos: number;
  cuenta_fallos: number;
  exitos: { correo: string; indice: number }[];
  fallos: { errores: string[]; indice: number }[];
}

/** Answer to `alta` and `baja`, also when no row went well. */
export interface RowsAnswer {
  id_solicitud: number;
  resultados: RowResults;
  timestamp: string;
}

/** A row of `clientes_autorizados`. */
export interface AuthorisedClient {
  id_solicitud: number;
  correo: string;
  codigo_cliente: string;
  celular: string;
  tipo_documento: string;
  numero_documento: string;
  perfil: string;
  timestamp_creado: string;
  nombre: string;
  suscrito: boolean;
}

/** A row of `mensajes_enviados`. */
export interface SentMessage {
  direccion_correo: string;
  timestamp_envio: string;
  respuesta_mensaje: "ok" | "error";
  asunto: string;
  tipo_mensaje: "boletin" | "alerta";
}

/** What is around the rows of a list. */
export interface ListEnvelope {
  id_solicitud: number;
  resultados: { cuenta: number };
  timestamp: string;
}
