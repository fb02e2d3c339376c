/** Shapes of contract 3. */

/** Body of `POST /external/client/registry`. `client_id` is the partner's own id. */
export interface ExternalClient {
  cui: string;
  first_name: string;
  last_name: string;
  phone: string;
  product_key: string;
  product_id: string;
  origin: string;
  client_id: string;
  data_points?: { key: string; value: string | number | boolean | null }[] | null;
}

export interface RegistryAnswer {
  header: { title: string; message: string; type: string; code: string; event_id: string };
  content: { client_id: string };
}
