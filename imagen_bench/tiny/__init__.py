"""Trainers of the small networks that ship beside the bundled Imagen: its text encoder and its scorer."""
