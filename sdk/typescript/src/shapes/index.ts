export type * from "./informaperu.js";
export type * from "./nopasanada.js";
export type * from "./partners.js";
export type * from "./registry.js";
export type * from "./staff.js";
