// Shows the document, whose URL is that of this page without the slash.
SwaggerUIBundle({
  url: "../__api__",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
