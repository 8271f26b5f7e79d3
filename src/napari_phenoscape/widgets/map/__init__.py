"""Map: the embeddings as dots, as pictures, or, when there are very many, as their density."""
