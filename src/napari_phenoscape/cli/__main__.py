"""``python -m napari_phenoscape.cli``, as training processes are started."""

from napari_phenoscape.cli._console import app

if __name__ == "__main__":
    app()
