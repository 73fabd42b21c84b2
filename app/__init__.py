"""The application: wiring, API, worker, command line and web page."""
