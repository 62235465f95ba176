'use strict';

(function () {
  const place = document.getElementById('swagger-ui');
  const documentUrl = new URL(place.dataset.document, location.href).href;
  // Where the service begins, seen from here: below the prefix of a reverse proxy too.
  const root = new URL(place.dataset.root, location.href).href.replace(/\/$/, '');

  function addServer(response) {
    if (response.url === documentUrl && response.ok) {
      const described = JSON.parse(response.text);
      described.servers = described.servers || [{url: root}];
      response.text = response.data = JSON.stringify(described);
      response.body = response.obj = described;
    }
    return response;
  }

  window.ui = SwaggerUIBundle({
    url: documentUrl,
    domNode: place,
    deepLinking: true,
    displayRequestDuration: true,
    validatorUrl: null,
    responseInterceptor: addServer,
    presets: [SwaggerUIBundle.presets.apis],
    layout: 'BaseLayout',
  });
})();
