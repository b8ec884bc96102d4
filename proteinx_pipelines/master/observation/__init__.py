"""Numbers of a running Master for Prometheus; `http.metrics` shows them."""
