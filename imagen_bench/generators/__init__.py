"""What can be benchmarked: the bundled Imagen, other pipelines, callables and folders of finished images."""
