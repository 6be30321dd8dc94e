"""The Imagen model: noise schedule, U-Nets, text encoder, guidance, samplers, cascade, loss and training."""
