"""Finding: specimens on a plain background, where no mask outlines them."""
