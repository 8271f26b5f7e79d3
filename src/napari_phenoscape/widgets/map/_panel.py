"""Map panel: the map, and above it what dragging does and what it is saved as."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QButtonGroup, QPushButton, QVBoxLayout, QWidget

from napari_phenoscape.widgets._dock import row
from napari_phenoscape.widgets.map._scatter import BOX, LASSO, MOVE, Scatter

_TIPS = {
    LASSO: "Drag around specimens to choose them; Shift adds, Alt takes away, Escape clears",
    BOX: "Drag a box over specimens to choose them; Shift adds, Alt takes away, Escape clears",
    MOVE: "Drag the map; the middle button does so always, and the wheel looks closer",
}


class MapPanel(QWidget):
    """A `Scatter` with its tools; it takes the height that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.scatter = Scatter()
        self.tools: dict[str, QPushButton] = {}
        group = QButtonGroup(self)
        for name, tip in _TIPS.items():
            button = QPushButton()
            button.setText(name)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setChecked(name == self.scatter.tool)
            button.clicked.connect(partial(self._take_up, name))
            group.addButton(button)
            self.tools[name] = button
        self.whole = QPushButton()
        self.whole.setText("Whole map")
        self.whole.setToolTip("Show all specimens")
        self.whole.clicked.connect(self.scatter.show_all)
        self.save = QPushButton()
        self.save.setText("Save…")
        self.save.setToolTip("Write the map as a figure: PNG, or SVG for a drawing program")
        line = row(*self.tools.values(), self.whole, self.save)
        line.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.scatter, 1)

    def _take_up(self, tool: str, _checked: bool = False) -> None:
        self.scatter.tool = tool
