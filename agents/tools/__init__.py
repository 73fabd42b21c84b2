"""What a model may call: each tool a file, each with its bounds, none with an effect outside."""
