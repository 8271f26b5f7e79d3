"""Loss curve: the steps of a training, drawn and in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from napari_phenoscape.events import Step, agreement_words
from napari_phenoscape.widgets._dock import Plot, later, name_axes

#: Milliseconds between two drawings: each draws all of the window, which takes from the steps.
DRAW_MS = 500


class LossCurve(Plot):
    """Loss by step, hidden while there is none; steps are drawn when `draw` is called.

    Parameters
    ----------
    draw
        Calls `draw`, some time after `draw_soon`.
    """

    def __init__(self, draw: Callable[[], object]) -> None:
        super().__init__(185)
        self._soon = later(self, DRAW_MS, draw)
        self.setMinimumHeight(120)  # on a small screen
        name_axes(self, "step", "loss (nats)")
        self.setDownsampling(auto=True, mode="peak")  # of 100 000 steps, those that are seen
        self.setClipToView(True)
        self.line = self.plot(pen={"color": "#4fc3f7", "width": 2})
        self.forget()

    def forget(self) -> None:
        """Begin with no step."""
        self.steps: list[int] = []
        self._losses: list[float] = []
        self._first: Step | None = None
        self._last: deque[Step] = deque(maxlen=10)
        self._told = 0

    def add(self, step: Step) -> None:
        """Keep the next step; thousands may come before the next `draw`."""
        self.steps.append(step.step)
        self._losses.append(step.loss)
        self._first = self._first or step
        self._last.append(step)

    def leave_untold(self) -> None:
        """Say nothing of the steps so far, in whose place something else is said."""
        self._told = len(self.steps)

    def draw_soon(self) -> None:
        """Steps came, and more may come before they are drawn."""
        if not self._soon.isActive():
            self._soon.start()

    def draw(self) -> tuple[Step, str] | None:
        """Draw what came, and give the last step that was not told of, with its words."""
        self.line.setData(self.steps, self._losses)
        self.setVisible(bool(self.steps))
        if self._first is None or len(self.steps) == self._told:
            return None
        self._told, step = len(self.steps), self._last[-1]
        terms = [f"{name.replace('_', ' ')} {term:.3f}" for name, term in step.terms.items()]
        several = f" ({', '.join(terms)})" if len(terms) > 1 else ""
        return step, (
            f"Loss {step.loss:.3f}{several}, {step.specimens_per_s:.0f} specimens/s; "
            f"{agreement_words(self._first, self._last)}."
        )


def left(step: Step) -> str:
    """Time to the end, in words."""
    seconds = round(step.remaining_s)
    if seconds < 90:
        return f"{seconds} s left"
    if seconds < 5400:
        return f"{round(seconds / 60)} min left"
    return f"{seconds / 3600:.1f} h left"
