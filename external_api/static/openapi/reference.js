"use strict";

const element = document.getElementById("reference");

// Swagger UI has dark colours, and only a switch of its own for them. The page follows the system, as every other does.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// The name of an operation is a link within the button that opens it: two controls in one, which a screen reader cannot
// tell apart. The button alone opens it, and writes the operation's link into the address.
const plainNames = ({ React }) => ({
  wrapComponents: { DeepLink: () => ({ text }) => React.createElement("span", { className: "nostyle" }, text) },
});

window.ui = SwaggerUIBundle({
  url: element.dataset.document,
  domNode: element,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [plainNames],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  syntaxHighlight: { theme: "obsidian" }, // the numbers of the usual one are too dark to read
  validatorUrl: null, // by default it would send the document to validator.swagger.io
});

// Swagger UI is in English only: translations of its own texts on this page, for nodes with exactly this text.
const translations = {
  Authorize: "Autorizar",
  Authorized: "Autorizado",
  "Available authorizations": "Credenciales",
  Cancel: "Cancelar",
  Clear: "Limpiar",
  Close: "Cerrar",
  Code: "Código",
  Curl: "curl",
  Description: "Descripción",
  Details: "Detalle",
  Download: "Descargar",
  "Example Value": "Ejemplo",
  "Examples:": "Ejemplos:",
  Examples: "Ejemplos",
  Execute: "Ejecutar",
  Headers: "Cabeceras",
  "Headers:": "Cabeceras:",
  Logout: "Salir",
  "Media type": "Formato",
  Name: "Nombre",
  "No parameters": "Sin parámetros",
  Parameters: "Parámetros",
  "Request URL": "URL",
  "Request body": "Cuerpo",
  "Request duration": "Duración",
  Reset: "Restablecer",
  "Response body": "Cuerpo de la respuesta",
  "Response headers": "Cabeceras de la respuesta",
  Responses: "Respuestas",
  Schema: "Esquema",
  "Server response": "Respuesta del servidor",
  Servers: "Servidor",
  "Try it out": "Probar",
  Type: "Tipo",
  required: "obligatorio",
};

function translate(root) {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const inCode = node.parentElement.closest("pre, code, textarea, option");
    if (!inCode && Object.hasOwn(translations, node.data.trim())) {
      node.data = node.data.replace(node.data.trim(), translations[node.data.trim()]);
    }
  }
}

// Controls that Swagger UI leaves without a name, or with an English one that is not the text on them.
const labels = {
  "#servers": "Servidor",
  ".examples-select-element": "Ejemplo",
  ".body-param__text": "Cuerpo de la solicitud",
  ".close-modal": "Cerrar",
  ".modal-btn.authorize": "Autorizar",
  ".modal-btn.btn-done": "Cerrar",
};

function label(root) {
  for (const [selector, text] of Object.entries(labels)) {
    for (const control of root.querySelectorAll(selector)) control.setAttribute("aria-label", text);
  }
}

new MutationObserver((changes) => {
  label(element);
  for (const change of changes) {
    if (change.type === "characterData" && change.target.parentElement) translate(change.target.parentElement);
    for (const node of change.addedNodes) {
      if (node.nodeType === Node.ELEMENT_NODE) translate(node);
      else if (node.nodeType === Node.TEXT_NODE && node.parentElement) translate(node.parentElement);
    }
  }
}).observe(element, { characterData: true, childList: true, subtree: true });
