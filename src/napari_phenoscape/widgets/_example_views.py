"""Example views: what a net in training sees of one specimen, as small pictures."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QWidget

from napari_phenoscape.training import Example
from napari_phenoscape.widgets._dock import row
from napari_phenoscape.widgets.form._note import as_it_is, note

#: Height of the pictures in pixels of the screen.
HEIGHT = 88


class ExampleViews(QWidget):
    """Both views of a specimen side by side, and whose they are; hidden while there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.words = QLabel(), note()
        layout = row(self.picture, self.words)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.hide()

    def show_example(self, example: Example | None) -> None:
        """Show this one in place of that before."""
        self.setVisible(example is not None)
        if example is None:
            return
        height, width = example.picture.shape[:2]
        image = QImage(
            example.picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888
        )
        how = (
            Qt.TransformationMode.FastTransformation
            if height < HEIGHT
            else Qt.TransformationMode.SmoothTransformation
        )
        self.picture.setPixmap(QPixmap.fromImage(image).scaledToHeight(HEIGHT, how))
        self.words.setText(f"Two views of one specimen, in step {example.done + 1}.")
        self.setToolTip(
            as_it_is(
                f"{example.specimen}. The net learns that these show one specimen, and that others "
                "do not: what differs between them, it learns to ignore."
            )
        )
