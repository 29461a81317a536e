"""The server: endpoints of the storefront, the page of the API, the widget and the example shop."""
