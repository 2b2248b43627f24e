// A file of its own: the page's policy lets no script stand in the page.
window.SwaggerUIBundle({
  url: '../v1/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  docExpansion: 'none',
  filter: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null, // would ask a server elsewhere
});
