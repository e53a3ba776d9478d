"""The reference backend: what runs beside the broker, and the example that other backends copy."""
