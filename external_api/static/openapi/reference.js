"use strict";

const element = document.getElementById("reference");

window.ui = SwaggerUIBundle({
  url: element.dataset.document,
  domNode: element,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
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

new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) {
      if (node.nodeType === Node.ELEMENT_NODE) translate(node);
      else if (node.nodeType === Node.TEXT_NODE && node.parentElement) translate(node.parentElement);
    }
  }
}).observe(element, { childList: true, subtree: true });
