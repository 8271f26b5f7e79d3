from ._demo import demo as demo, has_display as has_display, show as show
from ._write import sample_directory as sample_directory, write_samples as write_samples
