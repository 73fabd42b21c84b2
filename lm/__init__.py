"""Language model runtimes behind one method, `stream`."""
