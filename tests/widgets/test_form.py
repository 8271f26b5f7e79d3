from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import QLabel, QLineEdit, QScrollArea

from napari_phenoscape.cubes import Interpretation, Modality
from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option, Variants
from napari_phenoscape.specimens import Drawer, Folder
from napari_phenoscape.training import Experiment, Schedule
from napari_phenoscape.views import PRESETS, RandomErasing, RandomHorizontalFlip
from napari_phenoscape.widgets import Fold, Form, note
from napari_phenoscape.widgets.form._note import as_it_is
from napari_phenoscape.widgets.form._variants import OWN
from napari_phenoscape.widgets.form._words import setting_words, value_words


@pytest.fixture
def form(qtbot):
    def make(option_class, **kwargs):
        made = Form(option_class, **kwargs)
        qtbot.addWidget(made)
        return made

    return make


def words_shown(form):
    return [label.text() for label in form.findChildren(QLabel) if not label.isHidden()]


def variants(option_class: type[Option]) -> list[type[Option]]:
    below = option_class.__subclasses__()
    return [leaf for cls in below for leaf in variants(cls)] if below else [option_class]


OPTIONS = [cls for cls in variants(Option) if cls.__module__.startswith("napari_phenoscape.")]
PLAIN = [cls for cls in OPTIONS if not any(f.is_required() for f in cls.model_fields.values())]


@pytest.mark.parametrize("option_class", PLAIN, ids=lambda cls: cls.__name__)
def test_a_form_begins_with_the_defaults_of_its_option(form, option_class):
    assert form(option_class).value == option_class()


EXPERIMENTS = {
    "defaults": Experiment(collection=Folder(path=Path("specimens"))),
    "relative paths": Experiment(
        collection=Drawer(path=Path("../drawer.bil"), regions=Path("r.tif")), runs=Path("a/../b")
    ),
    "own modalities": Experiment(
        collection=Folder(path=Path("x")),
        modalities=(
            "rgb+uv",
            Modality(name="red edge", range_nm=(680, 750.5)),
            Modality(name="mine", bands=(3, 0, "UV_R")),
            Modality(name="tit", eye=Path("eyes/tit.csv")),
            "uv",
            "bird-uv",
        ),
    ),
    "preset": Experiment(collection=Folder(path=Path("x")), augmentations="shape-only"),
    "own operations": Experiment(
        collection=Folder(path=Path("x")),
        augmentations=(RandomErasing(p=0.125), RandomHorizontalFlip(p=1)),
    ),
    "small numbers": Experiment(
        collection=Folder(path=Path("x")),
        schedule=Schedule(learning_rate=3e-4, weight_decay=1e-7, steps=7, batch_size=2),
        seed=123456,
    ),
}


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS.keys())
def test_what_is_set_is_what_is_read(form, experiment):
    made = form(Experiment)
    made.set(experiment)
    assert made.value == experiment
    assert made.error == ""


def test_a_learning_rate_of_0_0003_is_shown_as_that(form):
    made = form(Schedule)
    made.set(Schedule(learning_rate=3e-4))
    assert made.editors["learning_rate"].box.text() == "0.0003"


@pytest.mark.parametrize("value", [-9999, 0, 3.4028234663852886e38, -1.7976931348623157e308])
def test_a_number_for_not_measured_may_be_as_large_as_numbers_are(form, value):
    made = form(Interpretation)
    made.set(Interpretation(ignore_value=value))
    assert made.value == Interpretation(ignore_value=value)
    assert made.error == ""


def test_a_preset_fills_the_rows_and_a_changed_row_makes_it_the_users_own(form):
    made = form(Experiment, hide=("collection",))
    made.keep(collection=Folder(path=Path("x")))
    editor = made.editors["augmentations"]
    editor.choice.set("simclr-rgb")
    assert made.value.augmentations == "simclr-rgb"
    assert editor.rows.get() == PRESETS["simclr-rgb"]
    next(row for row in editor.rows.rows if row.cls is RandomErasing).switch.click()
    assert editor.choice.get() == OWN
    kinds = {operation.kind for operation in made.value.augmentations}
    assert kinds ^ {operation.kind for operation in PRESETS["simclr-rgb"]} == {RandomErasing().kind}


def test_a_wrong_value_is_explained_beside_its_field_until_it_is_mended(form):
    made = form(Experiment, hide=("collection",))
    made.keep(collection=Folder(path=Path("x")))
    name = made.editors["name"]
    name.line.value = "my run"
    assert any("my run" in words for words in words_shown(made))
    with pytest.raises(OptionError, match="my run"):
        _ = made.value
    name.line.value = "my-run"
    assert made.error == ""
    assert not any("my run" in words for words in words_shown(made))


