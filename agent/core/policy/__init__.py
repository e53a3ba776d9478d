"""What the city's law and its officials' documents mean: charter, documents, decision."""