def test_an_unknown_modality_is_answered_with_the_known_ones(form):
    made = form(Experiment, hide=("collection",))
    made.keep(collection=Folder(path=Path("x")))
    made.editors["modalities"].line.value = "rgb; infrared"
    assert "unknown modality 'infrared'. Choose from rgb, grey, uv" in made.error


def test_the_built_in_modalities_are_ticked_where_they_are_written(form):
    made = form(Experiment, hide=("collection",))
    editor = made.editors["modalities"]
    editor.boxes["uv"].click()
    assert editor.get() == ("rgb", "uv")
    editor.boxes["rgb"].click()
    assert editor.get() == ("uv",)


def test_a_sum_of_modalities_has_a_box_once_it_is_written_whole(form):
    made = form(Experiment, hide=("collection",))
    editor = made.editors["modalities"]
    editor.offer(("rgb", "uv"))
    for number in range(len("uv; rgb+uv") + 1):
        editor.line.value = "uv; rgb+uv"[:number]
    box = editor.boxes["rgb+uv"]
    assert box.isChecked()
    assert box.isVisibleTo(editor)
    assert [name for name in editor.boxes if "+" in name] == ["rgb+uv"]
    box.click()
    assert editor.get() == ("uv",)
    box.click()
    assert editor.get() == ("uv", "rgb+uv")


def test_setting_a_form_tells_it_once(form):
    made, told = form(Experiment), []
    made.changed.connect(lambda: told.append(1))
    made.set(EXPERIMENTS["own operations"])
    assert told == [1]


def test_the_wheel_does_not_change_a_box_that_was_not_clicked_into(form, qtbot):
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    made = form(Schedule)
    box = made.editors["steps"].widget.native
    before = box.value()
    turn = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(0, 0), QPoint(0, 120),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(box, turn)
    assert box.value() == before


class Way(Option):
    kind: str


class Left(Way):
    """One way."""

    kind: Literal["left"] = "left"
    share: float = Field(0.5, gt=0, le=1)


class Right(Way):
    """The other way."""

    kind: Literal["right"] = "right"
    ends: tuple[float, float] | None = None


class Both(Option):
    """Every kind of field."""

    way: Annotated[Way, Variants(Left, Right)] = Left()
    bands: tuple[int | str, ...] = ()
    path: Path | None = None
    limit: float | None = Field(None, ge=0)


def test_unions_optional_values_and_lists_go_through_a_form(form):
    made = form(Both)
    full = Both(way=Right(ends=(0.25, 4)), bands=(2, "R"), path=Path("a"), limit=0)
    for option in (full, Both(), full):
        made.set(option)
        assert made.value == option


def test_an_exclusive_bound_is_refused_in_words(form):
    made = form(Both)
    made.editors["way"].forms["left"].editors["share"].set(0)
    assert "greater than 0" in made.error


def test_what_was_not_filled_in_yet_is_asked_for_and_not_called_wrong(form):
    made = form(Folder)
    assert made._errors["path"].text().startswith("No path is given")
    assert made._errors["path"].tone == "plain"
    made.editors["path"].line.value = "here"
    made.editors["pattern"].line.value = "../*"
    assert made._errors["pattern"].tone == "error"


def test_a_long_file_name_goes_on_in_the_next_line_and_is_given_back_as_it_was(qtbot):
    name = "2019_D01_HARV_DP3_726000_4699000_image_crop_hyperspectral_2018.tif"
    words = note(f"'{name}' has other bands.")
    qtbot.addWidget(words)
    words.resize(250, 100)
    assert words.text() == f"'{name}' has other bands."
    assert words.heightForWidth(250) >= 3 * words.fontMetrics().height()


def test_rare_fields_share_a_fold_that_opens_when_they_say_something(form):
    made = form(Folder)

    def in_sight() -> list[str]:
        rare = ("together", "most_residual_px", "white_region", "panel")
        return [name for name in rare if made.editors[name].isVisibleTo(made)]

    assert in_sight() == []
    made.set(Folder(path=Path("x"), together="{id}_{vis|uv}"))
    assert in_sight() == ["together", "most_residual_px"]
    made.editors["white_region"].set("{name}.png")
    assert "braces" in made.error
    assert in_sight() == ["together", "most_residual_px", "white_region", "panel"]


def test_an_emptied_line_is_none_where_none_is_allowed(form):
    made = form(Folder)
    made.set(Folder(path=Path("here"), mask="{stem}.png", metadata=Path("table.csv")))
    for name in ("mask", "metadata"):
        made.editors[name].line.value = " "
    assert (made.value.mask, made.value.metadata) == (None, None)


def test_a_path_is_what_was_typed(form):
    made = form(Folder)
    made.editors["path"].line.value = "../moths/a/../b"
    assert str(made.value.path) == "../moths/a/../b"


@pytest.mark.parametrize(("words", "mode"), [("File…", "r"), ("Folder…", "d")])
def test_a_path_is_chosen_by_a_dialog_and_told_once(form, monkeypatch, tmp_path, words, mode):
    made, told = form(Folder), []
    edit = made.editors["path"].edit
    made.changed.connect(lambda: told.append((made.editors["path"].get(), edit.mode.value)))
    monkeypatch.setattr(edit, "_show_file_dialog", lambda *_, **__: str(tmp_path))
    actions = edit.choose_btn.native.menu().actions()
    next(action for action in actions if action.text() == words).trigger()
    assert told == [(tmp_path, mode)]
    assert edit.choose_btn.text == "…"


def test_a_minus_left_behind_in_a_whole_number_changes_nothing(form, qtbot):
    made = form(Schedule)
    box = made.editors["steps"].widget.native
    before = box.value()
    box.lineEdit().selectAll()
    qtbot.keyClicks(box.lineEdit(), "-")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert (box.value(), box.lineEdit().text(), made.error) == (before, str(before), "")


def test_a_number_is_told_once_when_it_is_written_and_not_at_each_digit(form, qtbot):
    made, told = form(Schedule), []
    box = made.editors["batch_size"].widget.native
    made.changed.connect(lambda: told.append(made.value.batch_size))
    box.lineEdit().selectAll()
    qtbot.keyClicks(box.lineEdit(), "128")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert told == [128]


def test_a_field_says_what_it_is_and_its_default(form):
    made = form(Schedule)
    tip = made.editors["batch_size"].toolTip()
    assert Schedule.model_fields["batch_size"].description in tip
    assert f"(default: {Schedule().batch_size})" in tip


def test_tab_goes_down_the_form(form):
    made = form(Schedule)
    made.show()
    places = []
    for editor in made.editors.values():
        assert made.focusNextChild()
        assert editor.isAncestorOf(made.focusWidget())
        places.append(made.focusWidget().mapTo(made, made.rect().topLeft()).y())
    assert places == sorted(places)


@pytest.fixture
def fold(qtbot):
    made = Fold("More", QLineEdit())
    qtbot.addWidget(made)
    made.show()
    return made


def test_a_fold_opens_and_closes_by_key(fold, qtbot):
    for opened in (True, False):
        qtbot.keyClick(fold.toggleButton(), Qt.Key.Key_Space)
        assert fold.opened == fold.content().isVisible() == opened


def test_tab_leaves_out_what_is_folded(fold):
    for opened in (False, True):
        fold.opened = opened
        fold.toggleButton().setFocus()
        fold.focusNextChild()
        assert (fold.focusWidget() is fold.content()) == opened


def test_what_grows_in_an_open_fold_is_not_cut(form, qtbot):
    made = form(Folder)
    made.set(Folder(path=Path("here")))
    area = QScrollArea()  # as in a dock
    area.setWidgetResizable(True)
    area.setWidget(Fold("Folder", made, opened=True))
    qtbot.addWidget(area)
    area.resize(250, 200)
    area.show()
    made.editors["pattern"].line.value = "../*"
    words = made._errors["pattern"]
    qtbot.waitUntil(lambda: words.height() >= words.heightForWidth(words.width()) > 0)
    assert made.height() >= made.layout().minimumHeightForWidth(made.width())


@pytest.mark.parametrize("name", ["S<b>1</b> & [red].png", "<img src=x>", "a < b\nc > d"])
def test_a_name_in_a_tooltip_is_shown_as_it_is(qapp, name):
    shown = QTextDocument()
    shown.setHtml(as_it_is(name))
    assert shown.toPlainText() == name
    assert as_it_is("A & B") == "A & B"  # which Qt takes for plain words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("schedule.batch_size", "schedule › batch size"),
        ("augmentations.0.kind", "augmentations › 1"),
        ("hiding.window_nm", "hiding › window (nm)"),
    ],
)
def test_a_setting_is_called_as_its_form_calls_it(name, words):
    assert setting_words(name) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("true", "yes"), ("null", "none"), ('["rgb", "uv"]', "rgb; uv"), ("[]", "none"),
        ("0.001", "0.001"), ("simclr", "simclr"),
    ],
)  # fmt: skip
def test_a_value_is_said_without_json(value, words):
    assert value_words(value) == words
